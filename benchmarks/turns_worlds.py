"""Worlds in which the truth is known, to try gates in: studies with four candidates a trial, and models that choose.

A trial closes a share of the gap to the best that there is, or nothing. How often candidates win and how much they gain
fall with the index about as on LCBench (docs/gate.md). All that is random follows from the seed and
the trial, so that gates are compared on the same luck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

CANDIDATES = 4  # that a planner is shown
WIN, SLOWER = 0.35, 15.0  # how often the advisors' first candidate wins at first; trials after which half as often
LATER = (1.0, 0.9, 0.9, 0.8)  # how often the others win, against the first
SHARE = (0.7, 1.6)  # Beta distribution of the share of the gap that a win closes
GAP = 0.7  # deviation of the logarithm of a study's gap at the begin, in scales
TRAINING = 60.0  # seconds a trial

Chooser = Callable[[np.ndarray, int, np.random.Generator], int]  # (closed shares (4,), index, luck) -> candidate


@dataclass(frozen=True)
class World:
    """A model's habit and its price."""

    words: str
    chooses: Chooser
    seconds: float = 6.0  # of the model a turn


def at_random(closed: np.ndarray, index: int, rng: np.random.Generator) -> int:
    """Any candidate."""
    return int(rng.integers(CANDIDATES))


def knowing(often: float, *, until: int = 10**6, since: int = 0) -> Chooser:
    """The best candidate as often as that within some trials, else any."""

    def choose(closed: np.ndarray, index: int, rng: np.random.Generator) -> int:
        any_one, knows = at_random(closed, index, rng), rng.random() < often
        return int(closed.argmax()) if knows and since <= index <= until else any_one

    return choose


def worst(closed: np.ndarray, index: int, rng: np.random.Generator) -> int:
    """The worst candidate."""
    return int(closed.argmin())


WORLDS: Mapping[str, World] = {
    "random": World("chooses at random", at_random),
    "slow": World("chooses well 6 times in 10, at three times the cost", knowing(0.6), 2 * TRAINING),
    "helps": World("chooses the best of four 6 times in 10", knowing(0.6)),
    "knows": World("chooses the best of four always", knowing(1.0)),
    "early": World("chooses well until trial 10, then at random", knowing(0.8, until=10)),
    "late": World("chooses well from trial 11, before at random", knowing(0.8, since=11)),
    "harmful": World("chooses the worst of four", worst),
}


@dataclass
class Landscape:
    """One study as it goes: what each chooser would gain from where it stands."""

    seed: int
    gap: float = 0.0  # to the best there is, in scales
    begin: float = 0.0

    def __post_init__(self) -> None:
        self.gap = self.begin = float(np.exp(GAP * np.random.default_rng(self.seed).standard_normal()))

    @property
    def regret(self) -> float:
        """What is left of the gap at the begin, 1 to 0."""
        return self.gap / self.begin

    def trial(self, index: int, chooser: Chooser | None) -> float:
        """Run a trial that a chooser chose, the advisors' first candidate without one; its gain in scales."""
        rng = np.random.default_rng((self.seed, index))
        rate = WIN / (1 + index / SLOWER) * np.array(LATER)
        closed = rng.beta(*SHARE, CANDIDATES) * (rng.random(CANDIDATES) < rate)
        gain = float(closed[0 if chooser is None else chooser(closed, index, rng)]) * self.gap
        self.gap -= gain
        return gain
