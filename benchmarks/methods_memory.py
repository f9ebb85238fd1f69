"""Known ways to use past tasks, to compare the product's with: a portfolio, and what may follow it.

- `portfolio`: the configurations that together would have served the past tasks best, chosen greedily among the best of
  each (Wistuba et al. 2015; Feurer et al. 2022, arXiv 2007.04074).
- `portfolio-gp`: five of them, then Optuna's Gaussian process.
- `ensemble-gp`: five of them, then expected improvement under an ensemble of the past tasks' surrogates, weighted by
  how often each ranks this task's values best (RGPE, Feurer et al. 2018, arXiv 1802.02219), and a Gaussian process on
  what it leaves over.

All read the past tasks by the same surrogates as the product, so that the way of using them is what differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from suites import Objective, as_trial

from luthier.memory.past import PastStudy, inside
from luthier.memory.prior import PastTasks
from luthier.memory.transfer import TransferAdvisor
from luthier.trials.advisor import seed_for
from luthier.trials.advisors import GPAdvisor
from luthier.trials.records import Candidate, Config, Direction, Trial
from luthier.trials.sampling import observed
from luthier.trials.search import encoded, search
from luthier.trials.space import Space
from luthier.trials.surrogate import standardised

FIVE = 5  # portfolio points before a model
EACH = 20  # best configurations of each past task that a portfolio is chosen from
DRAWS = 200  # bootstrap draws of the pairs on which the rankings are compared

Next = Callable[[Space, Direction, list[Trial], int], Config]


class Past:
    """Past studies as surrogates, and the configurations that did best in them."""

    def __init__(self, studies: tuple[PastStudy, ...], space: Space) -> None:
        rows = [inside(study, space) for study in TransferAdvisor(studies).usable(space)]  # those that the product uses
        points = [np.array([encoded(space, c) for c in configs]) for configs, _ in rows]
        self.tasks = PastTasks(points, [values for _, values in rows])
        self.best = [configs[i] for configs, values in rows for i in np.argsort(-values, kind="stable")[:EACH]]
        self._values = self.tasks.predict(np.array([encoded(space, c) for c in self.best]))  # (n, T)

    def portfolio(self, n: int) -> list[Config]:
        """Greedily, what raises the mean over tasks of the best predicted value most."""
        known, found = np.full(self.tasks.count, -np.inf), list[Config]()
        for _ in range(n):
            place = int(np.argmax(np.maximum(self._values, known).mean(axis=1)))
            known = np.maximum(known, self._values[place])
            found.append(self.best[place])
        return found


_known: dict[tuple[PastStudy, ...], Past] = {}  # the last task's: its methods follow one another


def _past(studies: tuple[PastStudy, ...], space: Space) -> Past:
    if studies not in _known:
        _known.clear()
        _known[studies] = Past(studies, space)
    return _known[studies]


def _method(after: Callable[[Past], Next], first: int) -> Callable[..., list[float]]:
    """A method that begins with `first` portfolio points, counting the given starts, and goes on with `after`."""

    def tune(
        objective: Objective,
        space: Space,
        direction: Direction,
        *,
        starts: Sequence[Config],
        trials: int,
        seed: int,
        model: str,
        past: Sequence[PastStudy] = (),
    ) -> list[float]:
        if not past:
            raise ValueError("this method needs past tasks; give --memory leave-one-out")
        known = _past(tuple(past), space)
        begin = [*starts, *known.portfolio(first)]
        following, done = after(known), list[Trial]()
        for number in range(trials):
            given = number < max(first, len(starts))
            config = begin[number] if given else following(space, direction, done, seed)
            done.append(as_trial(number, Candidate(config, "past"), objective(config)))
        return [math.nan if t.value is None else t.value for t in done]

    return tune


def _no_more(past: Past) -> Next:
    """A portfolio as long as the run."""
    points = past.portfolio(100)
    return lambda space, direction, done, seed: points[min(len(done), len(points) - 1)]


def _gp(past: Past) -> Next:
    def following(space: Space, direction: Direction, done: list[Trial], seed: int) -> Config:
        made: list[Candidate] = GPAdvisor().advise(space, done, direction, seed=seed_for(seed, len(done), "gp"))
        return made[0].config

    return following


def _ensemble(past: Past) -> Next:
    def following(space: Space, direction: Direction, done: list[Trial], seed: int) -> Config:
        rng = np.random.default_rng(seed_for(seed, len(done), "ensemble"))
        known = observed(done, direction)
        points = np.array([encoded(space, trial.config) for trial, _ in known])
        scores = standardised(direction.sign * np.array([value for _, value in known]))
        judge = _Ensemble(past.tasks, points, scores, rng)
        best = space.to_unit(known[int(np.argmax(scores))][0].config)
        return search(space, judge, best, {space.key(t.config) for t in done}, rng, past.best[::EACH])[0]

    return following


class _Ensemble:
    """Expected improvement under the weighted past surrogates and a Gaussian process on the rest."""

    def __init__(self, past: PastTasks, points: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> None:
        self._past, self._best = past, float(scores.max())
        seen = past.predict(points)  # (n, T)
        self._weights = _ranking_weights(seen, scores, rng)
        kernel = ConstantKernel(1.0) * Matern(past.lengths, nu=2.5) + WhiteKernel(1e-2, (1e-5, 1.0))
        self._shift = float((scores - seen @ self._weights).mean())
        self._rest = GaussianProcessRegressor(kernel, random_state=int(rng.integers(2**31)))
        self._rest.fit(points, scores - self._shift - seen @ self._weights)

    def expected_improvement(self, points: np.ndarray) -> np.ndarray:
        """Of `points`, shape (m, d); shape (m,)."""
        mean, deviation = self._rest.predict(points, return_std=True)
        mean = mean + self._shift + self._past.predict(points) @ self._weights
        z = (mean - self._best) / np.maximum(deviation, 1e-9)
        gain: np.ndarray = deviation * (z * norm.cdf(z) + norm.pdf(z))
        return gain


def _ranking_weights(seen: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The share of bootstrap draws of this task's trials in which each past task misranks the fewest pairs."""
    wrong = ((seen[:, None] < seen[None]) != (scores[:, None] < scores[None])[:, :, None]).astype(float)  # (n, n, T)
    weights = np.zeros(seen.shape[1])
    for _ in range(DRAWS):
        rows = rng.integers(len(scores), size=len(scores))
        lost = wrong[np.ix_(rows, rows)].sum(axis=(0, 1))
        fewest = lost == lost.min()
        weights += fewest / fewest.sum()
    return weights / DRAWS


METHODS = {
    "portfolio": _method(_no_more, 0),
    "portfolio-gp": _method(_gp, FIVE),
    "ensemble-gp": _method(_ensemble, FIVE),
}
