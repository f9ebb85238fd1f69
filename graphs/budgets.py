"""What a study has spent, what is left, and whether it is time to stop. Pure: trials in, numbers out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..trials.records import State, Trial
from ..trials.spec import Budget
from ..trials.study import Study
from .events import StopReason

SECONDS_AN_HOUR = 3600.0
LONGEST_REST = 30  # trials without asking a model that keeps failing


@dataclass(frozen=True)
class Spent:
    """Over all runs of a study. `seconds` are wall time of trials, of extra runs of trial 0, and of the model."""

    trials: int
    seconds: float
    tokens: int
    failures: int


def spent(study: Study, trials: Sequence[Trial]) -> Spent:
    """What the finished trials of a study have cost."""
    return Spent(
        trials=len(trials),
        seconds=study.noise_seconds + sum(t.seconds + float(t.extra.get("model_seconds") or 0.0) for t in trials),
        tokens=sum(int(t.extra.get("tokens") or 0) for t in trials),
        failures=sum(t.state is State.FAILED for t in trials),
    )


def stop_reason(used: Spent, budget: Budget) -> StopReason | None:
    """Which budget is used up; None while there is something left of each."""
    if used.trials >= budget.trials:
        return StopReason.TRIALS
    if budget.hours is not None and used.seconds >= budget.hours * SECONDS_AN_HOUR:
        return StopReason.HOURS
    if budget.tokens is not None and used.tokens >= budget.tokens:
        return StopReason.TOKENS
    if budget.failures is not None and used.failures >= budget.failures:
        return StopReason.FAILURES
    return None


def short_of_time(trials: Sequence[Trial], used: Spent, budget: Budget) -> bool:
    """Whether the hours, and not the number of trials, will end the study: they hold fewer full trainings than that.

    Args:
        trials: the finished ones.
    """
    full = [t.seconds for t in trials if t.state is State.COMPLETE and t.seconds > 0]
    if budget.hours is None or not full:
        return False
    rest = budget.hours * SECONDS_AN_HOUR - used.seconds
    return rest / statistics.median(full) < budget.trials - used.trials


def left(used: Spent, budget: Budget) -> dict[str, float]:
    """What is left of each budget that was set, by its name; hours as a fraction."""
    found: dict[str, float] = {"trials": budget.trials - used.trials}
    if budget.hours is not None:
        found["hours"] = round(budget.hours - used.seconds / SECONDS_AN_HOUR, 4)
    if budget.tokens is not None:
        found["tokens"] = budget.tokens - used.tokens
    if budget.failures is not None:
        found["failures"] = budget.failures - used.failures
    return found


def rest(trials: Sequence[Trial]) -> int:
    """For how many more trials a model that fails at every question is not asked: a dead server costs each trial its
    time limit.

    The first failure costs no rest, and each further one in a row doubles it: 1, 3, 7, 15, then `LONGEST_REST` trials.
    """
    failed = idle = 0
    for trial in reversed(trials):
        if trial.extra.get("decisions"):
            break
        failed += bool(trial.extra.get("model_failures"))
        idle += not failed
    longest = min((1 << failed) // 2, LONGEST_REST + 1)  # 0, 1, 2, 4, 8, ...
    return max(0, longest - 1 - idle)
