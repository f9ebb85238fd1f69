"""The search for the configuration that a model of the values expects most of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from .records import Config
from .sampling import Key, is_new, new_near
from .space import Choice, Space

DRAWS = 300  # points of each kind among which the best is sought
ROUNDS, PARENTS, CHILDREN = 4, 20, 10  # of the search that follows: rounds, the points kept, draws around each


class Judge(Protocol):
    """What says how much is to be expected of a configuration."""

    def expected_improvement(self, points: np.ndarray) -> np.ndarray:
        """Of each of `points`, shape (m, d), encoded; shape (m,), more is better."""
        ...


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


def search(
    space: Space,
    model: Judge,
    best: np.ndarray,
    seen: Collection[Key],
    rng: np.random.Generator,
    also: Sequence[Config] = (),
) -> list[Config]:
    """New valid configurations, the most promising first: draws everywhere and around the best, then around those.

    Args:
        best: the unit cube's point around which to look too, shape (d,).
        also: further configurations to look at.
    """
    anywhere = rng.random((DRAWS, len(best)))
    mixed = np.where(rng.random(anywhere.shape) < rng.random((DRAWS, 1)), best, rng.random(anywhere.shape))
    spread = np.geomspace(0.02, 0.3, DRAWS)[:, None]
    units = np.concatenate([anywhere, mixed, best + spread * rng.standard_normal(anywhere.shape)])
    known = {space.key(config): config for config in also if is_new(space, config, seen)}
    found = _ranked(space, model, units, known, seen)
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
    space: Space, model: Judge, units: np.ndarray, also: dict[Key, Config], seen: Collection[Key]
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
