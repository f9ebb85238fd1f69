"""What a trajectory shows: one verdict with its evidence in numbers.

The diagnoses are those of the Trajectory Context Summarizer (Expert Blocks, arXiv 2509.15561, section 3); the rules
are ours, chosen on labelled curves (docs/diagnosis.md). All compare shares of a curve's scale (`trials/curve.py`), so
that neither the metric's unit nor its offset matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .curve import MIN_POINTS, Curve, curve_of
from .records import Cause, Direction, State, Trial

# Shares of the scale: the way from the curve's start to the study's best value, or to its own if that is better.
BEYOND = 0.5  # worse than the start at the end: a curve that ran so far away has diverged
RISE = 0.03  # lost after the best: less is no overfitting, and a curve that stays so near is on its plateau
ROUGH = 0.03  # the mean step back, from which a curve is unstable
SEEN = 0.014  # fallen over the tail: more is still improving
SLOW = 0.006  # the same for a curve that falls steadily: a slope that goes on is seen sooner than one that ends
POOR = 2 / 3  # learned of the way: a flat curve that came less far is underfitting
FAR = 0.05  # still to go at the best: a curve that came nearer is no underfit, however early it settled
# Other shares and ratios.
STEADY = 0.18  # of the curve's range, fallen over the tail; a straight line has a fifth
CLEAR = 1.5  # the fall over the tail in units of the scatter: less may be noise
WANDERING = 2.0  # the way to and fro, in units of the net change, from which a curve is unstable
VALLEYS = 0.25  # of the steps turn from better to worse: a curve is unstable; pure noise has a third
FOLLOWS = 0.3  # of what validation lost after its best, lost on training data: with no more, the model overfits
UNDONE = 0.5  # of all that the curve had gained, lost again: if training follows, it has diverged


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
    curve = curve_of(valid, train, reference, -direction.sign)
    return _worded(_verdict(curve), curve, steps, valid)


def _verdict(c: Curve) -> Verdict:
    """The first rule that holds; the order is part of the rules."""
    falls_back = c.lost > max(RISE, c.rough)  # more than its noise
    if falls_back and c.train_lost <= FOLLOWS:
        return Verdict.OVERFITTING
    if c.beyond > BEYOND or (falls_back and c.train is not None and c.undone > UNDONE):
        return Verdict.DIVERGED
    if falls_back and c.train is None and c.undone > 0:
        return Verdict.OVERFITTING
    if _unstable(c):
        return Verdict.UNSTABLE
    if (c.fall > SEEN or (c.fall > SLOW and c.steady > STEADY)) and c.clear > CLEAR:
        return Verdict.IMPROVING
    if c.left > FAR and c.covered < POOR and not c.train_arrives:
        return Verdict.UNDERFITTING
    return Verdict.PLATEAU


def _unstable(c: Curve) -> bool:
    """Whether the steps back are large and frequent and outweigh what the curve changes on the whole."""
    often = len(c.later) >= 2 * (MIN_POINTS - 1) and c.valleys >= VALLEYS * len(c.later)
    return often and c.rough > ROUGH and c.wandering > WANDERING


def _worded(verdict: Verdict, c: Curve, steps: Sequence[int], shown: Sequence[float]) -> Diagnosis:
    """The verdict with the step since when it holds and its evidence."""
    best, end = shown[c.best], shown[-1]
    match verdict:
        case Verdict.OVERFITTING:
            return Diagnosis(verdict, steps[c.best], f"best {best:.4g}, then worse to {end:.4g}")
        case Verdict.DIVERGED:
            return Diagnosis(verdict, steps[c.best], f"from {best:.4g} away to {end:.4g}")
        case Verdict.UNSTABLE:
            turns = f"{c.valleys} turns for the worse in {len(c.later)} steps"
            return Diagnosis(verdict, None, f"{turns}, {c.rough:.0%} of its range on average")
        case Verdict.IMPROVING:
            return Diagnosis(verdict, None, f"{c.fall:.1%} of the way to the best gained in the last {c.tail} steps")
        case Verdict.UNDERFITTING:
            return Diagnosis(verdict, steps[c.best], f"flat at {end:.4g}, {c.left:.0%} of the way to the best left")
    since = steps[c.settled(RISE)]
    return Diagnosis(verdict, since, f"about {end:.4g} from step {since} to {steps[-1]}")


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
