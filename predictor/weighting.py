"""Means of turns that were not drawn alike: each weighs by the inverse of its probability (Hajek 1971).

An arm that is drawn early, when gains are large, looks better than it is; the weights undo that. They cost precision:
so many turns with such weights are worth fewer, `effective` ones (Kish 1965).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LEVEL = 0.95
FEWEST = 10.0  # effective turns on each side of a comparison; below, its interval says nothing


@dataclass(frozen=True)
class Mean:
    """A weighted mean. `low` and `high` bound it, with 95 %; both None below two effective turns."""

    value: float
    low: float | None
    high: float | None
    effective: float
    deviation: float  # of one turn


def weighted_mean(values: np.ndarray, probability: np.ndarray, floor: float = 0.0) -> Mean | None:
    """The mean of values, shape (n,), drawn with those probabilities; None without any.

    Args:
        values: at least 0, so that no bound is below it.
        probability: above 0, shape (n,).
        floor: the least deviation of one turn that is believed, such as that of all arms together: three turns without
            a win do not show that an arm never wins.
    """
    if not len(values):
        return None
    weight = 1 / probability
    value = float(np.average(values, weights=weight))
    effective = float(weight.sum() ** 2 / np.sum(weight**2))
    if effective < 2:
        return Mean(value, None, None, effective, floor)
    spread = float(np.average((values - value) ** 2, weights=weight)) * effective / (effective - 1)
    deviation = max(spread**0.5, floor)
    half = float(student.ppf((1 + LEVEL) / 2, effective - 1)) * deviation / effective**0.5
    return Mean(value, max(value - half, 0.0), value + half, effective, deviation)


@dataclass(frozen=True)
class Difference:
    """How much more one side gains than another, with its 95 % interval; no interval where there are too few turns."""

    value: float | None
    low: float | None
    high: float | None
    verdict: str  # "better", "worse", "not to be told apart" or "too few to say"


def difference(one: Mean | None, other: Mean | None) -> Difference:
    """One mean minus another (Welch's interval, on effective turns)."""
    if one is None or other is None:
        return Difference(None, None, None, "too few to say")
    value = one.value - other.value
    if min(one.effective, other.effective) < FEWEST:
        return Difference(value, None, None, "too few to say")
    first, second = one.deviation**2 / one.effective, other.deviation**2 / other.effective
    if first + second == 0:
        return Difference(value, value, value, _verdict(value, value))
    degrees = (first + second) ** 2 / (first**2 / (one.effective - 1) + second**2 / (other.effective - 1))
    half = float(student.ppf((1 + LEVEL) / 2, degrees)) * (first + second) ** 0.5
    return Difference(value, value - half, value + half, _verdict(value - half, value + half))


def _verdict(low: float, high: float) -> str:
    return "better" if low > 0 else "worse" if high < 0 else "not to be told apart"
