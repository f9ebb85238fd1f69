"""The first advisor to listen to: an averaged Gaussian process, and what is tried before it has data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence

import numpy as np

from .records import Candidate, Config, Direction, State, Trial, best_trial
from .sampling import Key, is_new, near, observed
from .search import Judge, encoded, search
from .space import Space

STARTUP = 4  # trials before the process, the default among them,
CURVE_STARTUP = 3  # and before the one over curves
LIMIT = 100  # trials; beyond them a proposal takes a second, and TPE is as good
STREAK = 5  # trials stopped on the way, none complete since, from which every other one is a look elsewhere,
PATIENCE = 10  # and from which curves have promised too much to be read for the next
START_SPREAD = 0.25  # of each (log) range: standard deviation of a start point around the default
TRIES = 50  # draws for one start point


class BayesAdvisor:
    """Expected improvement under a Gaussian process averaged over its kernel's posterior; start points before that.

    Args:
        metric: whose curves the process is to read, and not their ends alone; where hours are short and trainings are
            stopped on the way, that is most of what is known.
    """

    name = "bayes"

    def __init__(self, metric: str | None = None) -> None:
        self._metric = metric

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates; none beyond `LIMIT` trials but looks elsewhere.

        A process expects the most near the best, and where all is flat but for that it goes on looking there. A study
        whose trainings are stopped one after the other can afford to look elsewhere: that costs it a few reports.
        """
        rng, seen = np.random.default_rng(seed), {space.key(trial.config) for trial in trials}
        if (streak := _stopped(trials)) >= STREAK and (streak - STREAK) % 2 == 0:
            found = _drawn(space, lambda: space.sample(rng), seen, n)
            reason = f"a random point, since {streak} trainings in a row were hopeless"
            return [Candidate(config, self.name, reason) for config in found]
        if len(trials) >= LIMIT:
            return []
        known = observed(trials, direction)
        units = np.array([space.to_unit(trial.config) for trial, _ in known])
        values = direction.sign * np.array([value for _, value in known])
        over, model = f"the curves of {len(trials)} trials", self._of_curves(space, trials, direction, rng)
        if model is None:
            if len(trials) < STARTUP or len(known) < 2:
                start = _start_points(space, trials, direction, seen, rng, n)
                return [Candidate(config, self.name, reason) for config, reason in start]
            over, model = f"{len(trials)} trials", _of_ends(space, known, values, rng)
        found = search(space, model, units[int(np.argmax(values))], seen, rng)
        reason = f"a Gaussian process over {over}, under many kernels, expects the most improvement here"
        return [Candidate(config, self.name, reason) for config in found[:n]]

    def _of_curves(
        self, space: Space, trials: Sequence[Trial], direction: Direction, rng: np.random.Generator
    ) -> Judge | None:
        """The process over curves; None where they are not read, too few, or promised too much."""
        if self._metric is None or len(trials) < CURVE_STARTUP or _stopped(trials) >= PATIENCE:
            return None
        from .curve_study import CurveStudy  # scikit-learn takes a second to import

        study = CurveStudy.of(space, trials, direction, self._metric, rng)
        return None if study is None else study.model


def _of_ends(space: Space, known: Sequence[tuple[Trial, float]], values: np.ndarray, rng: np.random.Generator) -> Judge:
    from .surrogate import Surrogate  # as above

    return Surrogate(np.array([encoded(space, trial.config) for trial, _ in known]), values, rng)


def _stopped(trials: Sequence[Trial]) -> int:
    """How many trials were stopped since the last complete one."""
    latest = list(itertools.takewhile(lambda trial: trial.state is not State.COMPLETE, reversed(trials)))
    return sum(trial.state is State.PRUNED for trial in latest)


def _start_points(
    space: Space, trials: Sequence[Trial], direction: Direction, seen: set[Key], rng: np.random.Generator, n: int
) -> list[tuple[Config, str]]:
    """Random configurations: the first anywhere, and later ones around the default while nothing has beaten it.

    A stated default is often good, and then what is better lies near it. One look elsewhere shows whether it is.
    """
    best = best_trial(list(trials), direction)
    good = len(trials) > 1 and space.default_is_complete and best is not None and best.number == 0
    centre = space.to_unit(space.default())
    draws = (lambda: near(space, centre, START_SPREAD, rng)) if good else (lambda: space.sample(rng))
    reason = "a random point around the default" if good else "a random point"
    return [(config, reason) for config in _drawn(space, draws, seen, n)]


def _drawn(space: Space, draw: Callable[[], Config], seen: Collection[Key], n: int) -> list[Config]:
    """Up to `n` new configurations."""
    taken, found = set(seen), list[Config]()
    for _ in range(TRIES * n):
        config = draw()
        if len(found) < n and is_new(space, config, taken):
            taken.add(space.key(config))
            found.append(config)
    return found
