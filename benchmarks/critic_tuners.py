"""What could run next: from the local advisor, by a random draw, and from a tuner that errs and mends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from critic_worlds import Offer

from luthier.trials.local import LocalAdvisor
from luthier.trials.records import Config, Direction, Trial, best_trial
from luthier.trials.space import Choice, Space


def moved(space: Space, config: Config, rng: np.random.Generator, spread: float = 0.3, most: int = 3) -> dict[str, Any]:
    """One to `most` hyperparameters moved, by a deviation of `spread` of their (log) range."""
    names = list(config)
    new = dict(config)
    for i in rng.choice(len(names), min(int(rng.integers(1, most + 1)), len(names)), replace=False):
        p = space[names[i]]
        if isinstance(p, Choice):
            others = [c for c in p.choices if c != config[names[i]]]
            new[names[i]] = others[rng.integers(len(others))] if others else config[names[i]]
        else:
            at = p.to_unit(config[names[i]]) + spread * rng.standard_normal()
            new[names[i]] = p.from_unit(float(np.clip(at, 0, 1)))
    return space.clip(new)


def mended(space: Space, best: Config, latest: Config, rng: np.random.Generator) -> dict[str, Any]:
    """The latest step kept in part: gone less far, undone in some hyperparameters, or evened out in another one."""
    changed = [n for n in latest if n in best and latest[n] != best[n]]
    way = rng.integers(3)
    if way == 0 or len(changed) < 2:
        share = float(rng.choice([0.3, 0.5, 0.7]))
        halves = {}
        for n in changed:
            p = space[n]
            a, b = p.to_unit(best[n]), p.to_unit(latest[n])
            halves[n] = latest[n] if isinstance(p, Choice) else p.from_unit(a + share * (b - a))
        return space.clip({**best, **halves})
    if way == 1:
        kept = rng.choice(changed, int(rng.integers(1, len(changed))), replace=False)
        return space.clip({**best, **{str(n): latest[str(n)] for n in kept}})
    rest = [n for n in latest if n not in changed]
    if not rest:
        return moved(space, latest, rng, most=1)
    part = moved(space, {n: latest[n] for n in rest}, rng, most=1)
    return space.clip({**latest, **{n: part[n] for n in rest if n in part}})


def walked(space: Space, trials: Sequence[Trial], direction: Direction, rng: np.random.Generator) -> dict[str, Any]:
    """A step of `walk`: mend the latest trial where it came out worse, half of the time; else move the best one."""
    best, latest = best_trial(list(trials), direction), trials[-1]
    if best is None:
        return space.sample(rng)
    if latest.number != best.number and rng.random() < 0.5:
        return mended(space, best.config, latest.config, rng)
    return moved(space, best.config, rng)


def others(space: Space, trials: Sequence[Trial], direction: Direction, rng: np.random.Generator) -> list[Offer]:
    """What else could run, not yet evaluated: a random point, a local move, a step of `walk`, one that mends."""
    best, latest = best_trial(list(trials), direction), trials[-1]
    found = [Offer(space.sample(rng), None, "random"), Offer(walked(space, trials, direction, rng), None, "walk")]
    local = LocalAdvisor().advise(space, trials, direction, seed=int(rng.integers(2**31)), n=4)
    if local:
        found.append(Offer(local[int(rng.integers(len(local)))].config, None, "local"))
    if best is not None and latest.number != best.number:
        found.append(Offer(mended(space, best.config, latest.config, rng), None, "mend"))
    return found
