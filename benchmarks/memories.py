"""What a memory holds in a benchmark: random trials of the other tasks of a suite, the task's own left out; or those
alone, as where a study is run again.

Its seeds are not the normalisers', and each seed of a run has a memory of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import suites

from luthier.memory.past import PastStudy
from luthier.trials.records import Config
from luthier.trials.space import Space

MEMORY_SEED = 77_001  # with the run's seed; no study and no reference point is drawn from it
KINDS = ("none", "leave-one-out", "shared", "unrelated", "misleading", "same")


@lru_cache(maxsize=128)
def _study(suite: str, data: Path | None, name: str, obfuscate: bool, size: int, seed: int, shared: bool) -> PastStudy:
    """`size` random trials of a task; shared ones are the same configurations for every task of a space."""
    task = suites.find_suite(suite).task(data, name)
    task = suites.obfuscated(task) if obfuscate else task
    rng = np.random.default_rng([MEMORY_SEED, seed, *(() if shared else name.encode())])
    configs = [task.space.sample(rng) for _ in range(size)]
    objective = task.objective()
    values = [objective(config) for config in configs]
    return PastStudy(name, task.direction, tuple(configs), tuple(None if math.isnan(v) else v for v in values))


def past_of(
    kind: str, suite: str, data: Path | None, name: str, obfuscate: bool, size: int, seed: int, space: Space
) -> list[PastStudy]:
    """The past studies that a task is tuned with.

    Args:
        kind: `leave-one-out`; `shared`, the same on points that all tasks share; `unrelated`, where the landscape of
            each past task is turned over in a way of its own; `misleading`, where all are in the same way, so that
            they agree on what is wrong; `same`, an earlier study of this very task alone.
    """
    if kind == "none":
        return []
    if kind == "same":
        return [replace(_study(suite, data, name, obfuscate, size, seed, False), same=True)]
    others = [other for other in suites.find_suite(suite).tasks(data) if other != name]
    found = [_study(suite, data, other, obfuscate, size, seed, kind == "shared") for other in others]
    if kind == "unrelated":
        return [turned_over(study, space, *_own_way(space, seed, study.name)) for study in found]
    return [turned_over(study, space, *_one_way(space)) for study in found] if kind == "misleading" else found


def _own_way(space: Space, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Where each hyperparameter's place comes from, and which are reversed, by a draw of the task's own."""
    rng = np.random.default_rng([MEMORY_SEED, seed, *name.encode()])
    return rng.permutation(len(space)), rng.random(len(space)) < 0.5


def _one_way(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """Each place comes from the neighbour before it, all reversed."""
    return np.roll(np.arange(len(space)), 1), np.ones(len(space), bool)


def turned_over(study: PastStudy, space: Space, source: np.ndarray, reverse: np.ndarray) -> PastStudy:
    """The same values at other configurations: hyperparameter i takes the place of hyperparameter `source[i]` in its
    range, counted from the other end where `reverse[i]`; shapes (d,), int and bool.
    """
    names = list(space)

    def moved(config: Config) -> Config:
        units = space.to_unit(config)[source]
        places = np.where(reverse, 1.0 - units, units)
        return {name: space[name].from_unit(float(place)) for name, place in zip(names, places, strict=True)}

    return replace(study, configs=tuple(moved(config) for config in study.configs))
