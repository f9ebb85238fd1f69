"""Whether past tasks say anything of each other. Where they do not, they hardly say anything of a new one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from .prior import PastTasks

TRIALS = 200  # of each past task
SURE = 1.645  # standard errors, for 95 % on one side


@dataclass(frozen=True)
class Agreement:
    """What is told of a task's trials, as Kendall's tau, the mean over tasks: 0 for nothing, 1 for their ranking."""

    others: float  # by the mean of the other tasks
    error: float  # standard error of that: by how much tasks differ, at least what few trials alone would do
    itself: float  # by the task's own other trials: how much there is to be told with so few

    def surely_below(self, share: float) -> bool:
        """Whether others tell less of a task than this share of what it tells itself, with 95 %."""
        return self.others + SURE * self.error < share * self.itself


def agreement(past: PastTasks) -> Agreement:
    """How far past tasks rank each other's trials, each taken for the new one.

    Raises:
        ValueError: there are fewer than two tasks.
    """
    if past.count < 2:
        raise ValueError(f"at least two past tasks can agree, but there are {past.count}")
    rng = np.random.default_rng(0)
    rows = [rng.permutation(len(points))[:TRIALS] for points in past.points]
    known = past.predict(np.vstack([points[kept] for points, kept in zip(past.points, rows, strict=True)]))
    each = np.split(known, np.cumsum([len(kept) for kept in rows])[:-1])
    others = [np.delete(there, task, axis=1).mean(axis=1) for task, there in enumerate(each)]
    found = np.array([_tau(one, had[kept]) for one, had, kept in zip(others, past.scores, rows, strict=True)])
    itself = [_tau(one, had) for one, had in zip(past.left_out(), past.scores, strict=True)]
    luck = np.mean([_variance(len(kept)) for kept in rows])
    error = np.sqrt(max(found.var(ddof=1), luck) / past.count)
    return Agreement(float(found.mean()), float(error), float(np.mean(itself)))


def _tau(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's tau; 0 where either is flat."""
    return float(np.nan_to_num(kendalltau(one, other).statistic))


def _variance(n: int) -> float:
    """Of Kendall's tau between two rankings of n things that have nothing to do with each other (Kendall 1938)."""
    return 2 * (2 * n + 5) / (9 * n * (n - 1))
