"""Carrying a candidate to its outcome: begin, run, repair a crashed launch, keep the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..agents.coder import Repair, repair
from ..models.errors import ModelError
from ..trials.command import CommandRunner
from ..trials.errors import StudyError
from ..trials.records import Candidate, Cause, Config, Outcome
from ..trials.runner import OnReport
from ..trials.space import Space
from ..trials.stopping import Stopper
from ..trials.worker import CallableRunner
from .events import Reported, TrialStarted
from .outcomes import read_outcome, write_outcome
from .parts import Parts
from .state import State

MAX_REPAIRS = 2  # a trial
SETUP = (Cause.NO_METRIC, Cause.NOT_FOUND)  # of trial 0: the study file is wrong, not the configuration


def run(parts: Parts, number: int, candidate: Candidate, state: State) -> None:
    """Run a candidate as trial `number` and leave its outcome in the trial's folder, unless it is there already.

    Raises:
        StudyError: when trial 0 shows that the study cannot work; the study then stays as it was.
        InputError, KeyboardInterrupt: from the runner; the trial stays unfinished.
    """
    study, attempt = parts.study, state["attempt"]
    folder = study.trial_folder(number)
    if number and study.running(number) is None:
        study.begin(number, candidate, **_before(parts, number, state))
    if read_outcome(folder, attempt) is not None:
        return
    parts.tell(TrialStarted(number, candidate, attempt))
    outcome = _with_repairs(parts, number, candidate.config)
    if number == 0:
        # Trial 0 begins only now: a study whose very first run cannot work must stay untouched.
        _check_setup(outcome)
        if study.running(0) is None:
            study.begin(0, _as_used(parts, candidate), **_before(parts, 0, state))
    _grow(parts, number)
    write_outcome(folder, attempt, outcome, {"agents": parts.said, "repairs": parts.repairs})


def _with_repairs(parts: Parts, number: int, config: Config) -> Outcome:
    outcome = parts.runner.run(config, parts.study.trial_folder(number), on_report=_listener(parts, number))
    for _ in range(MAX_REPAIRS):
        found = _repair(parts, number, outcome)
        if found is None:
            return outcome
        assert isinstance(parts.runner, CommandRunner)  # nothing else can be repaired
        parts.runner = parts.runner.with_edit(found.renames)
        parts.repairs.append(found.renames)
        parts.say(number, "coder", f"repairs the launch: {found.reason}")
        outcome = parts.runner.run(config, parts.study.trial_folder(number), on_report=_listener(parts, number))
    return outcome


def _repair(parts: Parts, number: int, outcome: Outcome) -> Repair | None:
    failure = outcome.failure
    if failure is None or failure.cause is not Cause.CRASH or not isinstance(parts.runner, CommandRunner):
        return None
    if outcome.trajectory.steps or not parts.runner.declared:
        return None  # it got as far as reporting: no launch failure
    try:
        return repair(parts.runner.declared, failure.detail, parts.caller)
    except ModelError as error:
        parts.say(number, "coder", f"failed: {error}")
        return None


def _listener(parts: Parts, number: int) -> OnReport:
    study = parts.study
    stopper = Stopper(study.direction, study.metric, study.finished) if parts.stop_early and number else None

    def heard(step: int, metrics: Mapping[str, float]) -> bool:
        parts.tell(Reported(number, step, metrics))
        value = metrics.get(study.metric)
        return stopper is not None and value is not None and stopper.should_stop(step, value)

    return heard


def _check_setup(outcome: Outcome) -> None:
    if outcome.failure is not None and outcome.failure.cause in SETUP:
        raise StudyError(f"the first run did not work: {outcome.failure.detail}")


def _as_used(parts: Parts, candidate: Candidate) -> Candidate:
    """Trial 0 of an objective without a space: what it suggested is the configuration."""
    if parts.study.space is not None or not isinstance(parts.runner, CallableRunner):
        return candidate
    if not parts.runner.suggested:
        raise StudyError("an objective must suggest at least one hyperparameter, but it asked for none; use `trial`")
    parts.study.grow(Space(dict(parts.runner.suggested)))
    return Candidate(dict(parts.runner.used), candidate.source, candidate.reason)


def _grow(parts: Parts, number: int) -> None:
    """Take up what an objective suggested beyond the space so far."""
    runner, space = parts.runner, parts.study.space
    if not isinstance(runner, CallableRunner) or space is None:
        return
    fresh = {name: p for name, p in runner.suggested.items() if name not in space.parameters}
    if fresh:
        parts.study.grow(Space({**space.parameters, **fresh}, space.constraints))
    if runner.used:
        parts.study.annotate(number, config=runner.used)


def _before(parts: Parts, number: int, state: State) -> dict[str, Any]:
    """What gain is derived from later: the raw facts at the moment of the decision (design, section 4)."""
    study = parts.study
    values = [t.value for t in study.finished if t.value is not None]
    choice = state.get("choice")
    return {
        "best_before": study.direction.best(values) if values else None,
        "scale": max(values) - min(values) if values else None,
        "noise": parts.context(number).noise.deviation if values else None,
        "index": number,
        "budget_left": parts.budget.trials - number,
        "choice_probability": None if choice is None else choice["probability"],
        "workflow": parts.workflow.name,
        "model": "none" if parts.caller is None else parts.caller.name,
    }
