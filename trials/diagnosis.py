"""What a trajectory shows: one verdict with its evidence in numbers.

The diagnoses are those of the Trajectory Context Summarizer (Expert Blocks, arXiv 2509.15561, section 3); the rules
are ours, chosen on labelled curves (docs/diagnosis.md). All work on the share of a curve's own range, so that neither
the metric's unit nor its offset matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .records import Cause, Direction, State, Trial

MIN_POINTS = 4  # fewer say nothing about a shape
TAIL = 0.2  # share of the steps that counts as the end of a curve
# Shares of a curve's scale: its own range, or the way from its start to the study's best value if that is longer.
RISE = 0.02  # lost after the best: less is no overfitting
STILL = 0.012  # gained over the tail: more is still improving
VISIBLE = 0.05  # of the scale: a curve that moves less does not count as moving at all
POOR = 0.5  # of the way to the study's best value: a flat curve that came less far is underfitting
SLOW = 0.2  # of the same: so is one that still improves, but came less far than this
BEYOND = 0.5  # worse than the start at the end: a curve that ran so far away has diverged
# Shares of a curve's own range and steps.
ROUGH = 0.2  # mean size of a backward step from which a curve is unstable
BACKWARD = 0.3  # share of backward steps from which a curve is unstable


class Verdict(StrEnum):
    """What a trial's curves show."""

    DIVERGED = "diverged"
    OVERFITTING = "overfitting"
    PLATEAU = "plateau"
    UNDERFITTING = "underfitting"
    UNSTABLE = "unstable"
    IMPROVING = "still improving"
    CRASHED = "crashed"
    HEALTHY = "healthy"  # one value, or too few points for a shape


@dataclass(frozen=True)
class Diagnosis:
    """A verdict, the step since when it holds, and the numbers behind it."""

    verdict: Verdict
    since: int | None = None
    evidence: str = ""
    cause: Cause | None = None


def diagnose(trial: Trial, direction: Direction, metric: str, reference: float | None = None) -> Diagnosis:
    """The verdict on one trial.

    Args:
        metric: the target metric; a curve of the same metric on training data is found by its name (`train_loss`
            beside `val_loss`) and used where it is there.
        reference: the study's best value, against which a flat curve is a plateau or an underfit.
    """
    trajectory = trial.trajectory
    if trial.state is State.FAILED and trial.failure is not None and trial.failure.cause is not Cause.NAN:
        return Diagnosis(Verdict.CRASHED, None, _crash(trial.failure.cause, trial.failure.detail), trial.failure.cause)
    valid = trajectory.metrics.get(metric, ())
    if trial.failure is not None:
        since = _first_bad(trajectory.steps, valid)
        return Diagnosis(Verdict.DIVERGED, since, f"{metric} is not a number{_from(since)}", Cause.NAN)
    train = trajectory.metrics.get(_train_name(metric))
    return diagnose_curves(trajectory.steps, train, valid, direction, reference)


def diagnose_curves(
    steps: Sequence[int],
    train: Sequence[float] | None,
    valid: Sequence[float],
    direction: Direction,
    reference: float | None = None,
) -> Diagnosis:
    """The verdict on curves of shape (n_steps,). Pure; the same when the metric is scaled, shifted or mirrored."""
    since = _first_bad(steps, valid) if train is None else _earliest(_first_bad(steps, valid), _first_bad(steps, train))
    if since is not None:
        return Diagnosis(Verdict.DIVERGED, since, f"not a number from step {since} on", Cause.NAN)
    if len(valid) < MIN_POINTS:
        return Diagnosis(Verdict.HEALTHY, None, f"{len(valid)} points, too few for a shape")
    cost = -direction.sign * np.asarray(valid, dtype=float)  # lower is better from here on
    target = None if reference is None else -direction.sign * reference
    return _shape(list(steps), cost, target, list(valid))


def _shape(steps: list[int], cost: np.ndarray, target: float | None, shown: list[float]) -> Diagnosis:
    smooth = _median3(cost)
    best, n = int(np.argmin(smooth)), len(cost)
    low = max(best - 1, 0)
    best = low + int(np.argmin(cost[low : best + 2]))  # the median moves a peak by one step
    way = float(smooth[0] - target) if target is not None else 0.0
    scale = max(float(smooth[0] - smooth.min()), way) or float(np.ptp(smooth)) or 1.0
    if smooth[-1] - smooth[0] > BEYOND * scale:
        return Diagnosis(Verdict.DIVERGED, steps[best], f"from {shown[best]:.4g} away to {shown[-1]:.4g}")
    back = np.diff(cost)[np.diff(cost) > 0]
    span = float(np.ptp(cost))
    if span > VISIBLE * scale and n >= 2 * MIN_POINTS and len(back) > BACKWARD * n and back.mean() > ROUGH * span:
        share = back.mean() / span
        return Diagnosis(Verdict.UNSTABLE, None, f"{len(back)} of {n - 1} steps go back, by {share:.0%} of its range")
    tail = max(1, round(TAIL * (n - 1)))
    recent, lost = float(smooth[-1 - tail] - smooth[-1]), float(smooth[-1] - smooth.min())
    covered = float(smooth[0] - smooth.min()) / way if way > 0 else 1.0
    if covered < (SLOW if recent > STILL * scale else POOR):
        return Diagnosis(Verdict.UNDERFITTING, steps[best], f"{shown[-1]:.4g} is {covered:.0%} of the way to the best")
    if lost > RISE * scale and best < (1 - TAIL / 2) * (n - 1):
        return Diagnosis(Verdict.OVERFITTING, steps[best], f"best {shown[best]:.4g}, then worse to {shown[-1]:.4g}")
    if recent > STILL * scale:
        return Diagnosis(Verdict.IMPROVING, None, f"{recent / scale:.0%} of all gain came in the last {tail} reports")
    since = steps[_settled(smooth, scale)]
    return Diagnosis(Verdict.PLATEAU, since, f"about {shown[-1]:.4g} from step {since} to {steps[-1]}")


def _settled(smooth: np.ndarray, scale: float) -> int:
    """The first index from which on the curve stays within `RISE` of its scale of its best value."""
    away = np.nonzero(smooth - np.min(smooth) > RISE * scale)[0]
    return int(min(away[-1] + 1, len(smooth) - 1)) if len(away) else 0


def _median3(values: np.ndarray) -> np.ndarray:
    """A running median of three, the ends as they are: one odd report is no trend."""
    if len(values) < 3:
        return values
    middle = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], middle, values[-1:]])


def _first_bad(steps: Sequence[int], values: Sequence[float]) -> int | None:
    # A step that reported other metrics only has NaN here too; once it starts, a real one never ends.
    finite = [i for i, v in enumerate(values) if math.isfinite(v)]
    last = finite[-1] if finite else -1
    infinite = next((i for i, v in enumerate(values) if math.isinf(v)), None)
    bad = infinite if infinite is not None else last + 1
    return steps[bad] if bad < len(values) else None


def _earliest(a: int | None, b: int | None) -> int | None:
    return min((x for x in (a, b) if x is not None), default=None)


def _train_name(metric: str) -> str:
    base = metric.removeprefix("val_").removeprefix("valid_").removeprefix("validation_")
    return f"train_{base}"


def _crash(cause: Cause, detail: str) -> str:
    last = detail.strip().splitlines()[-1][:160] if detail.strip() else ""
    return f"{cause}: {last}" if last else cause.value


def _from(since: int | None) -> str:
    return "" if since is None else f" from step {since} on"
