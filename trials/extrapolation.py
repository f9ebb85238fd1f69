"""Where a learning curve will end, from how earlier curves went on. Pure: numbers in, a Student t out.

The remaining change of a curve is regressed on its recent change, the one since half of the steps so far. What a power
law makes of the recent change is the prior, and the study's own finished curves correct it: with one of them it is
nearly the power law, with many it is what happens in this study. Extrapolation from previous builds is by
Chandrashekaran and Lane 2017 ("Speeding up Hyper-parameter Optimization by Extrapolation of Learning Curves Using
Previous Builds", ECML PKDD), the power law one of the families of Domhan et al. 2015 ("Speeding up Automatic
Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning Curves", IJCAI). A Bayesian regression
in closed form takes the place of their Markov chains, so that a report costs about a millisecond.

Lower is better in all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POWER = 0.5  # of a power law: error falls with the root of the steps
DOUBT = 0.5  # of the prior: how far the remaining change lies from what the power law says, in units of the latter
FLOOR = 0.05  # of the scale: what is doubted even of a flat curve
FREEDOM = 2.0  # curves that the prior's doubt counts as much as
WINDOW = np.linspace(0.9, 1.0, 5)  # of the steps so far: what counts as the present level, so that noise averages out
MIN_REPORTS = 3  # of a curve, before anything is said about its end
LARGEST = 1e300  # a scale: sums of two are finite
BEYOND = 1e6  # scales: no forecast lies farther
FAR = 3.0  # scales above the goal: what is worse counts as no worse, or one diverged curve would rule the regression


@dataclass(frozen=True)
class Curve:
    """The reports of one training, at increasing steps, and the value that it ended with (None when unknown)."""

    steps: Sequence[float]
    costs: Sequence[float]  # finite, shape as `steps`, not empty
    final: float | None = None


@dataclass(frozen=True)
class Forecast:
    """A Student t over the final value."""

    value: float
    deviation: float
    freedom: float

    def chance_below(self, bound: float) -> float:
        """The probability that the final value lies below `bound`."""
        from scipy.special import stdtr

        return float(stdtr(self.freedom, (bound - self.value) / self.deviation))


class Extrapolator:
    """Forecasts of curves of one study.

    Args:
        finished: its curves that ran to their end, at least one; each with its final value.
    """

    def __init__(self, finished: Sequence[Curve]) -> None:
        self._own = _Study(finished)

    def forecast(self, steps: Sequence[float], costs: Sequence[float]) -> Forecast | None:
        """Where a curve will end; None while it is too short to say, and beyond the step at which the others ended."""
        progress = self._own.axis.shares(steps)
        now = float(progress[-1])
        if len(progress) < MIN_REPORTS or not 0 < now < 1:
            return None
        half = max(now / 2, float(progress[0]))
        scaled = self._own.scaled(costs)
        level, recent = _state(progress, scaled, now, half)
        power = (now**POWER - 1) / (1 - (now / half) ** POWER) if now > half else 0.0  # remaining change over recent
        recents, remaining = self._own.changes(now, half)
        mean, deviation, freedom = regression(power * recents, remaining, power * recent)
        cut = self._own.scaled(costs[-1:], BEYOND)[0] - scaled[-1]  # what lies beyond `FAR` is known all the same
        return Forecast(*self._own.back(float(level + mean + cut), deviation), freedom)


def regression(x: np.ndarray, y: np.ndarray, at: float) -> tuple[float, float, float]:
    """The posterior Student t of y at `at`, where y is about x, and the doubt grows with x.

    Args:
        x, y: of shape (n,), n >= 0.

    Returns:
        Mean, deviation and degrees of freedom.
    """
    trust, here = 1 / (FLOOR**2 + x**2), 1 / (FLOOR**2 + at**2)
    prior = 1 / DOUBT**2  # of the slope, which is 1 where the power law is right
    precision = prior + float(trust @ (x * x))
    slope = (prior + float(trust @ (x * y))) / precision
    freedom = FREEDOM + len(x)
    squares = FREEDOM * DOUBT**2 + float(trust @ (y - slope * x) ** 2) + prior * (slope - 1) ** 2
    return slope * at, math.sqrt(squares / freedom * (1 / here + at * at / precision)), freedom


@dataclass(frozen=True)
class Axis:
    """From steps to shares of a training."""

    first: float  # the usual first step,
    end: float  # the usual last one,
    gap: float  # and the steps from one report to the next

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> Axis:
        """The axis on which finished curves end at 1.

        Raises:
            ValueError: without any.
        """
        if not curves:
            raise ValueError("a forecast needs at least one finished curve, but got none")
        first = float(np.median([curve.steps[0] for curve in curves]))
        end = float(np.median([curve.steps[-1] for curve in curves]))
        return cls(first, end, max((end - first) / max(float(np.median([len(c.steps) for c in curves])) - 1, 1), 1e-9))

    def shares(self, steps: Sequence[float]) -> np.ndarray:
        """The share of a training that each step completes; shape as `steps`."""
        passed = np.asarray(steps, dtype=float) - self.first + self.gap
        share: np.ndarray = passed / (self.end - self.first + self.gap)
        return share


class _Study:
    """Finished curves on common axes: progress from 0 to 1 at the usual last step, costs in scales from the goal."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self.axis = Axis.of(curves)
        finals = [curve.costs[-1] if curve.final is None else curve.final for curve in curves]
        self._goal = float(min(finals))
        ways = [min(abs(curve.costs[0] - self._goal), LARGEST) for curve in curves]
        self._scale = max(float(np.median(ways)), 1e-12 * (abs(self._goal) or 1.0))
        self.finals = self.scaled(finals)
        self._curves = [(self.axis.shares(curve.steps), self.scaled(curve.costs)) for curve in curves]

    def scaled(self, costs: Sequence[float], far: float = FAR) -> np.ndarray:
        """Costs above the goal in scales, `far` at most on either side."""
        with np.errstate(over="ignore"):
            away: np.ndarray = np.clip((np.asarray(costs, dtype=float) - self._goal) / self._scale, -far, far)
        return away

    def back(self, value: float, deviation: float) -> tuple[float, float]:
        """A scaled value and its deviation in the units of the costs."""
        return self._goal + value * self._scale, deviation * self._scale

    def changes(self, now: float, half: float) -> np.ndarray:
        """The recent and the remaining change of each curve at this progress, shape (2, n)."""
        states = [_state(progress, costs, now, half) for progress, costs in self._curves]
        levels, recent = np.array(states).T
        return np.stack([recent, self.finals - levels])


def _state(progress: np.ndarray, costs: np.ndarray, now: float, half: float) -> tuple[float, float]:
    """The level of a curve now, and how it changed since `half`."""
    levels = np.interp(np.concatenate([now * WINDOW, half * WINDOW]), progress, costs).reshape(2, -1).mean(axis=1)
    return float(levels[0]), float(levels[0] - levels[1])
