"""What a memory holds in a benchmark: random trials of the other tasks of a suite, the task's own left out.

Its seeds are not the normalisers', and each seed of a run has a memory of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import suites

from luthier.memory.transfer import PastStudy
from luthier.trials.records import Config
from luthier.trials.space import Space

MEMORY_SEED = 77_001  # with the run's seed; no study and no reference point is drawn from it
KINDS = ("none", "leave-one-out", "shared", "unrelated")


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
        kind: `leave-one-out`; `shared`, the same on points that all tasks share; `unrelated`, where each past task is
            turned over: each range is reversed and the ranges are exchanged, so that its landscape is another.
    """
    if kind == "none":
        return []
    others = [other for other in suites.find_suite(suite).tasks(data) if other != name]
    found = [_study(suite, data, other, obfuscate, size, seed, kind == "shared") for other in others]
    return [turned_over(study, space) for study in found] if kind == "unrelated" else found


def turned_over(study: PastStudy, space: Space) -> PastStudy:
    """The same values at other configurations: hyperparameter i takes 1 - the place of its neighbour in the range."""
    names = list(space)

    def moved(config: Config) -> Config:
        units = space.to_unit(config)
        return {name: space[name].from_unit(float(1.0 - units[i - 1])) for i, name in enumerate(names)}

    return replace(study, configs=tuple(moved(config) for config in study.configs))
