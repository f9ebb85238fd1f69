"""The noise floor: trial 0 again, on other seeds, before anything is compared with it.

Where hours are short each of these runs takes the place of another trial's, so they must be a small part of the hours.
"""

from __future__ import annotations

from ..trials.processes import end_recorded
from ..trials.records import Candidate, State, Trial
from .budgets import SECONDS_AN_HOUR, short_of_time, stop_reason
from .events import NoiseMeasured, TrialStarted
from .parts import Parts

USUAL = 2  # extra runs of trial 0
SMALL = 0.05  # of the hours: what they may take where these are short


def measure_noise(parts: Parts, runs: int | None) -> None:
    """Bring the extra runs of trial 0 up to `runs`: outside the budget of trials, inside the hours.

    None is the usual number, as far as the hours allow it.

    A script that gives the same value on another seed is deterministic, and needs no second run. A run that fails
    ends the measurement: a default that does not always work has no noise floor.
    """
    default = parts.study.default
    if default is None or default.state is not State.COMPLETE:
        return
    while _wanted(parts, default, runs):
        if not _run_again(parts, default):
            parts.warn("noise", "trial 0 failed when it ran again, so the noise stays unknown")
            return


def _wanted(parts: Parts, default: Trial, runs: int | None) -> bool:
    noise = parts.study.noise
    if noise[:1] == [default.value] or stop_reason(parts.used, parts.budget) is not None:
        return False
    if runs is None:
        return len(noise) < USUAL and _affordable(parts, default)
    return len(noise) < runs


def _affordable(parts: Parts, default: Trial) -> bool:
    """Whether one run more is a small part of the hours, or these are not what will end the study."""
    if parts.budget.hours is None or not short_of_time(parts.trials, parts.used, parts.budget):
        return True
    return parts.study.noise_seconds + default.seconds <= SMALL * parts.budget.hours * SECONDS_AN_HOUR


def _run_again(parts: Parts, default: Trial) -> bool:
    study = parts.study
    seed = len(study.noise) + 1  # trials have seed 0
    folder = study.folder / "noise" / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    end_recorded(folder)
    parts.tell(TrialStarted(None, Candidate(default.config, "noise", "trial 0 again, to know the noise")))
    outcome = parts.runner.run(default.config, folder, seed=seed)
    works = outcome.state is State.COMPLETE and outcome.value is not None
    parts.tell(NoiseMeasured(outcome.value if works else None))
    if works and outcome.value is not None:
        study.add_noise(outcome.value, outcome.seconds)
        parts.turn_to(study.next_number())
    return works
