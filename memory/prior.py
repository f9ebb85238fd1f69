"""What past tasks say of a new one. Pure maths: arrays in, arrays out; higher is better.

Each past task is a Gaussian process over its own trials, all with one kernel that is found on all of them together: a
few trials say little about a kernel, many tasks do. The new task is then a guess among many, each weighted by how
likely it makes the values seen so far:

- it is like one of the past tasks, and differs from it by a smooth function;
- it is their mean, and a mixture of their deviations from it (the empirical mean and covariance of HyperBO, Wang et
  al. 2024, arXiv 2109.08215), and differs from that by a smooth function;
- it has nothing to do with them.

Where the last kind comes to weigh most, the past is no help, and `unlike` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from ..trials.surrogate import one_thread, standardised

FIT_TASKS, FIT_POINTS = 8, 100  # on so many tasks, and trials of each, the kernel is found: a fit of 0.3 s
LENGTH = 1.5  # of the unit cube's side: the prior's median length scale of the past tasks' kernel
BOUNDS = ((-4.0, 4.0), (-2.3, 3.4), (-10.0, 0.0))  # of the logarithms of variance, length scales and noise
GUESSES, KEPT = 400, 60  # drawn, and the likeliest of them that answer
ALIKE, MIXED = 0.4, 0.5  # prior shares of "like one past task" and "a mixture of all"; the rest is "unlike"
VAGUE = 3.0  # standard deviation of the new task's mean, in units of its scale


class PastTasks:
    """The past tasks' values, as far as their trials tell.

    Args:
        points: of each task, shape (n_t, d), in the unit cube.
        values: of each task, shape (n_t,).
    """

    @one_thread
    def __init__(self, points: Sequence[np.ndarray], values: Sequence[np.ndarray]) -> None:
        scores = [standardised(v) for v in values]
        self.kernel = _common_kernel(points, scores)
        groups: dict[bytes, list[int]] = {}
        for task, known in enumerate(points):
            groups.setdefault(known.tobytes(), []).append(task)  # tried at the same points: one matrix serves them
        self._models = [
            (
                tasks,
                GaussianProcessRegressor(self.kernel, optimizer=None).fit(
                    points[tasks[0]], np.stack([scores[t] for t in tasks], axis=1)
                ),
            )
            for tasks in groups.values()
        ]
        self.count, self.points, self.scores = len(scores), points, scores

    @property
    def lengths(self) -> np.ndarray:
        """The kernel's length scales, shape (d,)."""
        found: np.ndarray = np.exp(self.kernel.theta[1:-1])
        return found

    @one_thread
    def predict(self, points: np.ndarray) -> np.ndarray:
        """The standardised value that each task would have at `points`, shape (m, d); shape (m, n_tasks)."""
        found = np.empty((len(points), self.count))
        for tasks, model in self._models:
            found[:, tasks] = model.predict(points).reshape(len(points), len(tasks))
        return found

    @one_thread
    def left_out(self) -> list[np.ndarray]:
        """What each task's other trials say of each of its trials, shape (n_t,) a task (Rasmussen and Williams 2006,
        section 5.4.2)."""
        found: dict[int, np.ndarray] = {}
        for tasks, model in self._models:
            precision = np.diag(cho_solve((model.L_, True), np.eye(len(model.L_))))
            solved = model.alpha_.reshape(len(precision), len(tasks))
            found |= {task: self.scores[task] - one / precision for task, one in zip(tasks, solved.T, strict=True)}
        return [found[task] for task in range(self.count)]


class Portfolio:
    """What each point adds to those tried, on average over the past tasks: what to try before values tell anything.

    Args:
        tried: of shape (n, d).
    """

    def __init__(self, past: PastTasks, tried: np.ndarray) -> None:
        self._past = past
        self._best = past.predict(tried).max(axis=0) if len(tried) else np.full(past.count, -np.inf)

    def expected_improvement(self, points: np.ndarray) -> np.ndarray:
        """The mean over tasks of the best value with each of `points`, shape (m, d); shape (m,)."""
        best: np.ndarray = np.maximum(self._past.predict(points), self._best).mean(axis=1)
        return best


@dataclass(frozen=True)
class _Guess:
    """How the new task relates to the past ones: mean F w, covariance mix^2 C C' / T + rest^2 Matern."""

    weights: np.ndarray  # w, shape (n_tasks,)
    mix: float
    rest: float
    kernel: Matern
    noise: float  # variance
    scale: float  # of the new task's scores, in units of the past ones'


@dataclass(frozen=True)
class _Fitted:
    guess: _Guess
    mean: float  # of the scores, before the past is added
    solved: np.ndarray  # the inverse covariance times the residuals, shape (n,)
    factor: tuple[np.ndarray, bool]
    likelihood: float  # its logarithm


class Transfer:
    """What a new task's configurations are worth, as far as past tasks and its own trials tell.

    Args:
        points: the new task's, shape (n, d), n >= 2.
        values: shape (n,).
        rng: for the guesses.
    """

    @one_thread
    def __init__(self, past: PastTasks, points: np.ndarray, values: np.ndarray, rng: np.random.Generator) -> None:
        self._past, self._points = past, points
        self._seen = past.predict(points)  # (n, T)
        scores = standardised(values)
        self._best = float(scores.max())
        spread = max(float(np.median(self._seen.std(axis=0))), 0.1)  # the past tasks' at these very points
        guesses = [_guess(past, 1.0 / spread, rng) for _ in range(GUESSES)]
        fitted = [self._fit(guess, scores) for guess in guesses]
        likelihoods = np.array([f.likelihood for f in fitted])
        weights = np.exp(likelihoods - likelihoods.max())
        weights /= weights.sum()
        self.unlike = float(sum(w for w, g in zip(weights, guesses, strict=True) if not g.weights.any()))
        kept = np.argsort(-weights, kind="stable")[:KEPT]
        self._members = [(float(weights[i] / weights[kept].sum()), fitted[i]) for i in kept]

    @one_thread
    def expected_improvement(self, points: np.ndarray) -> np.ndarray:
        """By how much each of `points`, shape (m, d), is expected to beat the best value; shape (m,)."""
        past, total = self._past.predict(points), np.zeros(len(points))
        for weight, fitted in self._members:
            mean, deviation = self._predict(fitted, points, past)
            z = (mean - self._best) / deviation
            total += weight * deviation * (z * norm.cdf(z) + norm.pdf(z))
        return total

    def _fit(self, guess: _Guess, scores: np.ndarray) -> _Fitted:
        mean = float(scores.mean() - guess.scale * self._seen.mean())
        covariance = _covariance(guess, self._seen, self._seen, self._points, self._points)
        covariance[np.diag_indices_from(covariance)] += guess.scale**2 * guess.noise
        factor = cho_factor(covariance, lower=True)
        residuals = scores - mean - guess.scale * self._seen @ guess.weights
        solved = cho_solve(factor, residuals)
        likelihood = -0.5 * float(residuals @ solved) - float(np.log(np.diag(factor[0])).sum())
        return _Fitted(guess, mean, solved, factor, likelihood)

    def _predict(self, fitted: _Fitted, points: np.ndarray, past: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at `points`, shape (m,) each."""
        guess = fitted.guess
        cross = _covariance(guess, past, self._seen, points, self._points)  # (m, n)
        mean = fitted.mean + guess.scale * past @ guess.weights + cross @ fitted.solved
        known = np.einsum("ij,ji->i", cross, cho_solve(fitted.factor, cross.T))
        deviations = past - past.mean(axis=1, keepdims=True)
        prior = guess.rest**2 + guess.mix**2 * (deviations**2).mean(axis=1) + VAGUE**2
        return mean, np.sqrt(np.maximum(guess.scale**2 * prior - known, 1e-12))


def _covariance(guess: _Guess, a: np.ndarray, b: np.ndarray, at: np.ndarray, bt: np.ndarray) -> np.ndarray:
    """Of the new task's scores, between points `at` and `bt` where the past tasks have `a` and `b`; shape (m, n)."""
    found = guess.rest**2 * guess.kernel(at, bt) + VAGUE**2
    if guess.mix:
        mixed = (a - a.mean(axis=1, keepdims=True)) @ (b - b.mean(axis=1, keepdims=True)).T
        found += guess.mix**2 / a.shape[1] * mixed
    scaled: np.ndarray = guess.scale**2 * found
    return scaled


def _guess(past: PastTasks, scale: float, rng: np.random.Generator) -> _Guess:
    """A draw from the prior; spreads are of logarithms."""
    kind, task = rng.random(), int(rng.integers(past.count))
    alike, mixed = kind < ALIKE, ALIKE <= kind < ALIKE + MIXED
    weights = np.zeros(past.count)
    if alike:
        weights[task] = 1.0
    elif mixed:
        weights[:] = 1.0 / past.count
    return _Guess(
        weights=weights,
        mix=float(np.exp(0.4 * rng.standard_normal())) if mixed else 0.0,
        rest=float(np.exp(np.log(0.3) + 0.6 * rng.standard_normal())) if alike or mixed else 1.0,
        kernel=Matern(past.lengths * np.exp(0.4 * rng.standard_normal()), nu=2.5),
        noise=float(np.exp(rng.standard_normal() - 7.0)),
        scale=scale * float(np.exp(0.7 * rng.standard_normal())),
    )


def _common_kernel(points: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> ConstantKernel:
    """The kernel under which some of the past tasks, drawn once and for all, are likeliest together."""
    rng, d = np.random.default_rng(0), points[0].shape[1]
    kernel = ConstantKernel() * Matern(np.full(d, LENGTH), nu=2.5) + WhiteKernel(1e-2)
    processes = []
    for task in rng.permutation(len(points))[:FIT_TASKS]:
        rows = rng.permutation(len(points[task]))[:FIT_POINTS]
        known = scores[task][rows]
        processes.append(GaussianProcessRegressor(kernel, optimizer=None).fit(points[task][rows], known - known.mean()))
    centre = np.array([0.0, *[np.log(LENGTH)] * d, -5.0])
    precision = np.array([0.25, *[1.0] * d, 1 / 9])  # of the prior on the logarithms, counted once a task

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value = 0.5 * float(precision @ (theta - centre) ** 2)
        slope = precision * (theta - centre)
        for process in processes:
            likelihood, gradient = process.log_marginal_likelihood(theta, eval_gradient=True, clone_kernel=False)
            value, slope = value - likelihood / len(processes), slope - gradient / len(processes)
        return value, slope

    bounds = [BOUNDS[0], *[BOUNDS[1]] * d, BOUNDS[2]]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 30})
    return kernel.clone_with_theta(found.x)
