"""Configurations as arrays, each worked out once: a critic compares a step with every trial of a study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..trials.records import Config
from ..trials.space import Choice, Space


@dataclass(frozen=True)
class Place:
    """A configuration in the unit cube; inactive hyperparameters stand at their default."""

    units: np.ndarray  # (n_parameters,)
    active: np.ndarray  # (n_parameters,) bool
    encoded: np.ndarray  # (n_columns,): numbers as units, a choice as one column for each value


class Places:
    """The places of a space's configurations, kept."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.choice = np.array([isinstance(p, Choice) for p in space.parameters.values()])
        self._default = space.complete_default()
        self._kept: dict[tuple[tuple[str, object], ...], Place] = {}

    def __call__(self, config: Config) -> Place:
        """The place of a configuration; a value outside its range counts as the nearest inside."""
        key = tuple(config.items())
        if key not in self._kept:
            self._kept[key] = self._placed(config)
        return self._kept[key]

    def delta(self, new: Place, old: Place) -> np.ndarray:
        """What changes, in shares of each (log) range; another choice, or on and off, counts 1; (n_parameters,)."""
        both, gap = new.active & old.active, new.units - old.units
        switched = (new.active != old.active) | (both & self.choice & (np.abs(gap) > 1e-9))
        return np.asarray(np.where(switched, 1.0, np.where(both & ~self.choice, gap, 0.0)))

    def _placed(self, config: Config) -> Place:
        units, active, columns = [], [], list[float]()
        for name, p in self.space.parameters.items():
            value = p.clip(config.get(name, self._default[name]))
            units.append(p.to_unit(value))
            active.append(name in config)
            if isinstance(p, Choice):
                columns += [float(np.sqrt(0.5)) * (i == int(units[-1] * len(p.choices))) for i in range(len(p.choices))]
            else:
                columns.append(units[-1])
        return Place(np.array(units), np.array(active), np.array(columns))
