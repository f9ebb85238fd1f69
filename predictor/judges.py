"""Several judges of one question, and how much each counts: as much as it foresaw of rows that it was not shown."""

from __future__ import annotations

import math
import warnings
from typing import Protocol

import numpy as np
from scipy.special import logsumexp, xlogy

TREES = 40  # of the forest: 100 were no better and take half a second
REWEIGHTINGS = 200  # draws of the Bayesian bootstrap
CHANCE = 0.02  # of a 1 that no column explains: a run may die of the machine, and one such must not choose the judge
EDGE = 1e-3  # no judge is surer than this of a row that it was not shown
FEW = 2.0  # a forest of n rows is pulled to the base rate by FEW / (FEW + sqrt(n))


class Judge(Protocol):
    """What learnt from rows to tell a probability."""

    @property
    def held_out(self) -> np.ndarray:
        """The probability of a 1 at each row that it learnt from, as the other rows tell it; shape (n,)."""
        ...

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """The probability of a 1 at each row of `columns`, shape (m, d); shape (m,)."""
        ...


class Trees:
    """Extremely randomised trees whose shares are pulled to the base rate, the more the fewer rows they saw.

    Args:
        columns: shape (n, d).
        labels: shape (n,), 0 or 1, both among them.
        weights: shape (n,), how often each row counts.
    """

    def __init__(self, columns: np.ndarray, labels: np.ndarray, weights: np.ndarray, seed: int) -> None:
        from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

        self._base = float((weights @ labels + 0.5) / (weights.sum() + 1))
        self._pull = FEW / (FEW + math.sqrt(weights.sum()))
        self._forest = ExtraTreesClassifier(TREES, max_features=None, bootstrap=True, oob_score=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a row was in every bag, which counts as unknown below
            self._forest.fit(columns, labels, sample_weight=weights)
        shares = self._forest.oob_decision_function_[:, 1]
        self.held_out = self._pulled(np.where(np.isfinite(shares), shares, self._base))  # (n,)

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """The probability of a 1 at each row of `columns`, shape (m, d); shape (m,)."""
        return self._pulled(self._forest.predict_proba(columns)[:, 1])

    def _pulled(self, shares: np.ndarray) -> np.ndarray:
        return np.asarray(shares + self._pull * (self._base - shares), float)


def likelihoods(probability: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The log likelihood of each row, shape (n,)."""
    inside = np.clip(CHANCE + (1 - CHANCE) * probability, EDGE, 1 - EDGE)
    return np.asarray(weights * (xlogy(labels, inside) + xlogy(1 - labels, 1 - inside)))


def shares(scores: np.ndarray, prior: np.ndarray, seed: int) -> np.ndarray:
    """How much each judge counts, shape (k,), from the scores of each, shape (k, n).

    The mean over draws of how often each row counts: with few rows, luck would else choose one judge.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.ones(scores.shape[1]), REWEIGHTINGS) * scores.shape[1]  # (draws, n)
    totals = drawn @ scores.T + prior  # (draws, k)
    return np.asarray(np.exp(totals - logsumexp(totals, axis=1, keepdims=True)).mean(axis=0))


def explained(held_out: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How likely each row's label is more than chance, as a judge sees it that was not shown the row; shape (n,)."""
    return np.where(labels > 0, held_out / (held_out + CHANCE), 1.0)
