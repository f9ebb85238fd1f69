"""Derived features: quantities made of hyperparameters that tell more than each alone, such as `depth * width * batch`.

They are expressions of the space's own safe language. Which of them help is for the trials to say
(`predictor/failure.py`), so whoever proposes one may be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..trials.errors import SpaceError
from ..trials.expression import Expression
from ..trials.records import Config
from ..trials.space import Choice, Int, Parameter, Space

MOST = 24  # features in use; each costs the failure model a fit of about a millisecond
DRAWS = 200  # configurations of the space that show how wide a feature spreads
EDGES = (0.02, 0.98)  # quantiles of these draws that become 0 and 1
OUTSIDE = 0.5  # how far beyond them a value counts
_SEED = 0  # of the draws: the same space always gives the same columns

# What a hyperparameter is, by a part of its name. The first row that fits counts.
_ROLES: tuple[tuple[str, str], ...] = (
    ("momentum", r"momentum|beta1"),
    ("rate", r"lr|learning_rate|eta|step_size"),
    ("aspect", r"aspect|aspect_ratio"),
    ("batch", r"batch|bs|bsz"),
    ("length", r"seq|sequence|context|ctx|length|len|block_size"),
    ("depth", r"depth|layers|layer|blocks"),
    ("width", r"units|hidden|width|channels|filters|d_model|dim|embd|embed|neurons|heads|head"),
)


@dataclass(frozen=True)
class Derived:
    """A feature whose expression was checked against a space."""

    expression: Expression
    low: float  # what becomes 0, and what becomes 1; of the logarithm where `log`
    high: float
    log: bool  # every value of it is positive

    @property
    def text(self) -> str:
        """The expression as it was written."""
        return self.expression.text

    def column(self, configs: Sequence[Config], space: Space) -> np.ndarray:
        """Its value at each complete or active configuration, about 0 to 1; 0.5 where it has none. Shape (n,)."""
        default = space.complete_default()
        found = np.array([value_of(self.expression, {**default, **config}) for config in configs], float)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = ((np.log(found) if self.log else found) - self.low) / (self.high - self.low)
        return np.where(np.isfinite(scaled), np.clip(scaled, -OUTSIDE, 1 + OUTSIDE), 0.5)


def derived_of(texts: Iterable[str], space: Space, most: int = MOST) -> list[Derived]:
    """The usable features among some expressions, in order; what cannot be used is passed over.

    Usable is what the language allows, names at least one hyperparameter of the space and nothing else, has a finite
    value nearly everywhere, varies, and does not merely rank as an earlier one does.
    """
    rng = np.random.default_rng(_SEED)
    try:
        drawn = [space.sample(rng) for _ in range(DRAWS)]
    except SpaceError:  # constraints that hardly anything satisfies
        return []
    found: list[Derived] = []
    ranks: list[np.ndarray] = [np.argsort([c.get(n, 0) for c in drawn], kind="stable") for n in _numbers(space)]
    for text in dict.fromkeys(texts):
        if len(found) == most:
            break
        feature, rank = _checked(text, drawn, space)
        if feature is not None and not any(np.array_equal(rank, known) for known in ranks):
            found.append(feature)
            ranks.append(rank)
    return found


def value_of(expression: Expression, values: Config) -> float:
    """The value at a complete configuration; NaN where it has none."""
    try:
        found = float(expression(values))
    except (SpaceError, TypeError, ValueError, OverflowError):
        return float("nan")
    return found if abs(found) < np.inf else float("nan")


def from_names(space: Space) -> list[str]:
    """Products of sizes, guessed from telling names; none where names tell nothing.

    Memory and time grow with batch x length x depth x width; a step in training with the learning rate over what
    momentum leaves.
    """
    named: dict[str, list[str]] = {}
    for name in _numbers(space):
        named.setdefault(role(name), []).append(name)
    aspects = [f"{a} * {d}" for a, d in product(named.get("aspect", []), named.get("depth", []))]  # widths
    sizes = [
        ["", *named.get("batch", [])],
        ["", *named.get("length", [])],
        ["", *named.get("depth", [])],
        ["", *named.get("width", []), *aspects],
    ]
    parts = [[factor for factor in chosen if factor] for chosen in product(*sizes)]
    sized = sorted((p for p in parts if len(p) > 1), key=lambda p: -len(p))
    steps = [f"{r} / (1 - {m})" for r, m in product(named.get("rate", []), named.get("momentum", []))]
    return [" * ".join(p) for p in sized] + aspects + steps


def role(name: str) -> str:
    """What a hyperparameter is by its name: batch, length, depth, width, aspect, rate, momentum; "" for neither."""
    for found, pattern in _ROLES:
        if re.search(rf"(?:^|_)(?:{pattern})(?:_|$|\d)", name.lower()):
            return found
    return ""


def is_number(parameter: Parameter) -> bool:
    """Whether a hyperparameter's values are numbers, a choice among numbers included."""
    if not isinstance(parameter, Choice):
        return True
    return all(isinstance(c, int | float) and not isinstance(c, bool) for c in parameter.choices)


def is_whole(parameter: Parameter) -> bool:
    """Whether its values are whole numbers: counts and sizes, whatever it is called."""
    if isinstance(parameter, Choice):
        return is_number(parameter) and all(float(c).is_integer() for c in parameter.choices)
    return isinstance(parameter, Int)


def _numbers(space: Space) -> list[str]:
    return [name for name, parameter in space.parameters.items() if is_number(parameter)]


def _checked(text: str, drawn: Sequence[Config], space: Space) -> tuple[Derived | None, np.ndarray]:
    """The feature, or None, and how it ranks the draws."""
    try:
        expression = Expression(text)
    except SpaceError:
        return None, np.zeros(0)
    default = space.complete_default()
    values = np.array([value_of(expression, {**default, **config}) for config in drawn])
    known = values[np.isfinite(values)]
    if not expression.names or not expression.names <= set(space) or len(known) < 0.9 * len(values):
        return None, np.zeros(0)
    log = bool((known > 0).all())
    low, high = (float(q) for q in np.quantile(np.log(known) if log else known, EDGES))
    usable = high - low > 1e-9 * max(abs(low), abs(high), 1.0)
    return (Derived(expression, low, high, log) if usable else None), np.argsort(values, kind="stable")
