"""One trial, carried through the graph of the workflow that gets the turn; after a kill it goes on where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..trials.processes import end_recorded
from ..trials.records import Candidate, Trial
from ..trials.study import Study
from .accounts import resumed
from .gating import draw
from .outcomes import read_outcome
from .parts import Parts
from .state import Saying, State, Turn, say
from .tuning import RECURSION_LIMIT

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.sqlite import SqliteSaver


def carry_trial(parts: Parts, graphs: Mapping[str, Any], saver: SqliteSaver, number: int) -> None:
    """Bring one trial to its record. Whatever stands in the study counts; a checkpoint only spares planning.

    Args:
        graphs: compiled, by the name of their workflow.

    Raises:
        SpaceExhausted: when every configuration has been tried.
    """
    study = parts.study
    end_recorded(study.trial_folder(number))
    running = study.running(number)
    attempt = 0 if running is None else running.attempt
    config = _config(study, number, attempt)
    standing = _standing(saver, config)
    turn = _turn(parts, number, standing if running is None else running.extra)
    parts.workflow, graph = parts.workflows[turn["workflow"]], graphs[turn["workflow"]]
    state = None
    if running is not None:
        attempt, state = _begun_again(study, running, turn)
    elif standing.get("turn") != turn or not graph.get_state(config).next:
        state = State(number=number, attempt=0, workflow=turn["workflow"], turn=turn, said=_words(turn))
    if standing and state is not None:
        saver.delete_thread(_thread(study, number, attempt))
    graph.invoke(state, _config(study, number, attempt), durability="sync")
    for earlier in range(attempt + 1):
        saver.delete_thread(_thread(study, number, earlier))


def _turn(parts: Parts, number: int, before: Mapping[str, Any]) -> Turn:
    """What gate 1 decided before a kill, where that can still be done; else what it decides now."""
    kept: Turn | None = before.get("turn")
    if kept is not None and kept["workflow"] in parts.workflows:
        return kept
    study = parts.study
    model = "none" if parts.caller is None else parts.caller.name
    turn = draw(parts.gates, parts.able(), model, parts.trials, study.direction, number=number, seed=study.lots)
    for line in _words(turn):
        parts.hear(number, line["role"], line["text"])
    return turn


def _words(turn: Turn) -> list[Saying]:
    return say("gate", f"the turn goes to {turn['workflow']}: {turn['reason']}") if turn["reason"] else []


def _begun_again(study: Study, running: Trial, turn: Turn) -> tuple[int, State]:
    """A trial that was begun before goes on at `run`; under the next attempt where the run itself was cut off."""
    attempt = running.attempt
    if read_outcome(study.trial_folder(running.number), attempt) is None:
        attempt = study.begin(running.number, Candidate(running.config, running.source)).attempt
    return attempt, resumed(running, attempt, turn)


def _standing(saver: SqliteSaver, config: RunnableConfig) -> Mapping[str, Any]:
    """The state in a checkpoint; empty where there is none."""
    found = saver.get_tuple(config)
    return {} if found is None else found.checkpoint["channel_values"]


def _config(study: Study, number: int, attempt: int) -> RunnableConfig:
    return {"configurable": {"thread_id": _thread(study, number, attempt)}, "recursion_limit": RECURSION_LIMIT}


def _thread(study: Study, number: int, attempt: int) -> str:
    return f"{study.name}/{number}/{attempt}"
