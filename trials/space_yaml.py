"""A space as a study file writes it: `lr: {float: [1.0e-5, 0.5], log: true, default: 1.0e-3}`, both ways."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from .errors import InputError, SpecError
from .space import Bool, Choice, Float, Int, Parameter, Space
from .yaml_file import Place

KINDS = ("float", "int", "choice", "bool")
_COMMON = ("default", "when", "description")
_KEYS = {"float": ("log", "step", *_COMMON), "int": ("log", "step", *_COMMON), "choice": _COMMON, "bool": _COMMON}


class PlacedError(SpecError):
    """A rule broken at a known place of the study file."""

    def __init__(self, message: str, place: Place = ()) -> None:
        super().__init__(message)
        self.place = place


@contextmanager
def placed(*place: str | int) -> Iterator[None]:
    """Give a place to the input errors that have none."""
    try:
        yield
    except PlacedError:
        raise
    except InputError as error:
        raise PlacedError(str(error), place) from error


def unknown_key(key: object, known: tuple[str, ...], where: str) -> str:
    """The message for a key that nobody knows, with the near one."""
    near = get_close_matches(str(key), known, n=1)
    return f"unknown key {str(key)!r} in {where}; " + (
        f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    )


def space_from_dict(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Parameter]:
    """The hyperparameters of a study file's `space`, in order.

    Raises:
        SpecError: naming the hyperparameter, the rule and the value.
    """
    parameters: dict[str, Parameter] = {}
    for name, entry in data.items():
        try:
            parameters[name] = _parameter(entry)
        except InputError as error:
            place = error.place if isinstance(error, PlacedError) else ()
            raise PlacedError(f"hyperparameter {name!r}: {error}", ("space", name, *place)) from error
    return parameters


def space_to_dict(space: Space | Mapping[str, Parameter]) -> dict[str, dict[str, Any]]:
    """The form that `space_from_dict` reads back exactly; what stands at its usual value is left out."""
    parameters = space.parameters if isinstance(space, Space) else space
    return {name: _entry(parameter) for name, parameter in parameters.items()}


def _entry(parameter: Parameter) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    match parameter:
        case Choice(choices=(False, True)) if all(isinstance(c, bool) for c in parameter.choices):
            entry["bool"] = True
        case Choice():
            entry["choice"] = list(parameter.choices)
        case Float():
            entry["float"] = [parameter.low, parameter.high]
        case Int():
            entry["int"] = [parameter.low, parameter.high]
    usual = {"log": False, "step": 1 if isinstance(parameter, Int) else None, "default": None, "when": None}
    for key, value in {**usual, "description": ""}.items():
        stated = getattr(parameter, key, value)
        if stated is not value and (stated != value or isinstance(stated, bool)):
            entry[key] = stated
    return entry


def _parameter(entry: Any) -> Parameter:
    if not isinstance(entry, Mapping):
        raise SpecError(f"a range is a mapping, but got {entry!r}; write it like `{{float: [0.1, 1.0]}}`")
    kind = _kind(entry)
    for key in entry:
        if key != kind and key not in _KEYS[kind]:
            if entry[key] is None:
                # `{description: wide, deep}`: YAML takes what follows the comma for a key.
                raise PlacedError(f"text that holds a comma needs quotes, but {str(key)!r} stands outside", (str(key),))
            raise PlacedError(unknown_key(key, (kind, *_KEYS[kind]), f"a range of kind {kind}"), (str(key),))
    # `default: null` and no default are the same.
    given = {key: value for key, value in entry.items() if key != kind and value is not None}
    for key, typed, example in (("log", bool, "true"), ("when", str, '"x > 1"'), ("description", str, '"text"')):
        if key in given and not isinstance(given[key], typed):
            raise PlacedError(f"`{key}` must be like `{key}: {example}`, but got {given[key]!r}", (key,))
    return _built(kind, entry[kind], given)


def _kind(entry: Mapping[str, Any]) -> str:
    kinds = [key for key in entry if key in KINDS]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise PlacedError(f"a range has one kind, but got {' and '.join(kinds)}; keep one", (kinds[1],))
    for key in entry:
        if key not in _KEYS["float"]:
            raise PlacedError(unknown_key(key, (*KINDS, *_KEYS["float"]), "a range"), (str(key),))
    raise SpecError(f"a range needs one of {', '.join(KINDS)}, but got {dict(entry)}; write `float: [0.1, 1.0]`")


def _built(kind: str, body: Any, given: dict[str, Any]) -> Parameter:
    if kind == "choice":
        return Choice(_choices(body), **given)
    if kind == "bool":
        if body is not True:
            raise PlacedError(
                f"`bool` takes only true, but got {body!r}; write `bool: true, default: false`", ("bool",)
            )
        return Bool(**given)
    whole = kind == "int"
    low, high = _bounds(kind, body)
    for key in ("step", "default"):
        if key in given:
            given[key] = _number(given[key], whole, key)
    return Int(int(low), int(high), **given) if whole else Float(float(low), float(high), **given)


def _choices(body: Any) -> tuple[float | int | str | bool, ...]:
    if not isinstance(body, list | tuple):
        raise PlacedError(f"`choice` takes a list, but got {body!r}; write `choice: [a, b]`", ("choice",))
    for i, item in enumerate(body):
        if not isinstance(item, str | int | float) or (isinstance(item, float) and not math.isfinite(item)):
            raise PlacedError(
                f"a choice must be text, a finite number, true or false, but got {item!r}; quote it to mean text",
                ("choice", i),
            )
    return tuple(body)


def _bounds(kind: str, body: Any) -> tuple[float, float]:
    if not isinstance(body, list | tuple) or len(body) != 2:
        raise PlacedError(f"`{kind}` takes two bounds, but got {body!r}; write `{kind}: [low, high]`", (kind,))
    return _number(body[0], kind == "int", kind), _number(body[1], kind == "int", kind)


def _number(value: Any, whole: bool, key: str) -> float:
    what = "a whole number" if whole else "a finite number"
    number = value
    if isinstance(value, str):
        # Quoted numbers, and `1e-5` from a YAML 1.1 reader, are text that means a number.
        try:
            number = float(value)
        except ValueError:
            number = None
    good = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not good or (whole and number != int(number)):
        raise PlacedError(f"`{key}` needs {what}, but got {value!r}; write it in digits", (key,))
    return int(number) if whole else float(number)
