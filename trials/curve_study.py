"""A study whose curves are read: what its advisors and its stop ask of the process over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError

from .curve_surrogate import CurveSurrogate
from .extrapolation import Axis, Curve
from .readings import ASKED, SHARES, Readings, Run, Scale, read, shown_by, with_failed, without_exploded
from .records import Config, Direction, Trial, ended
from .search import encoded
from .space import Space

LEAST_RUNS = 2  # trials, before the curves are compared
LENGTHS = (0.75, 1.33)  # of the usual training: one that ends elsewhere is of another length
UNLIKE = 0.25  # of the complete trainings: where more are of another length, there is no common axis


@dataclass(frozen=True)
class CurveStudy:
    """The finished trials of a study and the process over their curves."""

    space: Space
    sign: int  # of the direction
    axis: Axis
    runs: list[Run]
    early: list[Run]  # the same, read where a training is asked first, too
    scale: Scale
    points: np.ndarray  # (n, d), encoded
    model: CurveSurrogate

    @classmethod
    def of(
        cls,
        space: Space,
        trials: Sequence[Trial],
        direction: Direction,
        metric: str,
        rng: np.random.Generator,
        *,
        failures: bool = True,
    ) -> CurveStudy | None:
        """None while fewer than `LEAST_RUNS` trials are finished, and where there is no axis; see `axis_of`.

        Args:
            trials: the finished ones.
            rng: for the kernel's settings.
            failures: count what failed, as a bad end, and what exploded. They tell where to try next, and not how a
                training will end that goes on beside them.
        """
        axis = axis_of(trials, metric)
        if axis is None:
            return None
        shown = shown_by(trials, direction, metric, axis)
        if not failures:
            shown = without_exploded(shown)
            trials = [trial for trial, run in zip(trials, shown, strict=True) if run is not None]
            shown = [run for run in shown if run is not None]
        if len(trials) < LEAST_RUNS:
            return None
        runs = with_failed(shown)
        early = with_failed(shown_by(trials, direction, metric, axis, ASKED))
        scale = Scale.of(runs)
        points = np.array([encoded(space, trial.config) for trial in trials])
        model = CurveSurrogate.drawn(points, Readings.of(runs, scale), rng)
        return cls(space, direction.sign, axis, runs, early, scale, points, model)

    def beside(self, config: Config, steps: Sequence[float], values: Sequence[float]) -> CurveSurrogate:
        """The process once a training has shown these values, finite and not empty."""
        first = float(self.axis.shares(steps[-1:])[0]) < SHARES[0]
        runs, shares = (self.early, ASKED) if first else (self.runs, SHARES)
        run = read(self.axis, steps, [self.sign * value for value in values], shares=shares)
        points = np.concatenate([self.points, encoded(self.space, config)[None]])
        return self.model.given(points, Readings.of([*runs, run], self.scale))


def axis_of(trials: Sequence[Trial], metric: str) -> Axis | None:
    """The axis on which complete trials end at 1; None without a curve of two reports among them, and where their
    lengths differ, as with epochs that are tuned: how far one was at a step then tells nothing of another."""
    known = [trial.trajectory.curve(metric) for trial, _ in ended(trials)]
    curves = [Curve([step for step, _ in curve], [value for _, value in curve]) for curve in known if len(curve) > 1]
    if not curves:
        return None
    axis = Axis.of(curves)
    lengths = axis.shares([curve.steps[-1] for curve in curves])
    unlike = (lengths < LENGTHS[0]) | (lengths > LENGTHS[1])
    return axis if float(unlike.mean()) <= UNLIKE else None


class CurveOutlook:
    """What the curves of all trainings tell of one that runs; see `Outlook`.

    Args:
        config: of the training.
        noise: by how much a value must be better to count as better, in units of the metric.
    """

    def __init__(self, study: CurveStudy, config: Config, noise: float = 0.0) -> None:
        self._study, self._config = study, config
        self._goal = float(study.scale.scores(np.array(study.scale.top + noise)))
        self._point = encoded(study.space, config)[None]
        self._reached = 0  # of `ASKED`
        self.expected: float | None = None

    def chance(self, steps: Sequence[float], values: Sequence[float]) -> float | None:
        """See `Outlook.chance`; asked of the process once for each of `ASKED`, since more often is no news."""
        share = float(self._study.axis.shares(steps[-1:])[0])
        reached = int(np.searchsorted(ASKED, share, side="right"))
        if reached <= self._reached or share >= 1:
            return None
        self._reached = reached
        try:
            model = self._study.beside(self._config, steps, values)
        except LinAlgError:  # a script waits for the answer
            return None
        self.expected = self._study.sign * self._study.scale.value(float(model.expected(self._point)[0]))
        return float(model.chance_above(self._point, self._goal)[0])
