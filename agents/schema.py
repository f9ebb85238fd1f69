"""The space as a JSON schema that cannot express an out-of-space value, and an answer as a configuration.

Grammars enforce enums but not the bounds of real numbers, so every hyperparameter becomes an enum: categoricals with
their choices, numbers with a grid of readable values, evenly spaced on the (log) range.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from ..models.errors import OutOfRange
from ..trials.records import Config, Value
from ..trials.space import Choice, Float, Int, Parameter, Space

LEVELS = 13  # of a grid: on five decades about a factor of 2.6
ALL_BELOW = 33  # a whole-number range with fewer values is listed in full
MAX_REASON = 240  # characters; a schema without a bound lets a small model talk until its token limit
BACK = (0.75, 0.5, 0.25)  # shares of a step that breaks a constraint, tried from far to near


def levels(parameter: Parameter, keep: Value | None = None) -> list[Value]:
    """The values that a schema offers, in order; the default and `keep` are among them, if they are in range."""
    if isinstance(parameter, Choice):
        return list(parameter.choices)
    wanted = [v for v in (parameter.default, keep) if v is not None and parameter.contains(v)]
    if isinstance(parameter, Int) and (parameter.high - parameter.low) // parameter.step < ALL_BELOW:
        return list(range(parameter.low, parameter.high + 1, parameter.step))
    grid = [_readable(parameter, parameter.from_unit(i / (LEVELS - 1))) for i in range(LEVELS)]
    return sorted({*grid, *wanted})


def proposal_schema(space: Space, keep: Config | None = None) -> dict[str, Any]:
    """The schema of a proposal: a reason, then a configuration.

    A conditional hyperparameter may be left out; the others must be there.

    Args:
        keep: a configuration, such as the best, that must be expressible as it is.
    """
    known = keep or {}
    values = {name: {"enum": levels(p, known.get(name))} for name, p in space.parameters.items()}
    config = {
        "type": "object",
        "properties": values,
        "required": [name for name, p in space.parameters.items() if p.when is None],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"reason": {"type": "string", "maxLength": MAX_REASON}, "config": config},
        "required": ["reason", "config"],
        "additionalProperties": False,
    }


def to_config(answer: Mapping[str, Any], space: Space, base: Config) -> dict[str, Value]:
    """A configuration inside the space and its constraints, from whatever a model answered.

    Values are clipped, unknown names dropped, missing ones taken from `base`. A step from `base` that breaks a
    constraint is shortened.

    Raises:
        OutOfRange: when a value is no number, or no shorter step satisfies the constraints.
    """
    given = {name: value for name, value in answer.items() if name in space.parameters}
    for name, value in given.items():
        if not isinstance(space[name], Choice) and not _finite(value):
            raise OutOfRange(f"{name} must be a number, but the model proposed {value!r}; ask again")
    config = space.clip({**base, **given})
    for found in (config, *(_between(space, base, config, share) for share in BACK)):
        if space.contains(found):
            return found
    raise OutOfRange(f"{list(space.constraints)} must hold, but no part of the step to {config} keeps them; ask again")


def _between(space: Space, base: Config, end: Config, share: float) -> dict[str, Value]:
    """The configuration at `share` of the way in the unit cube; a choice goes with the nearer end."""
    a, b = space.to_unit(base), space.to_unit(end)
    unit = dict(zip(space.parameters, a + share * (b - a), strict=True))
    ends: Config = {**space.complete_default(), **(end if share > 0.5 else base)}
    return space.clip(
        {n: ends[n] if isinstance(p, Choice) else p.from_unit(unit[n]) for n, p in space.parameters.items()}
    )


def _readable(parameter: Float | Int, value: float) -> Value:
    """Two significant digits where the grid's step allows it."""
    if isinstance(parameter, Int) or parameter.step is not None:
        return parameter.clip(value)
    scale = value if parameter.log else parameter.high - parameter.low
    digits = 2 if parameter.log else 3
    places = digits - 1 - math.floor(math.log10(abs(scale))) if scale else 0
    return parameter.clip(round(value, places))


def _finite(value: Any) -> bool:
    # Not `math.isfinite`, which fails on whole numbers beyond the floats; NaN compares as False.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
