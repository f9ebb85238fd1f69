"""The quantities of a curve that the diagnosis compares. Pure: arrays in, shares of the curve's own scale out.

The scale is the way from the start to the best value that is known, so it is about what a picture of the curve shows.
The first tenth of a curve is its head. What falls there may be the initial weights and no learning: a loss that drops
from 26 to 2.4 at once and stays there has gone most of its way and learned nothing. So of a curve that falls in one
step only the way after the head counts as learning, and swings are counted after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MIN_POINTS = 4  # fewer say nothing about a shape
HEAD, TAIL = 0.1, 0.2  # shares of the steps that count as the beginning and the end of a curve
NET = 0.2  # of the scale: the least net change that wandering is compared with
FINE = 1e-6  # of the scale: less scatter than that is rounding
JUMP = 0.4  # of a curve's gain: a first step that makes so much of it is the initial weights


@dataclass(frozen=True)
class Curve:
    """A finite validation curve of shape (n_steps,), n_steps >= MIN_POINTS, and what is known beside it.

    Lower is better in all of it. `train` is the same metric on training data; `target` the study's best value.
    """

    cost: np.ndarray
    train: np.ndarray | None = None
    target: float | None = None

    @cached_property
    def smooth(self) -> np.ndarray:
        """The curve without single odd reports."""
        return median3(self.cost)

    @cached_property
    def best(self) -> int:
        """The index of the best report."""
        low = max(int(np.argmin(self.smooth)) - 1, 0)  # the median moves a peak by one step
        return low + int(np.argmin(self.cost[low : low + 3]))

    @cached_property
    def head(self) -> int:
        """The index at which the head ends."""
        return max(1, round(HEAD * (len(self.cost) - 1)))

    @cached_property
    def tail(self) -> int:
        """How many steps the tail has."""
        return max(1, round(TAIL * (len(self.cost) - 1)))

    @cached_property
    def low(self) -> float:
        """The smoothed curve's best value."""
        return float(self.smooth.min())

    @cached_property
    def goal(self) -> float:
        """The best value that is known: the study's or the curve's own."""
        return self.low if self.target is None else min(self.low, self.target)

    @cached_property
    def scale(self) -> float:
        """The way from the start to the goal, above zero."""
        return float(self.smooth[0]) - self.goal or float(np.ptp(self.smooth)) or 1.0

    @cached_property
    def picture(self) -> float:
        """The height of a picture of the curve, the training curve and the goal, above zero."""
        shown = self.cost if self.train is None else np.concatenate([self.cost, self.train])
        return max(float(shown.max()), self.goal) - min(float(shown.min()), self.goal) or 1.0

    @property
    def beyond(self) -> float:
        """How much worse than the start the end is, in shares of the scale; negative when better."""
        return float(self.smooth[-1] - self.smooth[0]) / self.scale

    @property
    def left(self) -> float:
        """What the best report leaves to go to the goal, in shares of the scale."""
        return (self.low - self.goal) / self.scale

    @property
    def gained(self) -> float:
        """By how much the best report beats the first, in shares of the scale."""
        return (float(self.smooth[0]) - self.low) / self.scale

    @property
    def covered(self) -> float:
        """The share of the way to the goal that was learned, the fall of bad initial weights left out."""
        if float(self.cost[0] - self.cost[1]) < JUMP * (float(self.cost[0]) - self.low):
            return 1.0 - self.left
        way = float(self.smooth[self.head]) - self.goal
        return float(self.smooth[self.head] - self.smooth[self.head :].min()) / way if way > 0 else 1.0

    @cached_property
    def fall(self) -> float:
        """How far a straight line through the tail falls, in shares of the scale."""
        return line(self.cost[-self.tail - 1 :])[0] * self.tail / self.scale

    @property
    def fall_seen(self) -> float:
        """The same fall in shares of the picture."""
        return self.fall * self.scale / self.picture

    @property
    def clear(self) -> float:
        """How far a line through the last two tails falls over one, in units of the scatter about it."""
        slope, scatter = line(self.cost[-2 * self.tail - 1 :])
        return slope * self.tail / (scatter + FINE * self.scale)

    @property
    def late(self) -> float:
        """By how much the tail's best report beats all before it, in shares of the scale."""
        return (float(self.cost[: -self.tail].min()) - float(self.cost.min())) / self.scale

    @property
    def late_seen(self) -> float:
        """The same in shares of the picture."""
        return self.late * self.scale / self.picture

    @property
    def lost(self) -> float:
        """What was lost after the best, in shares of the scale."""
        return (float(self.smooth[-1]) - self.low) / self.scale

    @property
    def lost_seen(self) -> float:
        """The same in shares of the picture."""
        return self.lost * self.scale / self.picture

    @property
    def undone(self) -> float:
        """What was lost after the best, in shares of all that the curve had gained; 0 when it never gained."""
        gained = float(self.smooth[0]) - self.low
        return self.lost * self.scale / gained if gained > 0 else 0.0

    @property
    def train_left(self) -> float:
        """What the best report on training data leaves to go to the goal, in shares of the scale; NaN where unknown."""
        return math.nan if self.train is None else float(median3(self.train).min() - self.goal) / self.scale

    @property
    def train_gained(self) -> float:
        """By how much the best report on training data beats the worse of both first ones, in shares of the scale.

        NaN where unknown.
        """
        if self.train is None:
            return math.nan
        first = max(float(self.smooth[0]), float(self.train[0]))
        return (first - float(median3(self.train).min())) / self.scale

    @property
    def train_end(self) -> float:
        """What the last report on training data leaves to go to the goal, in shares of the scale; NaN where unknown."""
        return math.nan if self.train is None else float(self.train[-1] - self.goal) / self.scale

    @property
    def parted(self) -> float:
        """By how much validation and training moved apart since the best, in shares of the scale; NaN where unknown."""
        if self.train is None:
            return math.nan
        gap = self.cost - self.train
        return float(gap[-1] - gap[self.best]) / self.scale

    @cached_property
    def later(self) -> np.ndarray:
        """The changes from report to report after the head, unsmoothed."""
        return np.diff(self.cost[self.head :])

    @cached_property
    def valleys(self) -> int:
        """How often a step forward is followed by a step back, after the head."""
        return int(np.sum((self.later[:-1] < 0) & (self.later[1:] > 0)))

    @property
    def rough(self) -> float:
        """The mean step back after the head, in shares of the scale."""
        back = self.later[self.later > 0]
        return float(back.mean()) / self.scale if len(back) else 0.0

    @property
    def wandering(self) -> float:
        """The way gone to and fro after the head (the less of both), in units of what that changed on the whole."""
        back, forth = self.later[self.later > 0].sum(), -self.later[self.later < 0].sum()
        return float(min(back, forth)) / max(abs(float(back - forth)), NET * self.scale)

    def settled(self, within: float) -> int:
        """The first index from which on the curve stays within a share of its scale of its best value."""
        away = np.nonzero(self.smooth - self.low > within * self.scale)[0]
        return int(min(away[-1] + 1, len(self.cost) - 1)) if len(away) else 0


def curve_of(valid: Sequence[float], train: Sequence[float] | None, reference: float | None, sign: int) -> Curve:
    """The curve of finite reports in units of its largest number, so that no difference of two overflows.

    Args:
        valid: at least `MIN_POINTS` reports.
        train: left out unless it is as long and finite.
        reference: the study's best value; left out unless finite.
        sign: 1 where lower is better, -1 where higher is.
    """
    known = train is not None and len(train) == len(valid) and bool(np.isfinite(train).all())
    target = reference if reference is not None and math.isfinite(reference) else None
    rows = np.array([valid, train if known else valid, [valid[0] if target is None else target] * len(valid)])
    unit = sign * (float(np.abs(rows).max()) or 1.0)
    cost, other, aim = rows / unit
    return Curve(cost, other if known else None, None if target is None else float(aim[0]))


def line(values: np.ndarray) -> tuple[float, float]:
    """What the least-squares line through values of shape (n,), n >= 2, falls per step, and their scatter about it."""
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(steps @ values / (steps @ steps))
    return -slope, float(np.std(values - slope * steps))


def median3(values: np.ndarray) -> np.ndarray:
    """A running median of three, shape as given, the ends as they are: one odd report is no trend."""
    if len(values) < 3:
        return values
    middle = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], middle, values[-1:]])
