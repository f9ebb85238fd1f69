"""The no-win estimate: how likely a configuration does not beat the best so far by more than the noise."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..trials.records import Config, Direction, State, Trial
from ..trials.sampling import observed
from ..trials.search import encoded
from ..trials.space import Space

if TYPE_CHECKING:
    from ..trials.surrogate import Surrogate

LEAST = 5  # complete trials with different values, below which it says nothing
MOST = 40  # trials that the process learns from: the better half by value, the others evenly from the rest


class NoWin:
    """A Gaussian process over a study's trials (`trials/surrogate.py`), asked for the chance of a win.

    Failed trials count as the worst value, as they do for the advisors. The same data and seed give the same answers.
    """

    def __init__(self, space: Space, direction: Direction, *, seed: int = 0) -> None:
        self._space, self._direction, self._seed = space, direction, seed
        self._model: Surrogate | None = None
        self._margin = 0.0

    @property
    def ready(self) -> bool:
        """Whether it knows enough to say anything."""
        return self._model is not None

    def fit(self, trials: Sequence[Trial], noise: float | None) -> NoWin:
        """Learn anew; trials whose value is no finite number are passed over.

        Args:
            noise: standard deviation of equal runs, in units of the metric; None counts as none.
        """
        self._model = None
        self._margin = noise if noise is not None and math.isfinite(noise) and noise > 0 else 0.0
        known = observed([t for t in trials if t.value is None or math.isfinite(t.value)], self._direction)
        complete = {v for t, v in known if t.state is State.COMPLETE}
        if len(complete) < LEAST:
            return self
        from ..trials.surrogate import Surrogate  # scikit-learn takes a second to import

        values = self._direction.sign * np.array([v for _, v in known])
        kept = _spread(values)
        points = np.array([encoded(self._space, known[i][0].config) for i in kept])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a kernel at the edge of its bounds is still a kernel
            model = Surrogate(points, values[kept], np.random.default_rng(self._seed))
        self._model = model
        return self

    def probability(self, configs: Sequence[Config]) -> np.ndarray | None:
        """The probability that each configuration does not win, shape (m,); None where it knows too little."""
        if self._model is None:
            return None
        points = np.array([encoded(self._space, config) for config in configs])
        return np.asarray(1.0 - self._model.probability_of_more(points, self._margin))


def _spread(values: np.ndarray) -> np.ndarray:
    """Which of many trials to learn from: the best ones, and as many evenly from the others, in order."""
    if len(values) <= MOST:
        return np.arange(len(values))
    ranked = np.argsort(-values, kind="stable")
    rest = ranked[MOST // 2 :]
    evenly = rest[np.linspace(0, len(rest) - 1, MOST - MOST // 2).round().astype(int)]
    return np.sort(np.concatenate([ranked[: MOST // 2], evenly]))
