"""The first advisor to listen to: an averaged Gaussian process, and what is tried before it has data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .records import Candidate, Config, Direction, Trial, best_trial
from .sampling import Key, is_new, near, new_near, observed
from .space import Choice, Space

if TYPE_CHECKING:
    from .surrogate import Surrogate

STARTUP = 4  # trials before the process, the default among them
LIMIT = 30  # trials; beyond them one kernel is as good as many, and Optuna's process takes over
START_SPREAD = 0.25  # of each (log) range: standard deviation of a start point around the default
TRIES = 50  # draws for one start point
DRAWS = 300  # points of each kind among which the best is sought
ROUNDS, PARENTS, CHILDREN = 4, 20, 10  # of the search that follows: rounds, the points kept, draws around each


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
        found = _search(space, model, units[int(np.argmax(values))], seen, rng)
        reason = f"a Gaussian process over {len(trials)} trials, under many kernels, expects the most improvement here"
        return [Candidate(config, self.name, reason) for config in found[:n]]


def encoded(space: Space, config: Config) -> np.ndarray:
    """A configuration as the surrogate sees it: numbers in the unit cube, a choice as one column for each value.

    Two different choices are as far apart as the ends of a range.
    """
    columns: list[float] = []
    for (name, parameter), unit in zip(space.parameters.items(), space.to_unit(config), strict=True):
        if isinstance(parameter, Choice):
            value = parameter.clip({**space.complete_default(), **config}[name])
            columns += [np.sqrt(0.5) * (choice == value) for choice in parameter.choices]
        else:
            columns.append(unit)
    return np.array(columns)


def _search(
    space: Space, model: Surrogate, best: np.ndarray, seen: Collection[Key], rng: np.random.Generator
) -> list[Config]:
    """New valid configurations, the most promising first: draws everywhere and around the best, then around those."""
    anywhere = rng.random((DRAWS, len(best)))
    mixed = np.where(rng.random(anywhere.shape) < rng.random((DRAWS, 1)), best, rng.random(anywhere.shape))
    spread = np.geomspace(0.02, 0.3, DRAWS)[:, None]
    units = np.concatenate([anywhere, mixed, best + spread * rng.standard_normal(anywhere.shape)])
    found = _ranked(space, model, units, {}, seen)
    if not found:
        nearest = new_near(space, best, seen, rng)
        return [] if nearest is None else [nearest]
    for step in 0.1 * 0.5 ** np.arange(ROUNDS):
        parents = np.array([space.to_unit(config) for config in list(found.values())[:PARENTS]])
        children = np.repeat(parents, CHILDREN, axis=0)
        children += step * rng.standard_normal(children.shape) * (rng.random(children.shape) < 0.5)
        found = _ranked(space, model, children, dict(list(found.items())[:PARENTS]), seen)
    return list(found.values())


def _ranked(
    space: Space, model: Surrogate, units: np.ndarray, also: dict[Key, Config], seen: Collection[Key]
) -> dict[Key, Config]:
    """The new valid configurations at points of the unit cube and `also`, by expected improvement, best first."""
    drawn = [
        space.clip({name: p.from_unit(u) for (name, p), u in zip(space.parameters.items(), unit, strict=True)})
        for unit in np.clip(units, 0.0, 1.0).tolist()
    ]
    found = also | {space.key(config): config for config in drawn if is_new(space, config, seen)}
    if not found:
        return {}
    gains = model.expected_improvement(np.array([encoded(space, config) for config in found.values()]))
    rows = list(found.items())
    return dict(rows[i] for i in np.argsort(-gains, kind="stable"))


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
