"""Intervals by bootstrap over tasks. Seeds are averaged within a task first: they are repeats, not new problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over tasks and the two ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """The mean of one value a task, shape (n_tasks,), with its percentile interval.

    Raises:
        ValueError: when there is no value.
    """
    if not len(values):
        raise ValueError("a bootstrap needs at least one task, but got none")
    per_task = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = per_task[rng.integers(len(per_task), size=(RESAMPLES, len(per_task)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(per_task.mean()), float(low), float(high))


def paired(ours: Sequence[float] | np.ndarray, theirs: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """The mean of `ours - theirs` task by task; below 0 is a win for ours. Tasks in the same order.

    Raises:
        ValueError: when the numbers of tasks differ.
    """
    return bootstrap([a - b for a, b in zip(ours, theirs, strict=True)], seed)


def sign_test(won: int, lost: int) -> float:
    """The two-sided p-value of a paired comparison (McNemar, exact): ties do not count."""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def clustered(values: Sequence[float] | np.ndarray, clusters: Sequence[str], seed: int = 0) -> Interval:
    """The mean of one value a question, with its percentile interval; whole clusters are drawn, not questions.

    Questions of one task go right or wrong together, so an interval that drew them one by one would be too narrow.

    Raises:
        ValueError: when there is no value.
    """
    if not len(values):
        raise ValueError("a bootstrap needs at least one value, but got none")
    names, of = np.unique(np.asarray(clusters), return_inverse=True)
    sums, sizes = np.bincount(of, weights=np.asarray(values, dtype=float)), np.bincount(of)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high))
