"""Early stopping of hopeless curves: when a training will hardly beat the best so far, or has come to nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from .extrapolation import Curve, Extrapolator, Forecast
from .records import Direction, Trial, ended

HOPELESS = 0.01  # chance of beating the best, below which a training is stopped (docs/gate.md says why not 5 %)
HURRIED = 0.05  # the same where time is short: what it takes is worth more to another training
MAX_CURVES = 50  # the latest ones
LOOKS = 256  # reports, up to which each is judged; a longer curve is judged each time that it grew by such a share
DEAD = 3  # reports in a row that are no numbers
MIN_TOLD = 2  # reports, before the second opinion is asked: it knows how others began


class Outlook(Protocol):
    """A second opinion on a training that runs."""

    expected: float | None  # the final value, in the metric's own sign, when it was last asked

    def chance(self, steps: Sequence[float], values: Sequence[float]) -> float | None:
        """How likely it ends better than the best so far by more than the noise; None where that is not news.

        Args:
            steps, values: what it has reported, finite; of one length, at least `MIN_TOLD`.
        """
        ...


class Stopper:
    """Decides at each report of one trial whether it is hopeless.

    A trial is stopped when the chance that its final value beats the best so far by more than the noise falls below
    `hopeless` (`extrapolation.py` says how it is known), by the second opinion where there is one, or after three
    reports in a row that are no numbers. Trial 0 is never stopped: it is what others are measured against, so a study
    without a complete trial stops nothing.

    Args:
        finished: the study's finished trials; complete ones teach how its curves go on.
        noise: by how much a value must be better to count as better, in units of the metric.
        hopeless: the chance below which a trial is stopped; 0 never stops for it.
        outlook: a second opinion.
    """

    def __init__(
        self,
        direction: Direction,
        metric: str,
        finished: Sequence[Trial],
        *,
        noise: float = 0.0,
        hopeless: float = HOPELESS,
        outlook: Outlook | None = None,
    ) -> None:
        self._sign, self._hopeless, self._outlook = -direction.sign, hopeless, outlook  # costs: lower is better
        own = self._curves(finished, metric)
        self._goal = min((self._sign * final for _, final in ended(finished)), default=-math.inf) - noise
        self._extrapolator = Extrapolator(own) if own else None
        self._steps: list[float] = []
        self._costs: list[float] = []
        self._broken: set[int] = set()
        self._next_look = 1  # how many reports it takes
        self._overruled = False  # whether the second opinion alone would stop
        self.forecast: Forecast | None = None
        """Of the final cost after the last report that was judged."""

    @property
    def expected(self) -> float | None:
        """The final value to be expected after the last report, in the metric's own sign; None when nothing is.

        A second opinion that stopped the training says it: the first one had hope.
        """
        if self._outlook is not None and self._overruled:
            return self._outlook.expected
        if self.forecast is None or not math.isfinite(self.forecast.value):
            return None
        return self._sign * self.forecast.value

    def should_stop(self, step: int, value: float) -> bool:
        """Whether the trial should end after this report. A step is reported again when it gains a metric.

        A forecast reads the whole curve, and the script waits for it: one for each of 30,000 reports took 24 s.
        """
        if math.isnan(value):
            self._broken.add(step)
            return self._extrapolator is not None and len(self._broken) >= DEAD
        if not math.isfinite(value) or (self._steps and step <= self._steps[-1]):
            return False
        self._broken.clear()
        self._steps.append(step)
        self._costs.append(self._sign * value)
        if self._extrapolator is None or (reports := len(self._steps)) < self._next_look:
            return False
        self._next_look = reports + 1 + reports // LOOKS
        self.forecast = self._extrapolator.forecast(self._steps, self._costs)
        if self.forecast is not None and self.forecast.chance_below(self._goal) < self._hopeless:
            return True
        return self._looks_hopeless()

    def _looks_hopeless(self) -> bool:
        """Whether the second opinion is that it is."""
        if self._outlook is None or len(self._steps) < MIN_TOLD:
            return False
        chance = self._outlook.chance(self._steps, [self._sign * cost for cost in self._costs])
        self._overruled = chance is not None and chance < self._hopeless
        return self._overruled

    def _curves(self, trials: Sequence[Trial], metric: str) -> list[Curve]:
        """The curves of complete trials with at least two reports, the latest ones."""
        found: list[Curve] = []
        for trial, final in reversed(ended(trials)):
            curve = trial.trajectory.curve(metric)
            if len(curve) > 1:
                found.append(Curve([s for s, _ in curve], [self._sign * v for _, v in curve], self._sign * final))
            if len(found) == MAX_CURVES:
                break
        return found[::-1]
