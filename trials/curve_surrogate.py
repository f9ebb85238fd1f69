"""A Gaussian process over configurations and their learning curves: where a training will end, as all others tell.

After Swersky et al. 2014, "Freeze-Thaw Bayesian Optimization" (arXiv 1406.3896): what a training shows is where it
will end, a smooth function of its configuration, and the way it still has to go, a process over its share whose kernel
mixes exponential decays, and which is nothing at the end. That way is in part common to all trainings, in part alike in
like configurations, in part a training's own. So one look at a training is worth much: others were at that share too.

The kernel's settings are drawn from their posterior, as in `surrogate.py`, and all draws answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.special import ndtr
from sklearn.gaussian_process.kernels import Matern

from .readings import Readings
from .surrogate import CENTRE, LENGTH, expected_gain, one_thread, posterior

JITTER = 1e-6  # on the diagonal, so that equal configurations leave no covariance singular
UNIT_SHARE = 0.15  # of a training: the settings' unit is the way from there
LEAST = 1e-9  # a variance


class CurveSurrogate:
    """What configurations will end with, as far as the curves of those tried tell; higher is better.

    Args:
        points: of shape (n, d), in the unit cube; the readings' owners are its rows.
        thetas: settings of the kernel, shape (members, d + 7); see `drawn`.
    """

    def __init__(self, points: np.ndarray, readings: Readings, thetas: np.ndarray) -> None:
        self._points, self._readings, self._thetas = points, readings, thetas
        self._members = [_Member(_Settings.of(theta), points - CENTRE, readings) for theta in thetas]

    @classmethod
    @one_thread
    def drawn(cls, points: np.ndarray, readings: Readings, rng: np.random.Generator) -> CurveSurrogate:
        """With settings drawn from their posterior."""

        def likelihood(theta: np.ndarray) -> float:
            try:
                return _Member(_Settings.of(theta), points - CENTRE, readings).log_likelihood
            except LinAlgError:
                return -math.inf

        return cls(points, readings, posterior(likelihood, *_prior(points.shape[1]), rng))

    @one_thread
    def given(self, points: np.ndarray, readings: Readings) -> CurveSurrogate:
        """The same settings beside other data."""
        return CurveSurrogate(points, readings, self._thetas)

    @one_thread
    def expected_improvement(self, points: np.ndarray) -> np.ndarray:
        """By how much each of `points`, shape (m, d), is expected to end above the best end; shape (m,)."""
        ends = [member.ends(points - CENTRE) for member in self._members]
        gains = [expected_gain(mean, deviation, self._readings.best) for mean, deviation in ends]
        return np.asarray(np.mean(gains, axis=0))

    @one_thread
    def expected(self, points: np.ndarray) -> np.ndarray:
        """The score that each of `points`, shape (m, d), is expected to end with; shape (m,)."""
        return np.asarray(np.mean([member.ends(points - CENTRE)[0] for member in self._members], axis=0))

    @one_thread
    def chance_above(self, points: np.ndarray, bound: float) -> np.ndarray:
        """How likely each of `points`, shape (m, d), ends above a score; shape (m,)."""
        ends = [member.ends(points - CENTRE) for member in self._members]
        return np.asarray(np.mean([ndtr((mean - bound) / deviation) for mean, deviation in ends], axis=0))


@dataclass(frozen=True)
class _Settings:
    """Of one kernel: variances in units of the scores', and lengths in units of the cube and of a training."""

    scale: float  # of the smooth part of the ends
    lengths: np.ndarray  # (d,)
    trend: float  # of their linear part
    noise: float
    alike: float  # of the way to go: what like configurations share,
    common: float  # what all share,
    own: float  # and what is a training's own
    decay: float  # the share after which the way has halved, more or less

    @classmethod
    def of(cls, theta: np.ndarray) -> _Settings:
        """From their logarithms, shape (d + 7,)."""
        scale, *lengths, trend, noise, alike, common, own, decay = np.exp(theta)
        return cls(scale, np.array(lengths), trend, noise, alike, common, own, decay)

    def likeness(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Of centred points, shapes (m, d) and (n, d); from 0 to 1, shape (m, n)."""
        return np.asarray(Matern(self.lengths, nu=2.5)(left, right))

    def way(self, shares: np.ndarray) -> np.ndarray:
        """The covariance of the ways to go from shares of a training, shape (n,), to its end; shape (n, n).

        Swersky's kernel b / (s + t + b), given that nothing is left at 1.
        """

        def left(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray | float:
            mixed, end = self.decay / (a + b + self.decay), self.decay / (2 + self.decay)
            return mixed - self.decay**2 / ((a + 1 + self.decay) * (b + 1 + self.decay)) / end

        return np.asarray(left(shares[:, None], shares[None]) / left(UNIT_SHARE, UNIT_SHARE))


class _Member:
    """The process under one setting, fitted.

    Raises:
        LinAlgError: when the covariance is singular.
    """

    def __init__(self, settings: _Settings, centred: np.ndarray, readings: Readings) -> None:
        self._settings, self._centred, self._owner = settings, centred, readings.owner
        likeness = settings.likeness(centred, centred)
        ends = settings.scale * likeness + settings.trend * (centred @ centred.T)
        ways = settings.alike * likeness + settings.common + settings.own * np.eye(len(centred))
        rows = np.ix_(readings.owner, readings.owner)
        covariance = ends[rows] + settings.way(readings.share) * ways[rows]
        covariance[np.diag_indices_from(covariance)] += settings.noise + JITTER
        self._lower = cholesky(covariance, lower=True, check_finite=False)
        self._weights = cho_solve((self._lower, True), readings.score, check_finite=False)
        self.log_likelihood = -float(readings.score @ self._weights) / 2 - float(np.log(np.diag(self._lower)).sum())
        """Up to a constant."""

    def ends(self, centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of what trainings end with, at points of shape (m, d); each of shape (m,)."""
        settings = self._settings
        shared = settings.scale * settings.likeness(centred, self._centred) + settings.trend * centred @ self._centred.T
        shared = shared[:, self._owner]
        known = solve_triangular(self._lower, shared.T, lower=True, check_finite=False)
        variance = settings.scale + settings.trend * (centred * centred).sum(axis=1) - (known * known).sum(axis=0)
        return shared @ self._weights, np.sqrt(np.maximum(variance, LEAST))


def _prior(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the logarithms of the settings, each of shape (d + 7,)."""
    mean = [0.0, *[math.log(LENGTH * math.sqrt(d))] * d, 0.0, -8.0, -1.5, -1.0, -3.0, math.log(0.1)]
    spread = [0.5, *[0.8] * d, 1.5, 1.5, 1.5, 1.5, 1.5, 1.0]
    return np.array(mean), np.array(spread)
