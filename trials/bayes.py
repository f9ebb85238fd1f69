"""The first advisor to listen to: an averaged Gaussian process, and what is tried before it has data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .records import Candidate, Config, Direction, Trial, best_trial
from .sampling import Key, is_new, near, observed
from .search import encoded, search
from .space import Space

STARTUP = 4  # trials before the process, the default among them
LIMIT = 30  # trials; beyond them one kernel is as good as many, and Optuna's process takes over
START_SPREAD = 0.25  # of each (log) range: standard deviation of a start point around the default
TRIES = 50  # draws for one start point


class BayesAdvisor:
    """Expected improvement under a Gaussian process averaged over its kernel's posterior; start points before that."""

    name = "bayes"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates; none beyond `LIMIT` trials."""
        if len(trials) >= LIMIT:
            return []
        rng, known = np.random.default_rng(seed), observed(trials, direction)
        seen = {space.key(trial.config) for trial in trials}
        if len(trials) < STARTUP or len(known) < 2:
            return [Candidate(c, self.name, why) for c, why in _start_points(space, trials, direction, seen, rng, n)]
        from .surrogate import Surrogate  # scikit-learn takes a second to import

        units = np.array([space.to_unit(trial.config) for trial, _ in known])
        values = direction.sign * np.array([value for _, value in known])
        model = Surrogate(np.array([encoded(space, trial.config) for trial, _ in known]), values, rng)
        found = search(space, model, units[int(np.argmax(values))], seen, rng)
        reason = f"a Gaussian process over {len(trials)} trials, under many kernels, expects the most improvement here"
        return [Candidate(config, self.name, reason) for config in found[:n]]


def _start_points(
    space: Space, trials: Sequence[Trial], direction: Direction, seen: set[Key], rng: np.random.Generator, n: int
) -> list[tuple[Config, str]]:
    """Random configurations: the first anywhere, and later ones around the default while nothing has beaten it.

    A stated default is often good, and then what is better lies near it. One look elsewhere shows whether it is.
    """
    best = best_trial(list(trials), direction)
    good = len(trials) > 1 and space.default_is_complete and best is not None and best.number == 0
    centre, taken = space.to_unit(space.default()), set(seen)
    found: list[tuple[Config, str]] = []
    for _ in range(TRIES * n):
        config = near(space, centre, START_SPREAD, rng) if good else space.sample(rng)
        if len(found) < n and is_new(space, config, taken):
            taken.add(space.key(config))
            found.append((config, "a random point around the default" if good else "a random point"))
    return found
