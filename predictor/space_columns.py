"""Configurations as rows of numbers for classifiers: sizes on their logarithm, texts as one column a value."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trials.records import Config
from ..trials.space import Choice, Float, Parameter, Space
from .derived import is_number, is_whole


class SpaceColumns:
    """The columns of a space, each about 0 to 1. Odd values (missing, NaN, of another type) count as the default."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._default = space.complete_default()
        whole: list[bool] = []
        for parameter in space.parameters.values():
            if is_number(parameter):
                whole.append(is_whole(parameter))
            else:
                whole += [False] * len(_choices(parameter))
            if parameter.when is not None:
                whole.append(False)
        self.whole = np.array(whole)  # (d,) columns of whole numbers: counts and sizes, whatever they are called

    def __call__(self, configs: Sequence[Config]) -> np.ndarray:
        """Shape (n, d)."""
        rows = [self._row(config) for config in configs]
        return np.array(rows, float).reshape(len(rows), len(self.whole))

    def _row(self, config: Mapping[str, Any]) -> list[float]:
        row: list[float] = []
        for name, parameter in self._space.parameters.items():
            value = config.get(name)
            known = _usable(parameter, value)
            used = value if known else self._default[name]
            if isinstance(parameter, Choice) and not is_number(parameter):
                row += [float(parameter.clip(used) == choice) for choice in parameter.choices]
            else:
                row.append(_position(parameter, used))
            if parameter.when is not None:
                row.append(float(known))  # a hyperparameter that is off has no value
        return row


def _position(parameter: Parameter, value: Any) -> float:
    """The place in the range; of whole numbers above 0 on their logarithm, since sizes multiply."""
    if isinstance(parameter, Float):
        return parameter.to_unit(parameter.clip(value))
    low, high = _ends(parameter)
    inside = min(max(float(value), low), high)
    if high == low:
        return 0.5
    if low > 0:
        return math.log(inside / low) / math.log(high / low)
    return (inside - low) / (high - low)


def _ends(parameter: Parameter) -> tuple[float, float]:
    if isinstance(parameter, Choice):
        numbers = [float(c) for c in parameter.choices]
        return min(numbers), max(numbers)
    return float(parameter.low), float(parameter.high)


def _choices(parameter: Parameter) -> tuple[Any, ...]:
    return parameter.choices if isinstance(parameter, Choice) else ()


def _usable(parameter: Parameter, value: Any) -> bool:
    if isinstance(parameter, Choice) and not is_number(parameter):
        return parameter.contains(value)
    # Not `math.isfinite`, which fails on whole numbers beyond the floats; NaN compares as False.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
