"""The loop over trials: plain Python, one invocation of the graph a trial, until a budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..agents.planner import planning_mode
from ..agents.prompts import prompt_hash, roles
from ..models.call_log import CallLog
from ..models.caller import Caller
from ..predictor.workflow import Workflow, workflow_named
from ..trials.advisor import Advisor
from ..trials.advisors import default_advisors
from ..trials.errors import SpecError
from ..trials.processes import end_recorded
from ..trials.records import Candidate
from ..trials.runner import Runner
from ..trials.spec import Budget
from ..trials.study import Study
from .accounts import resumed
from .budgets import stop_reason
from .candidates import SpaceExhausted
from .checkpoints import checkpoints
from .events import Event, Stopped, StopReason, StudyStarted, ignore
from .noise import measure_noise
from .outcomes import read_outcome
from .parts import Parts
from .recording import mend_log
from .remembering import StudyMemory
from .running import repaired
from .state import State
from .tuning import RECURSION_LIMIT, build_graph

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.sqlite import SqliteSaver

CALLS = "calls.jsonl"
WITH_MODEL, WITHOUT = "planner-critic", "advisors"  # workflows, unless told otherwise


def tune_study(
    study: Study,
    runner: Runner,
    *,
    budget: Budget,
    model: BaseChatModel | None = None,
    model_name: str = "none",
    workflow: str | Workflow | None = None,
    advisors: Sequence[Advisor] | None = None,
    listen: Callable[[Event], None] = ignore,
    noise: int = 2,
    stop_early: bool = True,
    memory: StudyMemory | None = None,
    evolve: float = 0.0,
) -> StopReason:
    """Run trials until a budget is spent; a study that has some goes on where it stands.

    Whoever calls holds the study's lock, and closes the runner.

    Args:
        model: None leaves every decision to the advisors.
        workflow: a built-in one's name or one of your own; by default `planner-critic` with a model, else `advisors`.
        noise: extra runs of trial 0, outside the budget of trials and inside the hours.
        memory: what past studies taught, and where this one goes; None neither reads nor writes one.
        evolve: seconds that the model may spend on the memory's notes once the study has ended; 0 leaves them alone.

    Raises:
        InputError: the user must act; finished trials are kept.
        KeyboardInterrupt: after the running trial's processes are ended.
    """
    chosen = _workflow(workflow, model is not None).bound(model_name, _prompt_hashes())
    parts = Parts(
        study=study,
        runner=repaired(study, runner),
        advisors=default_advisors() if advisors is None else advisors,
        workflow=chosen,
        budget=budget,
        listen=listen,
        caller=None if model is None else Caller(model, name=model_name, log=CallLog(study.folder / CALLS)),
        mode=planning_mode(model_name),
        stop_early=stop_early,
        memory=memory,
    )
    listen(StudyStarted(len(parts.trials), budget.trials, model_name, chosen.name))
    if model is None and chosen.uses_model:
        parts.warn("no model", f"workflow {chosen.name} has no model to ask, so the advisors decide")
    try:
        reason = _loop(parts, noise)
    except KeyboardInterrupt:
        listen(Stopped(StopReason.INTERRUPTED))
        raise
    parts.remember(learn=True)
    parts.evolve(evolve)
    listen(Stopped(reason))
    return reason


def _loop(parts: Parts, noise: int) -> StopReason:
    mend_log(parts)
    parts.remember(learn=True)  # what a kill kept from it
    with checkpoints(parts.study.folder) as saver:
        graph = build_graph(parts.workflow, parts, saver)
        while True:
            number = parts.study.next_number()
            parts.turn_to(number)
            if number == 1:
                measure_noise(parts, noise)
            reason = stop_reason(parts.used, parts.budget)
            if reason is not None:
                return reason
            try:
                _one_trial(parts, graph, saver, number)
            except SpaceExhausted:
                return StopReason.EXHAUSTED


def _one_trial(parts: Parts, graph: Any, saver: SqliteSaver, number: int) -> None:
    """Carry one trial through the graph. Whatever stands in the study counts; a checkpoint only spares planning."""
    study, workflow = parts.study, parts.workflow.name
    end_recorded(study.trial_folder(number))
    running = study.running(number)
    if running is None:
        attempt = 0
        state: State | None = State(number=number, attempt=0, workflow=workflow)
    else:
        attempt = running.attempt
        if read_outcome(study.trial_folder(number), attempt) is None:
            attempt = study.begin(number, Candidate(running.config, running.source)).attempt
        state = resumed(running, number, attempt, workflow)
    thread = _thread(study, number, attempt)
    config = {"configurable": {"thread_id": thread}, "recursion_limit": RECURSION_LIMIT}
    standing = graph.get_state(config)
    if running is None and standing.next and standing.values.get("workflow") == workflow:
        state = None  # a kill between two nodes: the checkpoint goes on
    elif standing.values:
        saver.delete_thread(thread)
    graph.invoke(state, config, durability="sync")
    for earlier in range(attempt + 1):
        saver.delete_thread(_thread(study, number, earlier))


def _thread(study: Study, number: int, attempt: int) -> str:
    return f"{study.name}/{number}/{attempt}"


def _workflow(wanted: str | Workflow | None, has_model: bool) -> Workflow:
    if isinstance(wanted, Workflow):
        return wanted
    try:
        return workflow_named(wanted or (WITH_MODEL if has_model else WITHOUT))
    except ValueError as error:
        raise SpecError(str(error)) from error


def _prompt_hashes() -> dict[str, str]:
    """Twelve hexadecimal digits of each prompt file, by its name."""
    return {role: prompt_hash(role) for role in roles()}
