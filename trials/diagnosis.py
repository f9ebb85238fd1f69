"""What a trajectory shows: one verdict with its evidence in numbers.

The diagnoses are those of the Trajectory Context Summarizer (Expert Blocks, arXiv 2509.15561, section 3). A crash, a
value that is no number, too few points and two rare shapes are judged by rules; all others by the vote of small trees
fitted to labelled curves (`trials/forest.py`, docs/diagnosis.md). All of them compare shares of the curve's own scale
(`trials/curve.py`), so that neither the metric's unit nor its offset matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .curve import MIN_POINTS, Curve, curve_of
from .forest import vote
from .records import Cause, Direction, State, Trial

WITHIN = 0.03  # of the scale: a curve that stays so near its best is on its plateau
WORSE = 0.1  # of the scale: a curve that never got better and ends so much worse than it began has diverged
FAR = 1 / 3  # of the way to the best left: flat so far from it is underfitting, as the labellers have it
SWINGS = 3.0  # mean steps back: what noise alone gains or loses at most, about
BEYOND = 0.5  # of the scale, worse than the start at the end: a curve that ran so far away alone has diverged
EXPLODED = 1000.0  # times all that was learned, worse than the start at the end: no overfitting loses so much
ROUGH = 0.03  # of the scale: the mean step back, from which a curve is unstable
WANDERING = 2.0  # the way to and fro, in units of the net change, from which a curve is unstable
VALLEYS = 0.25  # of the steps turn from better to worse: a curve is unstable; pure noise has a third


class Verdict(StrEnum):
    """What a trial's curves show."""

    DIVERGED = "diverged"
    OVERFITTING = "overfitting"
    PLATEAU = "plateau"
    UNDERFITTING = "underfitting"
    UNSTABLE = "unstable"
    IMPROVING = "still improving"
    CRASHED = "crashed"
    UNJUDGED = "not judged"  # one value, or too few points for a shape


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
        many = "1 point" if len(valid) == 1 else f"{len(valid)} points"
        return Diagnosis(Verdict.UNJUDGED, None, f"{many}, too few for a shape")
    curve = curve_of(valid, train, reference, -direction.sign)
    return _worded(_verdict(curve), curve, steps, valid)


def _verdict(c: Curve) -> Verdict:
    """What the trees say; the shapes that hardly occur among the labelled curves are told by rules."""
    voted = Verdict(vote(c))
    turned = voted in (Verdict.OVERFITTING, Verdict.DIVERGED)
    unlearned = turned and _unlearned(c)
    back = turned and c.lost > c.rough  # more than its swings
    if (not back or (unlearned and c.train is None)) and _unstable(c):
        return Verdict.UNSTABLE
    if unlearned:
        return Verdict.DIVERGED if c.beyond > WORSE else Verdict.UNDERFITTING if c.left >= FAR else Verdict.PLATEAU
    away = back and c.train is None and c.beyond > BEYOND
    return Verdict.DIVERGED if away or (turned and _exploded(c)) else voted


def _exploded(c: Curve) -> bool:
    """Whether the end is worse than the start by far more than either curve ever gained."""
    return c.beyond > EXPLODED * (1.0 if c.train is None else max(1.0, c.train_gained))


def _unlearned(c: Curve) -> bool:
    """Whether nothing was learned since the first report, so that no more than enough can have been.

    Such are trials that stay at chance. Where the training curve is better than validation's first report, something
    was learned before it.
    """
    if c.train is not None:
        return max(c.gained, c.train_gained) <= WITHIN
    swings = SWINGS * c.rough if len(c.later) >= 2 * (MIN_POINTS - 1) else 0.0
    return c.gained <= 0.0 or max(c.gained, c.lost) <= max(WITHIN, swings)


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
    since = steps[c.settled(WITHIN)]
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
