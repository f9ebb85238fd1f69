"""The space: hyperparameters with ranges, conditions, constraints and defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np

from .errors import SpaceError
from .expression import Expression
from .records import Config, Value

LARGEST_WHOLE = 2**63 - 1  # what checkpoints and databases hold


@dataclass(frozen=True)
class Float:
    """A real number in [low, high]."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    default: float | None = None
    when: str | None = None  # active only where this expression holds
    description: str = ""  # units and meaning, shown to agents

    def __post_init__(self) -> None:
        _check_range(self)

    def clip(self, value: Any) -> float:
        """The nearest value inside the range and on the grid of `step`."""
        inside = min(max(float(value), float(self.low)), float(self.high))
        if self.step is None:
            return inside
        steps = math.floor((self.high - self.low) / self.step + 1e-9)
        # 3 * 0.1 is a hair above 0.3.
        return min(float(self.low) + min(round((inside - self.low) / self.step), steps) * self.step, float(self.high))

    def from_unit(self, u: float) -> float:
        """The value at position `u` in [0, 1] of the (log) range."""
        return self.clip(_from_unit(u, self.low, self.high, self.log))

    def to_unit(self, value: Any) -> float:
        """The position in [0, 1] of a value in the (log) range."""
        return _to_unit(float(value), self.low, self.high, self.log)

    def contains(self, value: Any) -> bool:
        """Whether the value has the right type, lies in the range and on the grid."""
        if not _is_number(value) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        blur = 1e-8 * self.step + 4 * math.ulp(max(abs(self.low), abs(self.high)))  # sums of steps are not exact
        return abs(self.clip(value) - float(value)) <= blur


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    default: int | None = None
    when: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        _check_range(self)

    def clip(self, value: Any) -> int:
        """The nearest whole number inside the range and on the grid of `step`."""
        inside = min(max(float(value), self.low), self.high)
        steps = (self.high - self.low) // self.step
        return self.low + min(round((inside - self.low) / self.step), steps) * self.step

    def from_unit(self, u: float) -> int:
        """The value at position `u` in [0, 1] of the (log) range."""
        return self.clip(_from_unit(u, self.low, self.high, self.log))

    def to_unit(self, value: Any) -> float:
        """The position in [0, 1] of a value in the (log) range."""
        return _to_unit(float(value), self.low, self.high, self.log)

    def contains(self, value: Any) -> bool:
        """Whether the value is whole, in the range and on the grid."""
        whole = _is_number(value) and float(value).is_integer() and self.low <= value <= self.high
        return whole and (int(value) - self.low) % self.step == 0


@dataclass(frozen=True)
class Choice:
    """One of a fixed list of values."""

    choices: tuple[Value, ...]
    default: Value | None = None
    when: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.choices:
            raise SpaceError("a choice needs at least one value, but the list is empty; write `choice: [a, b]`")
        if len({(isinstance(c, bool), c) for c in self.choices}) < len(self.choices):
            raise SpaceError(f"choices must differ, but got {list(self.choices)}; remove the repeated one")
        if self.default is not None and not self.contains(self.default):
            raise SpaceError(
                f"the default must be one of the choices, but {self.default!r} is not in {list(self.choices)}"
            )

    def clip(self, value: Any) -> Value:
        """The value itself where it is a choice (also as text), else the default or the first choice."""
        for choice in self.choices:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        spelled = {str(choice).lower(): choice for choice in self.choices}
        fallback = self.choices[0] if self.default is None else self.default
        return spelled.get(str(value).lower(), fallback)

    def from_unit(self, u: float) -> Value:
        """The choice at position `u` in [0, 1] of the list."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]

    def to_unit(self, value: Any) -> float:
        """The middle of a choice's share of [0, 1]."""
        own = self.clip(value)
        # Not `index`, to which True is 1.
        at = next(i for i, c in enumerate(self.choices) if c == own and type(c) is type(own))
        return (at + 0.5) / len(self.choices)

    def contains(self, value: Any) -> bool:
        """Whether the value is one of the choices; True is not 1 here."""
        return any(c == value and isinstance(c, bool) == isinstance(value, bool) for c in self.choices)


def Bool(default: bool | None = None, when: str | None = None, description: str = "") -> Choice:
    """A choice between False and True."""
    return Choice((False, True), default=default, when=when, description=description)


Parameter = Float | Int | Choice


@dataclass(frozen=True)
class Space:
    """The hyperparameters of a study, in order, and the constraints over them.

    A *complete* configuration has a value for each hyperparameter; an *active* one only for those whose condition
    holds. A parameter's condition may name only parameters that stand before it.

    Raises:
        SpaceError: when a condition or a constraint names what is not there, or the defaults break a constraint.
    """

    parameters: Mapping[str, Parameter]
    constraints: tuple[str, ...] = ()
    _rules: tuple[Expression, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.parameters:
            raise SpaceError("a space needs at least one hyperparameter, but it is empty")
        object.__setattr__(self, "_rules", tuple(Expression(text) for text in self.constraints))
        before: list[str] = []
        for name, parameter in self.parameters.items():
            _check_name(name)
            if parameter.when is not None:
                self._check_names(self._conditions[name], before, f"the condition of {name!r}", "before it")
            before.append(name)
        for rule in self._rules:
            self._check_names(rule, before, f"constraint {rule.text!r}", "in the space")
        if all(p.default is not None for p in self.parameters.values()):
            self.validate(self.default())

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[name]

    @cached_property
    def _conditions(self) -> dict[str, Expression]:
        return {name: Expression(p.when) for name, p in self.parameters.items() if p.when is not None}

    @cached_property
    def _defaults(self) -> dict[str, Value]:
        return {n: p.from_unit(0.5) if p.default is None else p.default for n, p in self.parameters.items()}

    def _check_names(self, rule: Expression, known: list[str], who: str, where: str) -> None:
        for name in sorted(rule.names - set(known)):
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known) or 'none'}"
            raise SpaceError(f"{who} may name only hyperparameters {where}, but it names {name!r}{hint}")

    @property
    def default_is_complete(self) -> bool:
        """Whether every hyperparameter states its default, so that none is the midpoint."""
        return all(p.default is not None for p in self.parameters.values())

    def complete_default(self) -> dict[str, Value]:
        """The default of every hyperparameter, active or not; the (log) midpoint where none is given."""
        return dict(self._defaults)

    def default(self) -> dict[str, Value]:
        """The active part of the default configuration: trial 0."""
        return self.active(self.complete_default())

    def active(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """The part of a configuration whose conditions hold. Missing values come from the default.

        A condition over an inactive hyperparameter does not hold.
        """
        values: dict[str, Value] = {}
        given = {**self._defaults, **config}
        for name in self.parameters:
            condition = self._conditions.get(name)
            if condition is None or (condition.names <= values.keys() and condition(values)):
                values[name] = given[name]
        return values

    def clip(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """The active configuration nearest to `config`: each value clipped. Constraints are not repaired."""
        given = {**self._defaults, **config}
        return self.active({name: p.clip(given[name]) for name, p in self.parameters.items()})

    def satisfies(self, config: Config) -> bool:
        """Whether every constraint holds. Inactive hyperparameters count with their default."""
        values = {**self._defaults, **config}
        return all(bool(rule(values)) for rule in self._rules)

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check an active configuration.

        Raises:
            SpaceError: naming the hyperparameter, the rule and the value.
        """
        for name in config:
            if name not in self.parameters:
                near = get_close_matches(name, list(self.parameters), n=1)
                raise SpaceError(f"unknown hyperparameter {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        for name in self.active(config):
            if name not in config:
                raise SpaceError(f"hyperparameter {name!r} has no value in {dict(config)}")
            if not self.parameters[name].contains(config[name]):
                raise SpaceError(f"{name} must lie in {describe(self.parameters[name])}, but got {config[name]!r}")
        values = {**self._defaults, **config}
        for rule in self._rules:
            if not rule(values):
                raise SpaceError(f"constraint {rule.text!r} must hold, but does not at {dict(config)}")

    def contains(self, config: Mapping[str, Any]) -> bool:
        """Whether `validate` would pass and nothing inactive is named."""
        try:
            self.validate(config)
        except SpaceError:
            return False
        return set(config) == set(self.active(config))

    def sample(self, rng: np.random.Generator, tries: int = 1000) -> dict[str, Value]:
        """A uniformly drawn active configuration that satisfies the constraints.

        Raises:
            SpaceError: when `tries` draws in a row break a constraint.
        """
        for _ in range(tries):
            config = self.active({n: p.from_unit(float(rng.random())) for n, p in self.parameters.items()})
            if self.satisfies(config):
                return config
        raise SpaceError(f"no configuration satisfied {list(self.constraints)} in {tries} random draws; loosen them")

    def to_unit(self, config: Config) -> np.ndarray:
        """A configuration as a point of the unit cube, shape (n_parameters,); inactive ones at their default."""
        values = {**self._defaults, **config}
        return np.array([p.to_unit(values[name]) for name, p in self.parameters.items()])

    def key(self, config: Config) -> tuple[tuple[str, str], ...]:
        """A hashable identity of a configuration; floats equal to 6 significant digits are the same."""
        active = self.active(config)
        return tuple((name, f"{v:.6g}" if isinstance(v, float) else repr(v)) for name, v in active.items())


def describe(parameter: Parameter) -> str:
    """The range in a few characters: `[1e-05, 0.5] log`, `{sgd, adam}`."""
    if isinstance(parameter, Choice):
        return "{" + ", ".join(str(c) for c in parameter.choices) + "}"
    return f"[{parameter.low:g}, {parameter.high:g}]" + (" log" if parameter.log else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise SpaceError(f"a hyperparameter's name must be an identifier, but got {name!r}; use letters, digits and _")


def _check_range(p: Float | Int) -> None:
    _check_bounds(p)
    if p.low > p.high:
        raise SpaceError(f"`low <= high` must hold, but got (low={p.low:g}, high={p.high:g}); swap them")
    if p.low == p.high:
        raise SpaceError(f"a range must not be empty, but low = high = {p.low:g}; widen it, or write it in `run`")
    if p.log and p.low <= 0:
        raise SpaceError(f"a log range needs `low > 0`, but got low={p.low:g}; raise it, or drop `log`")
    if p.step is not None and p.step <= 0:
        raise SpaceError(f"`step > 0` must hold, but got step={p.step:g}")
    if p.default is not None and not p.contains(p.default):
        grid = f" on the grid of step {p.step:g} from {p.low:g}" if p.step not in (None, 1) else ""
        raise SpaceError(
            f"the default must lie in {describe(p)}{grid}, but got {p.default!r}; widen the range or move it"
        )


def _check_bounds(p: Float | Int) -> None:
    for bound in (p.low, p.high):
        if isinstance(bound, int) and abs(bound) > LARGEST_WHOLE:
            raise SpaceError("a whole bound must fit into 64 bits, but one is beyond them; narrow the range")
        if not _is_number(bound) or (isinstance(p, Int) and not float(bound).is_integer()):
            kind = "a whole number" if isinstance(p, Int) else "a finite number"
            raise SpaceError(f"a bound must be {kind}, but got {bound!r}")
    if not math.isfinite(p.high - p.low):
        raise SpaceError(f"`high - low` must be finite, but got (low={p.low:g}, high={p.high:g}); narrow the range")


def _from_unit(u: float, low: float, high: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return low + u * (high - low)


def _to_unit(value: float, low: float, high: float, log: bool) -> float:
    if log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)
