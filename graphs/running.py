"""The nodes that carry a choice to its outcome: run, and repair where the launch crashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..agents.coder import repair
from ..models.errors import ModelError
from ..predictor.workflow import Node
from ..trials.advisor import seed_for
from ..trials.bayes import LIMIT
from ..trials.command import CommandRunner
from ..trials.errors import SpecError, StudyError
from ..trials.records import Candidate, Cause, Outcome
from ..trials.records import State as Ended
from ..trials.runner import OnReport, Runner
from ..trials.space import Space
from ..trials.stopping import HURRIED, Stopper
from ..trials.study import Study
from ..trials.worker import CallableRunner
from .accounts import at_begin, so_far
from .events import Reported, TrialStarted
from .outcomes import forget_outcome, read_outcome, write_outcome
from .parts import Parts
from .state import State, Update, say

if TYPE_CHECKING:
    from ..trials.curve_study import CurveOutlook

MAX_REPAIRS = 2  # a trial
SETUP = (Cause.NO_METRIC, Cause.NOT_FOUND)  # of trial 0: the study file is wrong, not the configuration


def run_node(state: State, parts: Parts, node: Node) -> Update:
    """Run the choice and leave its outcome in the trial's folder, unless it is there already.

    Raises:
        StudyError: when trial 0 shows that the study cannot work; the study then stays as it was.
        InputError, KeyboardInterrupt: from the runner; the trial stays unfinished.
    """
    number, study, choice = state["number"], parts.study, state["choice"]
    candidate = Candidate(choice["config"], choice["source"], choice["reason"])
    if number and study.running(number) is None:
        study.begin(number, candidate, **at_begin(parts, state))
    outcome = _kept(parts, state) or _run(parts, state, candidate)
    if number == 0 and study.running(0) is None:
        # Trial 0 begins only now: a study whose very first run cannot work must stay untouched.
        study.begin(0, _as_used(parts, candidate, outcome), **at_begin(parts, state))
    return {"verdict": "crashed" if _may_repair(parts, state, outcome) else "done"}


def repair_node(state: State, parts: Parts, node: Node) -> Update:
    """Rename what the script refused, for this and all later trials, and send the trial back to `run`."""
    number, folder = state["number"], parts.study.trial_folder(state["number"])
    outcome, runner = read_outcome(folder, state["attempt"]), parts.runner
    assert outcome is not None  # `run` left it
    assert outcome.failure is not None
    assert isinstance(runner, CommandRunner)
    try:
        caller = parts.caller if node.prompt else None
        found = repair(runner.declared, outcome.failure.detail, caller, taken=runner.words)
        edited = None if found is None else runner.with_edit(found.renames)
    except (ModelError, SpecError) as error:
        parts.warn("coder", f"the coder could not repair the launch: {error}")
        return {"verdict": "hopeless", "said": say("coder", f"failed: {error}")}
    if found is None or edited is None:
        return {"verdict": "hopeless"}
    said = say("coder", f"repairs the launch: {found.reason}")
    # Kept before the next run, so that a kill does not lose what was learnt.
    parts.study.annotate(number, **so_far(state, repairs=[found.renames], said=said))
    forget_outcome(folder)
    parts.runner = edited
    return {"verdict": "repaired", "repairs": [found.renames], "said": said}


def repaired(study: Study, runner: Runner) -> Runner:
    """The runner with the repairs of earlier trials, so that a resumed study does not crash and mend again."""
    for trial in study.trials:
        for renames in trial.extra.get("repairs", []):
            if isinstance(runner, CommandRunner) and set(renames) <= set(runner.declared):
                runner = runner.with_edit(renames)
    return runner


def _kept(parts: Parts, state: State) -> Outcome | None:
    """The outcome that a kill left unrecorded. What an objective suggested is not in it, so trial 0 of an unknown
    space runs again."""
    if parts.study.space is None and parts.study.running(state["number"]) is None:
        return None
    return read_outcome(parts.study.trial_folder(state["number"]), state["attempt"])


def _run(parts: Parts, state: State, candidate: Candidate) -> Outcome:
    number, folder = state["number"], parts.study.trial_folder(state["number"])
    if not state.get("repairs"):
        parts.tell(TrialStarted(number, candidate, state["attempt"]))
    stopper = _stopper(parts, candidate) if parts.stop_early and number else None
    outcome = parts.runner.run(candidate.config, folder, on_report=_listener(parts, number, stopper))
    if number == 0 and outcome.failure is not None and outcome.failure.cause in SETUP:
        raise StudyError(f"the first run did not work: {outcome.failure.detail}")
    _grow(parts, number)
    if stopper is not None and outcome.state is Ended.PRUNED and stopper.expected is not None:
        parts.study.annotate(number, expected=stopper.expected)  # what the advisors learn from a stopped trial
    write_outcome(folder, state["attempt"], outcome)
    return outcome


def _may_repair(parts: Parts, state: State, outcome: Outcome) -> bool:
    """Whether it crashed before its first report, under a command whose names could be wrong."""
    crashed = outcome.failure is not None and outcome.failure.cause is Cause.CRASH and not outcome.trajectory.steps
    if not crashed or not isinstance(parts.runner, CommandRunner):
        return False
    return bool(parts.runner.declared) and len(state.get("repairs", [])) < MAX_REPAIRS


def _stopper(parts: Parts, candidate: Candidate) -> Stopper:
    study, noise = parts.study, parts.context().noise.deviation or 0.0
    if not parts.hurried:
        return Stopper(study.direction, study.metric, parts.trials, noise=noise)
    outlook = _outlook(parts, candidate, noise)
    return Stopper(study.direction, study.metric, parts.trials, noise=noise, hopeless=HURRIED, outlook=outlook)


def _outlook(parts: Parts, candidate: Candidate, noise: float) -> CurveOutlook | None:
    """What the study's curves will say of this one; None while they are too few, or too many to be quick."""
    study, space = parts.study, parts.study.space
    if space is None or len(parts.trials) >= LIMIT:
        return None
    from ..trials.curve_study import CurveOutlook, CurveStudy  # scikit-learn takes a second to import

    rng = np.random.default_rng(seed_for(study.seed, len(parts.trials), "outlook"))
    read = CurveStudy.of(space, parts.trials, study.direction, study.metric, rng, failures=False)
    return None if read is None else CurveOutlook(read, candidate.config, noise)


def _listener(parts: Parts, number: int, stopper: Stopper | None) -> OnReport:
    study = parts.study

    def heard(step: int, metrics: Mapping[str, float]) -> bool:
        parts.tell(Reported(number, step, metrics))
        value = metrics.get(study.metric)
        return stopper is not None and value is not None and stopper.should_stop(step, value)

    return heard


def _as_used(parts: Parts, candidate: Candidate, outcome: Outcome) -> Candidate:
    """Trial 0 of an objective without a space: what it suggested is the configuration.

    Raises:
        StudyError: it suggested nothing, and so leaves nothing to tune.
    """
    if parts.study.space is not None or not isinstance(parts.runner, CallableRunner):
        return candidate
    if not parts.runner.suggested and outcome.failure is not None:
        raise StudyError(f"the first run failed before it suggested a hyperparameter: {outcome.failure.detail}")
    if not parts.runner.suggested:
        raise StudyError("an objective must suggest at least one hyperparameter, but it asked for none; use `trial`")
    parts.study.grow(Space(dict(parts.runner.suggested)))
    return Candidate(dict(parts.runner.used), candidate.source, candidate.reason)


def _grow(parts: Parts, number: int) -> None:
    """Take up what an objective suggested beyond the space so far, and what it really used."""
    runner, study = parts.runner, parts.study
    if not isinstance(runner, CallableRunner) or study.space is None:
        return
    running = study.running(number)
    if running is None:
        return
    new = {name: p for name, p in runner.suggested.items() if name not in study.space.parameters}
    if new and runner.space is None:
        study.grow(Space({**study.space.parameters, **new}, study.space.constraints))
    if runner.used and dict(runner.used) != dict(running.config):
        study.annotate(number, config=runner.used)
