"""A quick view of where a study's values lie: a Gaussian process under kernels drawn from a prior, and neighbours.

Each kernel answers with the weight that the values seen give it. Cheaper than the advisor's process, whose kernels
walk on from the draws (`trials/surrogate.py`): a critic asks about one point. Pure: arrays in, arrays out.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.stats import norm

KERNELS = 48  # draws from the prior
LENGTH = 0.75  # of the unit cube's diagonal: the prior's median length scale
NEAR = 0.15  # root mean square of the differences over the columns: how far a neighbour's outcome reaches
NEIGHBOUR = 0.5  # weight of what is known without any neighbour
CENTRE = 0.5  # of the unit cube, through which trends are straight lines


class Kernels:
    """A Gaussian process under many kernels, fitted to standardised values; higher is better.

    Args:
        points: shape (n, d), in the unit cube; n >= 1.
        scores: shape (n,), mean 0 and deviation 1.
    """

    def __init__(self, points: np.ndarray, scores: np.ndarray) -> None:
        self._points, self._best = points, float(scores.max())
        self._draws = _drawn(points.shape[1])
        covariance = self._covariance(points, points)  # (m, n, n)
        n = len(points)
        covariance[:, np.arange(n), np.arange(n)] += self._draws["noise"][:, None]
        lower = np.linalg.cholesky(covariance)
        self._half = np.linalg.inv(lower)  # (m, n, n)
        half = self._half @ scores  # (m, n)
        self._dual = (half[:, None, :] @ self._half)[:, 0]  # (m, n)
        likelihood = -0.5 * (half**2).sum(1) - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
        weights = np.exp(likelihood - likelihood.max())
        self._weights = weights / weights.sum()

    def ask(self, point: np.ndarray) -> dict[str, float]:
        """Mean, deviation, probability of beating the best score and the expected improvement at a point, (d,)."""
        cross = self._covariance(point[None, :], self._points)[:, 0]  # (m, n)
        mean = (cross * self._dual).sum(1)
        half = (self._half @ cross[..., None])[..., 0]
        own = self._covariance(point[None, :], point[None, :])[:, 0, 0]
        deviation = np.sqrt(np.maximum(own - (half**2).sum(1), 1e-8))
        z = (mean - self._best) / deviation
        improvement = deviation * (z * norm.cdf(z) + norm.pdf(z))
        w = self._weights
        average = float(w @ mean)
        spread = float(np.sqrt(w @ (deviation**2 + (mean - average) ** 2)))
        return {
            "mean": average - self._best,
            "deviation": spread,
            "better": float(w @ norm.cdf(z)),
            "improvement": float(w @ improvement),
        }

    def _covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Matern 5/2 plus a linear trend, under every kernel; (m, len(a), len(b))."""
        gaps = (a[:, None, :] - b[None, :, :]) ** 2  # (p, q, d)
        squared = (gaps.reshape(-1, a.shape[1]) @ (self._draws["lengths"] ** -2).T).T.reshape(-1, len(a), len(b))
        r = np.sqrt(5 * squared)
        trend = (a - CENTRE) @ (b - CENTRE).T
        smooth = (1 + r + r**2 / 3) * np.exp(-r)
        return np.asarray(self._draws["scale"][:, None, None] * smooth + self._draws["trend"][:, None, None] * trend)


@lru_cache(maxsize=16)
def _drawn(d: int) -> dict[str, np.ndarray]:
    """Kernels for `d` columns, the same each time: the prior of `trials/surrogate.py` with more noise."""
    rng = np.random.default_rng(d)
    return {
        "lengths": np.exp(np.log(LENGTH * np.sqrt(d)) + 0.8 * rng.standard_normal((KERNELS, d))),
        "scale": np.exp(0.5 * rng.standard_normal(KERNELS)),
        "trend": np.exp(-1.0 + 1.5 * rng.standard_normal(KERNELS)),
        "noise": np.exp(-5.0 + 2.0 * rng.standard_normal(KERNELS)) + 1e-6,
    }


def around(point: np.ndarray, points: np.ndarray, facts: np.ndarray, prior: float) -> float:
    """The mean of `facts`, (n,), near a point, shrunk to what holds everywhere; points of shape (n, d)."""
    if not len(points):
        return prior
    squared = ((points - point) ** 2).mean(1)
    weights = np.exp(-squared / (2 * NEAR**2))
    return float((weights @ facts + NEIGHBOUR * prior) / (weights.sum() + NEIGHBOUR))
