"""How far two configurations of a space are apart, and which past trials lie nearest to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..trials.records import Config
from ..trials.space import Choice, Space
from .note import PastTrial


def distance(space: Space, one: Config, other: Config) -> float:
    """From 0 to 1, the mean over hyperparameters (Gower 1971).

    Of numbers it is the difference in their range, on a log scale where they have one; of choices 1 where they differ.
    A hyperparameter that only one of the two uses counts 1, one that neither uses not at all.
    """
    mine, theirs = space.active(one), space.active(other)
    used = [name for name in space if name in mine or name in theirs]
    apart = [_apart(space, name, mine[name], theirs[name]) if name in mine and name in theirs else 1.0 for name in used]
    return float(np.mean(apart)) if apart else 0.0


def nearest(space: Space, config: Config, rows: Sequence[PastTrial]) -> list[tuple[float, PastTrial]]:
    """The rows and their distances, the nearest first; those whose configuration is not of this space are left out."""
    inside = [row for row in rows if space.contains(row.config)]
    found = [(distance(space, config, row.config), row) for row in inside]
    return sorted(found, key=lambda one: one[0])


def _apart(space: Space, name: str, one: object, other: object) -> float:
    parameter = space[name]
    if isinstance(parameter, Choice):
        return float(one != other)
    return abs(parameter.to_unit(one) - parameter.to_unit(other))
