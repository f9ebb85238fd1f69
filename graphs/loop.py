"""The loop over trials: plain Python, one invocation of the graph a trial, until a budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..agents.planner import planning_mode
from ..models.call_log import CallLog
from ..models.caller import Caller
from ..predictor.workflow import workflow_named
from ..trials.advisor import Advisor
from ..trials.advisors import default_advisors
from ..trials.command import CommandRunner
from ..trials.errors import SpecError
from ..trials.processes import end_recorded
from ..trials.records import Candidate
from ..trials.runner import Runner
from ..trials.spec import Budget
from ..trials.study import Study
from .events import Event, Stopped, StopReason, StudyStarted, ignore
from .noise import measure_noise
from .outcomes import read_outcome
from .parts import Parts
from .state import Choice, State
from .tuning import RECURSION_LIMIT, build_graph, checkpoints

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CALLS = "calls.jsonl"


def tune_study(
    study: Study,
    runner: Runner,
    *,
    budget: Budget,
    model: BaseChatModel | None = None,
    model_name: str = "none",
    workflow: str = "advisors",
    advisors: Sequence[Advisor] | None = None,
    listen: Callable[[Event], None] = ignore,
    noise: int = 2,
    stop_early: bool = True,
) -> StopReason:
    """Run trials until a budget is spent; a study that has some goes on where it stands.

    Args:
        model: None leaves every decision to the advisors.
        noise: extra runs of trial 0, outside the budget of trials and inside the hours.

    Raises:
        InputError: the user must act; finished trials are kept.
        KeyboardInterrupt: after the running trial's processes are ended.
    """
    try:
        chosen = workflow_named(workflow)
    except ValueError as error:
        raise SpecError(str(error)) from error
    caller = None if model is None else Caller(model, name=model_name, log=CallLog(study.folder / CALLS))
    parts = Parts(
        study=study,
        runner=_as_repaired(study, runner),
        advisors=default_advisors() if advisors is None else advisors,
        workflow=chosen,
        budget=budget,
        listen=listen,
        caller=caller,
        mode=planning_mode(model_name),
        stop_early=stop_early,
    )
    listen(StudyStarted(len(study.finished), budget.trials, model_name, chosen.name))
    reason = _loop(parts, noise)
    listen(Stopped(reason))
    return reason


def _loop(parts: Parts, noise: int) -> StopReason:
    with checkpoints(parts.study.folder) as saver:
        graph = build_graph(parts.workflow, parts, saver)
        while (reason := spent(parts.study, parts.budget)) is None:
            number = parts.study.next_number()
            if number == 1:
                measure_noise(parts, noise)
            _one_trial(parts, graph, saver, number)
    return reason


def spent(study: Study, budget: Budget) -> StopReason | None:
    """Which budget is used up, if any; a trial that a kill left running is always brought to its end."""
    done = study.finished
    if len(done) >= budget.trials:
        return StopReason.TRIALS
    if budget.hours is not None and study.seconds >= budget.hours * 3600:
        return StopReason.HOURS
    if budget.tokens is not None and sum(int(t.extra.get("tokens", 0)) for t in done) >= budget.tokens:
        return StopReason.TOKENS
    if budget.failures is not None and study.failures >= budget.failures:
        return StopReason.FAILURES
    return None


def _one_trial(parts: Parts, graph: Any, saver: Any, number: int) -> None:
    """Carry one trial through the graph; a half-run one is attempted again with the configuration it had."""
    study = parts.study
    parts.begin(number)
    end_recorded(study.trial_folder(number))
    running = study.running(number)
    attempt = 0 if running is None else running.attempt
    state: State | None = {"number": number, "attempt": attempt, "decisions": 0}
    if running is not None:
        if read_outcome(study.trial_folder(number), attempt) is None:
            attempt = study.begin(number, Candidate(running.config, running.source)).attempt
        choice = Choice(config=dict(running.config), source=running.source, reason=running.reason, probability=None)
        state = {"number": number, "attempt": attempt, "decisions": 0, "choice": choice}
    thread = f"{study.name}/{number}/{attempt}"
    config = {"configurable": {"thread_id": thread}, "recursion_limit": RECURSION_LIMIT}
    if running is None and graph.get_state(config).next:
        state = None  # a kill between two nodes: the checkpoint goes on
    graph.invoke(state, config, durability="sync")
    for earlier in range(attempt + 1):
        saver.delete_thread(f"{study.name}/{number}/{earlier}")


def _as_repaired(study: Study, runner: Runner) -> Runner:
    """The runner with the repairs of earlier trials, so that a resumed study does not crash and mend again."""
    for trial in study.finished:
        for renames in trial.extra.get("repairs", []):
            if isinstance(runner, CommandRunner):
                runner = runner.with_edit(renames)
    return runner
