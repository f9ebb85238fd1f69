"""What the curves of a study's trainings have shown, on common axes: how far each was, and how good. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .extrapolation import Axis
from .records import Direction, State, Trial, ended

SHARES = (0.05, 0.1, 0.15, 0.25, 0.4, 0.65)  # of a training: where a curve is read, so that no long one costs more
ASKED = (0.03, *SHARES)  # where one that runs is asked; before the first of `SHARES` beside what others showed there
NEARLY = 0.99  # of a training: where the end counts as not reached
STEADY = 2.0  # ways from the median end up to the best: below, scores fall with the logarithm only
FAR = 1e6  # such ways: no value lies farther
LEAST_SPREAD = 0.3  # such ways: the unit of scores
LARGEST = 1e300  # a way: products with scores are finite
EQUAL = 1e-9  # of the best value: ends that differ by less are equal
EXPLODED = 10.0  # ways from where trainings begin up to the best, or to one another: what ran so far below exploded


@dataclass(frozen=True)
class Run:
    """One training: the shares of it at which it was read, increasing, the last 1 where it ended; and the values
    there, higher is better. Both of shape (k,), k >= 1."""

    shares: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Readings:
    """All readings of some runs."""

    owner: np.ndarray  # (n,), the run's place
    share: np.ndarray  # (n,), in (0, 1]
    score: np.ndarray  # (n,), about 0 and 1 among the ends
    best: float  # the score of the best end

    @classmethod
    def of(cls, runs: Sequence[Run], scale: Scale) -> Readings:
        """Of runs, in their order."""
        return cls(
            np.repeat(np.arange(len(runs)), [len(run.shares) for run in runs]),
            np.concatenate([run.shares for run in runs]),
            scale.scores(np.concatenate([run.values for run in runs])),
            float(scale.scores(np.array(scale.top))),
        )


@dataclass(frozen=True)
class Scale:
    """From values, higher is better, to scores: mean 0 and deviation 1 among the ends, and how bad the bad are tells
    little."""

    top: float
    way: float  # from the median end up to the best
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Scale:
        """The scale of a study's runs, at least one of which ended."""
        ends = np.array([run.values[-1] for run in runs])
        top = max(float(run.values[-1]) for run in runs if run.shares[-1] == 1)
        plain = cls(top, _way(top, runs))
        scores = plain.scores(ends)
        return cls(plain.top, plain.way, float(scores.mean()), max(float(scores.std()), LEAST_SPREAD))

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Of values; shape as given."""
        with np.errstate(over="ignore"):
            below = np.clip((self.top - values) / self.way, -FAR, FAR)
        steady = np.where(below < STEADY, below, STEADY + np.log1p(np.maximum(below - STEADY, 0.0)))
        return np.asarray((-steady - self.mean) / self.deviation)

    def value(self, score: float) -> float:
        """What has a score: the other way round."""
        below = -(score * self.deviation + self.mean)
        far = math.log(FAR)  # as a logarithm: no finite value has a score beyond it
        return self.top - self.way * (below if below < STEADY else STEADY + math.expm1(min(below - STEADY, far)))


def _way(top: float, runs: Sequence[Run]) -> float:
    """From the median end up to the best; where they are equal, what curves that began elsewhere went."""
    with np.errstate(over="ignore"):
        way = abs(top - float(np.median([run.values[-1] for run in runs])))
        ways = np.array([abs(top - run.values[0]) for run in runs])
    least = EQUAL * abs(top)
    if way <= least:
        way = float(np.median(ways[ways > least])) if (ways > least).any() else 0.0
    return min(way, LARGEST) or 1.0


def shown_by(
    trials: Sequence[Trial], direction: Direction, metric: str, axis: Axis, shares: Sequence[float] = SHARES
) -> list[Run | None]:
    """A run of each finished trial, one of which has ended; None for one that failed."""
    ends = {trial.number: direction.sign * value for trial, value in ended(trials)}
    return [_shown(trial, direction, metric, axis, shares, ends.get(trial.number)) for trial in trials]


def without_exploded(shown: Sequence[Run | None]) -> list[Run | None]:
    """The runs with None for what exploded: beside a loss of a million all that differs is equal."""
    runs = [run for run in shown if run is not None]
    begins = np.array([run.values[0] for run in runs])
    begin, top = float(np.median(begins)), max(float(run.values[-1]) for run in runs if run.shares[-1] == 1)
    with np.errstate(over="ignore"):
        # Where even the best hardly left the begin, what began elsewhere has not exploded.
        way = max(top - begin, float(np.median(np.abs(begins - begin))))
        least = begin - EXPLODED * way if top > begin else -math.inf
    return [run if run is not None and run.values[-1] >= least else None for run in shown]


def with_failed(shown: Sequence[Run | None]) -> list[Run]:
    """Every run, where what failed ended as badly as anything was seen last.

    The worst end alone would not do: where all that ended is good, since the rest was stopped, a place that crashes
    would look as good.
    """
    worst = min(run.values[-1] for run in shown if run is not None)
    return [Run(np.ones(1), np.array([worst])) if run is None else run for run in shown]


def _shown(
    trial: Trial, direction: Direction, metric: str, axis: Axis, shares: Sequence[float], end: float | None
) -> Run | None:
    """What a trial showed; None where that says nothing of what it would have ended with."""
    curve = trial.trajectory.curve(metric)
    steps, values = [step for step, _ in curve], [direction.sign * value for _, value in curve]
    if end is None and (trial.state is not State.PRUNED or not curve):
        return None
    return read(axis, steps, values, end, shares)


def read(
    axis: Axis,
    steps: Sequence[float],
    values: Sequence[float],
    end: float | None = None,
    shares: Sequence[float] = SHARES,
) -> Run:
    """A curve at the first report from each of `shares` on, and its last or, where it ended, its end.

    Args:
        values: higher is better, finite, as long as `steps`; neither empty without an end.
    """
    # A training may begin before the usual first step, where the share would be below 0.
    reached = np.clip(axis.shares(steps), 0.0, NEARLY)
    places = sorted({int(np.searchsorted(reached, share)) for share in shares})
    kept = [place for place in places if place < len(reached) - 1]
    if end is None:
        kept.append(len(reached) - 1)
    tail = ([], []) if end is None else ([1.0], [end])
    return Run(np.array([*reached[kept], *tail[0]]), np.array([*np.asarray(values, float)[kept], *tail[1]]))
