"""Bayesian logistic regression with a prior for each coefficient: arrays in, arrays out.

Laplace's approximation of the posterior (MacKay 1992, "The evidence framework applied to classification networks"):
with few rows the answer stays near the prior's, and a point far from the rows gets a probability near a half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

STEPS = 25  # Newton steps at most; four to eight suffice
CLOSE = 1e-7  # a step that lowers the loss by less ends the search
SHORTEST = 2.0**-10  # of a Newton step, before it is given up


@dataclass(frozen=True)
class Logit:
    """A posterior over the coefficients of columns, with what it foresees of its own rows."""

    centre: np.ndarray  # (d,)
    covariance: np.ndarray  # (d, d)
    held_out: np.ndarray  # (n,) the probability of a row's 1, as the other rows tell it

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """The probability of a 1 at each row of `columns`, shape (m, d); shape (m,)."""
        return _averaged(columns @ self.centre, _variances(columns, self.covariance))


def fit_logit(
    columns: np.ndarray, labels: np.ndarray, weights: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> Logit:
    """The posterior after some rows.

    What a row would get without itself is read off the same fit: its own pull is taken out of the posterior
    (Vehtari et al. 2016, arXiv 1412.7338, section 3.2).

    Args:
        columns: shape (n, d); a constant one is the level.
        labels: shape (n,), 0 or 1.
        weights: shape (n,), how often each row counts.
        mean: of the normal prior, shape (d,).
        deviation: of the normal prior, shape (d,).
    """
    precision = deviation**-2.0
    centre, loss = mean.astype(float), _loss(columns, labels, weights, mean, precision, mean)
    for _ in range(STEPS):
        gradient, hessian = _slopes(columns, labels, weights, mean, precision, centre)
        step, length = np.linalg.solve(hessian, gradient), 1.0
        while (after := _loss(columns, labels, weights, mean, precision, centre - length * step)) > loss:
            length /= 2
            if length < SHORTEST:
                break
        if after > loss:
            break
        centre, gain, loss = centre - length * step, loss - after, after
        if gain < CLOSE:
            break
    _, hessian = _slopes(columns, labels, weights, mean, precision, centre)
    covariance = np.linalg.inv(hessian)
    return Logit(centre, covariance, _without_itself(columns, labels, weights, centre, covariance))


def _loss(
    columns: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    mean: np.ndarray,
    precision: np.ndarray,
    centre: np.ndarray,
) -> float:
    scores = columns @ centre
    return float(weights @ (np.logaddexp(0, scores) - labels * scores) + precision @ (centre - mean) ** 2 / 2)


def _slopes(
    columns: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    mean: np.ndarray,
    precision: np.ndarray,
    centre: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The loss's gradient, shape (d,), and its second derivative, shape (d, d)."""
    p = expit(columns @ centre)
    gradient = columns.T @ (weights * (p - labels)) + precision * (centre - mean)
    return gradient, (columns.T * (weights * p * (1 - p))) @ columns + np.diag(precision)


def _without_itself(
    columns: np.ndarray, labels: np.ndarray, weights: np.ndarray, centre: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    scores, variances = columns @ centre, _variances(columns, covariance)
    p = expit(scores)
    wider = variances / np.maximum(1 - weights * p * (1 - p) * variances, 1e-6)
    return _averaged(scores + wider * weights * (p - labels), wider)


def _variances(columns: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.asarray(((columns @ covariance) * columns).sum(axis=1))


def _averaged(score: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The mean of the logistic function over a normal score (MacKay 1992, equation 10)."""
    return np.asarray(expit(score / np.sqrt(1 + np.pi * variance / 8)))
