"""A Gaussian process averaged over its kernel's posterior: a model of a study's values that few trials suffice for.

With ten trials the likelihood hardly tells a kernel's settings apart, and the most likely ones are often wrong and sure
of it. So the settings are drawn from their posterior, and every question is answered by all of the draws, as in Snoek
et al. 2012 (arXiv 1206.2944, section 3.2). The kernel is a smooth function plus a linear trend; the processes are
scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

MEMBERS = 20  # kernels that answer
DRAWS = 400  # from the prior, of which the likelihood chooses the members
WALK = 8  # Metropolis steps of each member, so that they differ
STRIDE = 0.35  # of the prior's standard deviation: such a step
CENTRE = 0.5  # of the unit cube, through which trends are straight lines
LENGTH = 0.75  # of the unit cube's diagonal: the prior's median length scale
FAR_BELOW = 2.0  # ways from the median up to the best: all values that lie further below the median count the same
JITTER = 1e-10  # on the diagonal, scikit-learn's own
EQUAL = 1e-12  # of the largest value: values that differ by less are equal

P = ParamSpec("P")
T = TypeVar("T")


def one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """For what asks a process: its matrices are small, and more threads only wait for each other and for a training's.

    What it proposes then does not depend on the number of threads, either.
    """
    limited: Callable[P, T] = threadpool_limits.wrap(limits=1, user_api="blas")(function)
    return limited


class Surrogate:
    """What configurations are worth, as far as those tried tell; higher is better.

    Args:
        points: of shape (n, d), in the unit cube; n >= 2.
        values: of shape (n,).
        rng: for the kernels' settings.
    """

    @one_thread
    def __init__(self, points: np.ndarray, values: np.ndarray, rng: np.random.Generator) -> None:
        scores = standardised(values)
        self._best = float(scores.max())
        # Above the median, scores are values shifted and divided by this.
        top, median = float(values.max()), float(np.median(values))
        self._unit = (top - median) / (self._best - float(np.median(scores))) if top > median else math.inf
        centred = points - CENTRE
        thetas = posterior(lambda theta: log_likelihood(_kernel(theta), centred, scores), *_prior(points.shape[1]), rng)
        self._members = [_process(theta, centred, scores) for theta in thetas]

    @one_thread
    def expected_improvement(self, points: np.ndarray) -> np.ndarray:
        """By how much each of `points`, shape (m, d), is expected to beat the best value; shape (m,)."""
        total = np.zeros(len(points))
        for member in self._members:
            mean, deviation = member.predict(points - CENTRE, return_std=True)
            total += expected_gain(mean, deviation, self._best)
        improvement: np.ndarray = total / len(self._members)
        return improvement

    @one_thread
    def probability_of_more(self, points: np.ndarray, margin: float) -> np.ndarray:
        """How likely each of `points`, shape (m, d), beats the best value by more than `margin`, in units of the
        values; shape (m,)."""
        least = self._best + margin / self._unit
        total = np.zeros(len(points))
        for member in self._members:
            mean, deviation = member.predict(points - CENTRE, return_std=True)
            total += norm.sf((least - mean) / deviation)
        return np.asarray(total / len(self._members))


def standardised(values: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1, after values far below the median were raised: how bad the bad are teaches nothing."""
    median, best = float(np.median(values)), float(values.max())
    raised = np.maximum(values, median - FAR_BELOW * (best - median)) if best > median else values
    deviation = float(raised.std())
    # The mean of equal values may differ from them by a rounding.
    scores: np.ndarray = (raised - raised.mean()) / (deviation if deviation > EQUAL * np.abs(raised).max() else 1.0)
    return scores


def _process(theta: np.ndarray, points: np.ndarray, scores: np.ndarray) -> GaussianProcessRegressor:
    """A fitted process with the logarithms `theta` of scale, length scales, trend and noise, shape (d + 3,)."""
    return GaussianProcessRegressor(_kernel(theta), optimizer=None).fit(points, scores)


def _kernel(theta: np.ndarray) -> Kernel:
    scale, *lengths, trend, noise = np.exp(theta)
    smooth = ConstantKernel(scale) * Matern(np.array(lengths), nu=2.5)
    return smooth + ConstantKernel(trend) * DotProduct(0.0, "fixed") + WhiteKernel(noise)


def log_likelihood(kernel: Kernel, points: np.ndarray, scores: np.ndarray) -> float:
    """The logarithm, -inf where the covariance is singular. scikit-learn's process gives the same number, and takes
    three times as long to look up its own parameters first."""
    covariance = kernel(points)
    covariance[np.diag_indices_from(covariance)] += JITTER
    try:
        lower = cholesky(covariance, lower=True, check_finite=False)
    except LinAlgError:
        return -math.inf
    half = float(scores @ cho_solve((lower, True), scores, check_finite=False)) / 2
    return float(-half - np.log(np.diag(lower)).sum() - len(scores) / 2 * np.log(2 * np.pi))


def expected_gain(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """By how much what is normal with these, of one shape, is expected to exceed `best` (Jones et al. 1998)."""
    z = (mean - best) / deviation
    gain: np.ndarray = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return gain


def posterior(
    likelihood: Callable[[np.ndarray], float], mean: np.ndarray, spread: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws of a kernel's settings, shape (MEMBERS, k): likely ones of the prior's, each moved on by a few Metropolis
    steps.

    Args:
        likelihood: the logarithm, of settings of shape (k,); -inf where they are impossible.
        mean, spread: of the normal prior, each of shape (k,).
    """

    def likelihoods(units: np.ndarray) -> np.ndarray:
        return np.array([likelihood(mean + spread * row) for row in units])

    drawn = rng.standard_normal((DRAWS, len(mean)))  # in units of the prior
    known = likelihoods(drawn)
    weights = np.exp(known - known.max())
    kept = rng.choice(DRAWS, MEMBERS, p=weights / weights.sum())
    members: np.ndarray = mean + spread * _walk(drawn[kept], known[kept], likelihoods, rng)
    return members


def _prior(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the logarithms of scale, length scales, trend and noise, in units of the standardised
    values; each of shape (d + 3,)."""
    mean = np.array([0.0, *[np.log(LENGTH * np.sqrt(d))] * d, 0.0, -8.0])
    return mean, np.array([0.5, *[0.8] * d, 1.5, 1.5])


def _walk(
    units: np.ndarray,
    known: np.ndarray,
    likelihood: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Each row of `units` after `WALK` Metropolis steps under a standard normal prior and the likelihood."""
    for _ in range(WALK):
        moved = units + STRIDE * rng.standard_normal(units.shape)
        found = likelihood(moved)
        gain = found - known - (moved**2 - units**2).sum(axis=1) / 2
        accepted = np.log(rng.random(len(units))) < gain
        units, known = np.where(accepted[:, None], moved, units), np.where(accepted, found, known)
    return units
