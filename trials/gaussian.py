"""Gaussian processes in plain arrays, many kernels at once: a smooth function plus a linear trend plus noise.

The kernel is scale x Matern 5/2 with a length a column, plus trend x dot product, plus white noise. scikit-learn's
process gives the same numbers (`tests/test_surrogate.py`), one kernel at a time and ten times slower, since most of its
time goes into building kernel objects. Pure: arrays in, arrays out.
"""

from __future__ import annotations

import numpy as np

JITTER = 1e-10  # on the diagonal, so that rounding leaves it positive


class Processes:
    """One process for each row of `theta`, all conditioned on the same values.

    Args:
        theta: logarithms of scale, length of each column, trend and noise, shape (k, d + 3).
        points: shape (n, d), around 0, through which trends are straight lines.
        scores: shape (n,).
    """

    def __init__(self, theta: np.ndarray, points: np.ndarray, scores: np.ndarray) -> None:
        self._kernel, self._points = np.exp(theta), points
        known = self._covariance(points)  # (k, n, n)
        n = len(points)
        known[:, np.arange(n), np.arange(n)] += self._kernel[:, -1:] + JITTER
        lower = np.linalg.cholesky(known)
        self._half = np.linalg.inv(lower)  # (k, n, n)
        half = self._half @ scores  # (k, n)
        self._dual = np.einsum("kn,knm->km", half, self._half)
        logs = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        self.likelihood: np.ndarray = -0.5 * (half**2).sum(axis=1) - logs - n / 2 * np.log(2 * np.pi)
        """Its logarithm, shape (k,)."""

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation, the noise in it, at `points` of shape (m, d); both of shape (k, m)."""
        cross = self._covariance(points)  # (k, m, n)
        mean = (cross @ self._dual[..., None])[..., 0]
        known = ((cross @ self._half.transpose(0, 2, 1)) ** 2).sum(axis=2)
        scale, trend, noise = self._kernel[:, :1], self._kernel[:, -2:-1], self._kernel[:, -1:]
        variance = scale + trend * (points**2).sum(axis=1) + noise - known
        return mean, np.sqrt(np.maximum(variance, JITTER))

    def _covariance(self, points: np.ndarray) -> np.ndarray:
        """Between `points`, (m, d), and the known ones, without noise; (k, m, n)."""
        squares = ((points[:, None, :] - self._points[None, :, :]) ** 2).reshape(-1, points.shape[1])  # (m n, d)
        far = np.sqrt(5 * (self._kernel[:, 1:-2] ** -2 @ squares.T))  # (k, m n)
        smooth = self._kernel[:, :1] * (1 + far + far**2 / 3) * np.exp(-far)
        trend = self._kernel[:, -2, None, None] * (points @ self._points.T)
        return np.asarray(smooth.reshape(-1, len(points), len(self._points)) + trend)
