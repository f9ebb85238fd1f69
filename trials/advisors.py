"""The advisors that every study has: default, averaged GP, Optuna's GP and TPE, local move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .advisor import Advisor
from .bayes import BayesAdvisor
from .local import LocalAdvisor
from .records import Candidate, Direction, State, Trial
from .sampling import ask
from .space import Space

GP_STARTUP = 4  # trials before the GP, the default among them; Optuna's own 10 make ten "GP" trials random
GP_LIMIT = 100  # trials; beyond them a proposal takes seconds, and TPE is as good
TPE_STARTUP = 5
DRAWS = 200  # random configurations in a row that were all tried before: the space counts as used up
ORDER = ("default", "transfer", "bayes", "gp", "tpe", "local", "random")  # whose candidate runs when no model decides


class DefaultAdvisor:
    """Proposes the default configuration until it has been tried."""

    name = "default"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """The default as the only candidate, or nothing."""
        config = space.default()
        if any(space.key(trial.config) == space.key(config) for trial in trials):
            return []
        known = space.default_is_complete
        reason = "your present configuration" if known else "the defaults, with the midpoint where none is given"
        return [Candidate(config, self.name, reason)]


class GPAdvisor:
    """Optuna's Gaussian process with expected improvement, under its most likely kernel."""

    name = "gp"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates; none before `GP_STARTUP` trials, two of them complete, and none beyond `GP_LIMIT`."""
        done = sum(trial.state is State.COMPLETE for trial in trials)
        if not GP_STARTUP <= len(trials) < GP_LIMIT or done < 2:
            return []
        from optuna.samplers import GPSampler

        sampler = GPSampler(seed=seed, n_startup_trials=1)
        reason = f"a Gaussian process over {len(trials)} trials expects the most improvement here"
        return [Candidate(c, self.name, reason) for c in ask(sampler, space, trials, direction, n, seed)]


class TPEAdvisor:
    """Optuna's multivariate tree-structured Parzen estimator."""

    name = "tpe"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates; random ones in the first `TPE_STARTUP` trials, and their reason says so."""
        from optuna.samplers import TPESampler

        sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=TPE_STARTUP)
        early = len(trials) < TPE_STARTUP
        reason = "a random point, too few trials for TPE" if early else "resembles the better trials more than the rest"
        return [Candidate(c, self.name, reason) for c in ask(sampler, space, trials, direction, n, seed)]


class RandomAdvisor:
    """Draws uniformly: for when no other advisor has anything new, and as the floor of a comparison.

    Args:
        name: several under one name and seed would draw the same.
    """

    def __init__(self, name: str = "random") -> None:
        self.name = name

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` new configurations; fewer where `DRAWS` in a row were tried before."""
        rng, seen = np.random.default_rng(seed), {space.key(trial.config) for trial in trials}
        found: list[Candidate] = []
        while len(found) < n:
            drawn = (space.sample(rng) for _ in range(DRAWS))
            config = next((config for config in drawn if space.key(config) not in seen), None)
            if config is None:
                break
            seen.add(space.key(config))
            found.append(Candidate(config, self.name, "a random configuration"))
        return found


def default_advisors() -> list[Advisor]:
    """The advisors of a study without memory, best first."""
    return [DefaultAdvisor(), BayesAdvisor(), GPAdvisor(), TPEAdvisor(), LocalAdvisor()]


def reading_curves(advisors: Sequence[Advisor], metric: str) -> list[Advisor]:
    """The advisors, the Gaussian process reading the metric's curves."""
    return [BayesAdvisor(metric) if isinstance(advisor, BayesAdvisor) else advisor for advisor in advisors]


def with_advisor(advisors: Sequence[Advisor], another: Advisor) -> list[Advisor]:
    """The advisors and another one at its place in `ORDER`."""
    place = next((i for i, a in enumerate(advisors) if _rank(a.name) > _rank(another.name)), len(advisors))
    return [*advisors[:place], another, *advisors[place:]]


def in_order(advisors: Sequence[Advisor], space: Space) -> list[Advisor]:
    """Advisors as they are listened to: as given, but past studies come before a midpoint that nobody chose."""
    return list(advisors) if space.default_is_complete else sorted(advisors, key=lambda a: a.name != "transfer")


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """What runs when no model decides: the first candidate of the advisor that stands first in `ORDER`.

    Raises:
        ValueError: without any candidate.
    """
    if not candidates:
        raise ValueError("a choice needs at least one candidate, but there is none")
    return min(candidates, key=lambda c: _rank(c.source))


def _rank(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)
