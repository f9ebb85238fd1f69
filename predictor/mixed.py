"""Logistic regression with random effects, fitted by empirical Bayes: pure maths, arrays in and arrays out.

    successes ~ Binomial(runs, sigmoid(X b + u[task])),  b[block] ~ N(0, v[block]),  u[task] ~ N(0, w[group of task])

Effects are found by Newton's method (the Laplace approximation of their posterior), variances by the fixed point of the
marginal likelihood (MacKay 1992; Breslow and Clayton 1993 for this model), with an exponential prior on each that keeps
a block small unless the data ask for it. Coefficients of a `heavy` block have a Student t prior instead, by its scale
mixture, so that a few workflows that are plainly broken do not move the others. Runs of one pair resemble each other:
`rho` is their correlation, by moments, and n runs count as n / (1 + (n - 1) rho).

Tasks are many and each row has one, so they are eliminated first (Schur complement): what is inverted is as large as b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from .crossed import Crossed

# Of variances. Those of heavy blocks that say nothing go on shrinking; on AFlow's logs 30 more rounds move estimates
# of unseen workflows by 0.0015 on the mean and 0.018 at most.
ROUNDS = 30
LOW, HIGH = 1e-5, 50.0  # variances are kept within
TINY = 1e-9
CHUNK = 4096  # rows whose logits are taken at a time: some 10 MB


@dataclass(frozen=True)
class Priors:
    """What is believed before any run. The defaults did well on AFlow's logs; `examples/predictor_tuning` tunes them.

    Raises:
        ValueError: a value that is not positive.
    """

    degrees: float = 3.0  # of freedom of the t prior of heavy blocks
    rate: float = 1.0  # of the exponential prior on variances, in 1 / squared logits

    def __post_init__(self) -> None:
        if not (self.degrees > 0 and self.rate > 0):
            raise ValueError(f"`degrees` and `rate` must be above 0, but are {self.degrees} and {self.rate}")


DEFAULT_PRIORS = Priors()


@dataclass(frozen=True)
class Block:
    """Coefficients that share one prior."""

    name: str
    columns: np.ndarray  # places in X
    fixed: float | None = None  # variance, where it is not estimated
    heavy: bool = False


@dataclass(frozen=True)
class Rows:
    """What is learnt from: n rows, d columns, k tasks in g groups."""

    X: sp.csr_matrix  # (n, d)
    task: np.ndarray  # (n,) int
    group: np.ndarray  # (k,) int, the group of each task
    successes: np.ndarray  # (n,)
    runs: np.ndarray  # (n,)


@dataclass(frozen=True)
class Posterior:
    """A Gaussian over the effects. `reach` and `spread` are what the elimination of tasks left for the covariance."""

    b: np.ndarray  # (d,)
    u: np.ndarray  # (k,)
    covariance: np.ndarray  # (d, d) of b
    reach: np.ndarray  # (k, d)
    spread: np.ndarray  # (k,) variance of u given b
    block_variance: np.ndarray  # one a block
    group_variance: np.ndarray  # (g,)
    rho: float

    def logit(self, X: sp.csr_matrix, task: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the logit, each of shape (n,).

        Args:
            X: shape (n, d).
            task: shape (n,), -1 for a task that was not learnt from.
            group: shape (n,), the group of an unseen task; -1 where that is unseen too, which takes the widest.
        """
        parts = [slice(at, at + CHUNK) for at in range(0, X.shape[0], CHUNK)]
        found = [self._logit(X[part].toarray(), task[part], group[part]) for part in parts]
        if not found:
            return np.zeros(0), np.zeros(0)
        return np.concatenate([mean for mean, _ in found]), np.concatenate([variance for _, variance in found])

    def _logit(self, X: np.ndarray, task: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = task >= 0
        widest = np.append(self.group_variance, self.group_variance.max())
        rest = X - np.where(known[:, None], self.reach[task], 0.0)
        own = np.where(known, self.spread[task], widest[group])
        mean = X @ self.b + np.where(known, self.u[task], 0.0)
        return mean, np.einsum("ij,ij->i", rest @ self.covariance, rest) + own


def fit(rows: Rows, blocks: list[Block], priors: Priors = DEFAULT_PRIORS) -> Posterior:
    """The effects, their covariance and the variances that make the successes most likely.

    Raises:
        ValueError: no row.
    """
    if not rows.X.shape[0]:
        raise ValueError("a fit needs at least one row, but got none")
    state = _State(rows, blocks, priors)
    for turn in range(ROUNDS):
        state.newton(8 if turn == 0 else 2)
        state.update_variances(by_evidence=turn >= 3)
    state.newton(2)
    return state.posterior()


def probability(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The mean of sigmoid over N(mean, variance), by MacKay's probit approximation; any shape."""
    found: np.ndarray = expit(mean / np.sqrt(1 + np.pi * variance / 8))
    return np.asarray(np.clip(found, 1e-6, 1 - 1e-6))


class _State:
    """One fit in progress."""

    def __init__(self, rows: Rows, blocks: list[Block], priors: Priors) -> None:
        self.rows, self.blocks, self.priors = rows, blocks, priors
        d, k = rows.X.shape[1], len(rows.group)
        self.b, self.u = np.zeros(d), np.zeros(k)
        self.variance = np.array([1.0 if block.fixed is None else block.fixed for block in blocks])
        self.group_variance = np.full(int(rows.group.max(initial=0)) + 1, 4.0)
        self.rho = 0.4
        self.diagonal = np.zeros(d)  # of the covariance
        self._sums = Crossed(rows.X, rows.task, k)
        self._seen = np.bincount(rows.task, minlength=k) > 0

    def newton(self, steps: int) -> None:
        """Towards the most likely effects under the present variances."""
        rows, sums, precision, own = self.rows, self._sums, self._precision(), 1 / self.group_variance[self.rows.group]
        share = 1 / (1 + (rows.runs - 1) * self.rho)
        for _ in range(steps):
            p = expit(sums.times(self.b) + self.u[rows.task])
            weight = rows.runs * share * p * (1 - p) + TINY
            slope = share * (rows.successes - rows.runs * p)
            gram, self.cross = sums.moments(weight)
            self.inner = sums.by_task(weight) + own  # (k,)
            left = gram + np.diag(precision) - self.cross.T @ (self.cross / self.inner[:, None])
            self.covariance = np.linalg.inv(left)
            down = sums.by_task(slope) - self.u * own
            step = self.covariance @ (sums.summed(slope) - precision * self.b - self.cross.T @ (down / self.inner))
            self.b = self.b + step
            self.u = self.u + (down - self.cross @ step) / self.inner
        self.diagonal = np.diag(self.covariance).copy()

    def _precision(self) -> np.ndarray:
        precision, degrees = np.zeros(len(self.b)), self.priors.degrees
        for block, v in zip(self.blocks, self.variance, strict=True):
            at = block.columns
            square = self.b[at] ** 2 + self.diagonal[at]
            precision[at] = (degrees + 1) / (degrees * v + square) if block.heavy and square.any() else 1 / v
        return precision

    def update_variances(self, *, by_evidence: bool) -> None:
        """One step of each; after the first rounds `rho` too, which needs effects that have settled."""
        self._update_blocks()
        reach = self.cross / self.inner[:, None]
        square = self.u**2 + 1 / self.inner + ((reach @ self.covariance) * reach).sum(axis=1)
        for group in range(len(self.group_variance)):
            inside = (self.rows.group == group) & self._seen
            if inside.any():
                self.group_variance[group] = np.clip(square[inside].mean(), LOW, HIGH)
        if by_evidence:
            self.rho = self._correlation()

    def _update_blocks(self) -> None:
        precision, rate = self._precision(), self.priors.rate
        for i, block in enumerate(self.blocks):
            at, v = block.columns, self.variance[i]
            square = self.b[at] ** 2 + self.diagonal[at]
            if block.fixed is not None or not len(at):
                continue
            if block.heavy:
                found = (square * precision[at] * v).mean()
            else:  # the most likely variance under its exponential prior
                found = (np.sqrt(len(at) ** 2 + 8 * rate * square.sum()) - len(at)) / (4 * rate)
            self.variance[i] = np.clip(found, LOW, HIGH)

    def _correlation(self) -> float:
        rows = self.rows
        p = expit(self._sums.times(self.b) + self.u[rows.task])
        v, many = rows.runs * p * (1 - p), rows.runs > 1
        if not many.any():
            return 0.0
        excess = ((rows.successes - rows.runs * p) ** 2 - v)[many].sum()
        return float(np.clip(excess / max((v * (rows.runs - 1))[many].sum(), TINY), 0, 1))

    def posterior(self) -> Posterior:
        return Posterior(
            b=self.b,
            u=self.u,
            covariance=self.covariance,
            reach=self.cross / self.inner[:, None],
            spread=1 / self.inner,
            block_variance=self.variance,
            group_variance=self.group_variance,
            rho=self.rho,
        )
