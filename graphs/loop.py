"""The loop over trials: plain Python, one invocation of the graph a trial, until a budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..agents.planner import planning_mode
from ..agents.prompts import prompt_hashes
from ..models.call_log import CallLog
from ..models.caller import Caller
from ..predictor.workflow import WORKFLOWS, Workflow, workflow_named
from ..trials.advisor import Advisor
from ..trials.advisors import default_advisors
from ..trials.errors import SpecError
from ..trials.runner import Runner
from ..trials.spec import Budget
from ..trials.study import Study
from .budgets import stop_reason
from .candidates import SpaceExhausted
from .carrying import carry_trial
from .checkpoints import checkpoints
from .closing import evolve_notes
from .events import Event, Stopped, StopReason, StudyStarted, ignore
from .gating import Gates
from .noise import measure_noise
from .parts import Parts
from .recording import mend_log
from .remembering import StudyMemory
from .running import repaired
from .tuning import build_graph

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CALLS = "calls.jsonl"
AUTO = "auto"  # a workflow for each trial, by gate 1
WITH_MODEL = ("planner-critic", "planner", "debate", "chance", "advisors")  # which gate 1 draws from
UNGATED, WITHOUT = "planner-critic", "advisors"  # with a model, and without one


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
    noise: int | None = None,
    stop_early: bool = True,
    memory: StudyMemory | None = None,
    evolve: float = 0.0,
    gates: Gates | None = None,
) -> StopReason:
    """Run trials until a budget is spent; a study that has some goes on where it stands.

    Whoever calls holds the study's lock, and closes the runner.

    Args:
        model: None leaves every decision to the advisors.
        workflow: a built-in one's name or one of your own, for every trial. By default gate 1 chooses one for each
            where there is a model; without one it is `advisors`.
        noise: extra runs of trial 0, outside the budget of trials and inside the hours. None is two, and fewer where
            the hours are short and these runs no small part of them.
        memory: what past studies taught, and where this one goes; None neither reads nor writes one.
        evolve: seconds that the model may spend on the memory's notes once the study has ended; 0 leaves them alone.
        gates: what is decided before money is spent; None runs everything, by `planner-critic` with a model.

    Raises:
        InputError: the user must act; finished trials are kept.
        KeyboardInterrupt: after the running trial's processes are ended.
    """
    gated = gates is not None
    chosen = [one.bound(model_name, prompt_hashes()) for one in _workflows(workflow, model is not None, gated=gated)]
    parts = Parts(
        study=study,
        runner=repaired(study, runner),
        advisors=default_advisors() if advisors is None else advisors,
        workflows={one.name: one for one in chosen},
        budget=budget,
        listen=listen,
        caller=None if model is None else Caller(model, name=model_name, log=CallLog(study.folder / CALLS)),
        mode=planning_mode(model_name),
        stop_early=stop_early,
        memory=memory,
        gates=gates or Gates(judge=None),
    )
    name = chosen[0].name if len(chosen) == 1 else AUTO
    listen(StudyStarted(len(parts.trials), budget.trials, model_name, name))
    if model is None and chosen[0].uses_model:
        parts.warn("no model", f"workflow {name} has no model to ask, so the advisors decide")
    try:
        reason = _loop(parts, noise)
    except KeyboardInterrupt:
        listen(Stopped(StopReason.INTERRUPTED))
        raise
    parts.remember(learn=True)
    evolve_notes(parts, evolve)
    listen(Stopped(reason))
    return reason


def _loop(parts: Parts, noise: int | None) -> StopReason:
    mend_log(parts)
    parts.remember(learn=True)  # what a kill kept from it
    with checkpoints(parts.study.folder) as saver:
        graphs = {name: build_graph(workflow, parts, saver) for name, workflow in parts.workflows.items()}
        while True:
            number = parts.study.next_number()
            parts.turn_to(number)
            if number == 1:
                measure_noise(parts, noise)
            reason = stop_reason(parts.used, parts.budget)
            if reason is not None:
                return reason
            try:
                carry_trial(parts, graphs, saver, number)
            except SpaceExhausted:
                return StopReason.EXHAUSTED


def _workflows(wanted: str | Workflow | None, has_model: bool, *, gated: bool) -> list[Workflow]:
    """Those that may carry a trial, the first one trial 0."""
    if isinstance(wanted, Workflow):
        return [wanted]
    check_workflow(wanted)
    if wanted is None or wanted == AUTO:
        return [WORKFLOWS[name] for name in (WITHOUT,) * (not has_model) or (WITH_MODEL if gated else (UNGATED,))]
    return [WORKFLOWS[wanted]]


def check_workflow(wanted: str | None) -> None:
    """Raises SpecError where this is neither a built-in workflow nor `AUTO`; None is as good as that."""
    try:
        if wanted not in (None, AUTO):
            workflow_named(str(wanted))
    except ValueError as error:
        raise SpecError(f"{error}; or {AUTO!r}, one for each trial") from error
