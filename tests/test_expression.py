"""Conditions and constraints: what they mean, what they refuse, and that nothing dangerous is evaluated."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.trials.errors import SpaceError
from luthier.trials.expression import MAX_LENGTH, Expression

VALUES: dict[str, Any] = {"units": 64, "layers": 3, "lr": 1e-3, "optimizer": "sgd", "amp": True}

MEANINGS = {
    "units * layers <= 192": True,
    "units * layers < 192": False,
    'optimizer == "sgd"': True,
    'optimizer in ["adam", "adamw"]': False,
    'optimizer not in ("adam", "adamw")': True,
    "amp": True,
    "not amp": False,
    "amp and units > 100": False,
    "amp or units > 100": True,
    "1 < layers < 4": True,
    "1 < layers < 3": False,
    "units % layers == 1": True,
    "units // layers": 21,
    "2 ** layers": 8.0,
    "-units + 65": 1,
    "+units": 64,
    "max(units, 100) - min(units, 100)": 36,
    "abs(layers - 5)": 2,
    "sqrt(units)": 8.0,
    "log(units) / log(2)": 6.0,
    "lr <= 1e-3": True,
}


@pytest.mark.parametrize("text", MEANINGS)
def test_meaning(text: str) -> None:
    assert Expression(text)(VALUES) == pytest.approx(MEANINGS[text])


REFUSED = [
    "__import__('os').system('true')",
    "().__class__.__mro__",
    "units.__class__",
    "units.real",
    "eval('1')",
    "open('/etc/passwd')",
    "[x for x in (1, 2)]",
    "{x: 1 for x in (1, 2)}",
    "(lambda: 1)()",
    "(x := 5)",
    "f'{units}'",
    "units if amp else layers",
    "{'a': 1}",
    "{1, 2}",
    "units[0]",
    "*units",
    "max(*layers)",
    "max(units, key=abs)",
    "min",
    "yield units",
    "await units",
    "units @ layers",
    "units | layers",
    "units << 40",
    "~units",
    "units is layers",
    "None",
    "...",
    "1j",
    "b'x'",
    "print(units)",
    "math.log(units)",
    "max.__call__(1)",
]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="expression"):
        Expression(text)(VALUES)


@pytest.mark.parametrize(
    "text", ["", " ", "units <=", "units units", "(units", "a = 1", "import os", "1; 2", "\0", "'"]
)
def test_unreadable(text: str) -> None:
    with pytest.raises(SpaceError, match="cannot be read"):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "units / 0",
        "units % 0",
        "log(0)",
        "log(-1)",
        "sqrt(-1)",
        "(-8) ** 0.5 < 1",
        "min()",
        "units < optimizer",
        "0 ** -1",
    ],
)
def test_arithmetic_that_fails_is_an_error_of_the_expression(text: str) -> None:
    with pytest.raises(SpaceError, match="fails at"):
        Expression(text)(VALUES)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(SpaceError, match="'depth', which has no value"):
        Expression("depth > 1")(VALUES)


BOMBS = [
    "9 ** 9 ** 9 ** 9",
    "10 ** 1000",
    "2 ** 65",
    "'a' * 1000000000",
    "[0] * 1000000000",
    "'%1000000000d' % 1",
    "units ** units ** units",
]


@pytest.mark.parametrize("text", BOMBS)
def test_nothing_grows_without_bound(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(SpaceError):
        Expression(text)(VALUES)
    assert time.monotonic() - start < 1.0


NESTED = {
    "parentheses": "(" * 249 + "1" + ")" * 249,
    "lists": "[" * 249 + "1" + "]" * 249,
    "minus": "-" * 499 + "1",
    "not": "not " * 124 + "1",
    "calls": "abs(" * 99 + "1" + ")" * 99,
    "sums": "1" + "+1" * 249,
    "powers": "1" + "**1" * 166,
    "comparisons": "1" + "<1" * 249,
    "calls of minus": "abs(-" * 83 + "1" + ")" * 83,
}


@pytest.mark.parametrize("kind", NESTED)
def test_deep_nesting_is_a_value_or_one_error(kind: str) -> None:
    assert len(NESTED[kind]) <= MAX_LENGTH
    try:
        value = Expression(NESTED[kind])(VALUES)
    except SpaceError:
        return
    assert isinstance(value, int | float | list)


@pytest.mark.parametrize("kind", NESTED)
def test_deep_nesting_on_a_nearly_full_stack(kind: str) -> None:
    def at_depth(n: int) -> None:
        if n:
            at_depth(n - 1)
        else:
            test_deep_nesting_is_a_value_or_one_error(kind)

    at_depth(650)  # Python's limit is 1,000 frames


def test_too_long() -> None:
    Expression("1" * MAX_LENGTH)
    with pytest.raises(SpaceError, match="at most 500 characters, but this has 501"):
        Expression("1" * (MAX_LENGTH + 1))


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_one_error(text: str) -> None:
    with contextlib.suppress(SpaceError):
        Expression(text)(VALUES)


NAMES = st.sampled_from(["units", "layers", "lr", "1", "2.5", "(units - 1)"])
SUMS = st.recursive(
    NAMES,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "<", "<=", "==", "and", "or"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=8,
)


@given(SUMS)
def test_agrees_with_python_on_plain_arithmetic(text: str) -> None:
    try:
        expected = eval(text, {"__builtins__": {}}, VALUES)
    except ZeroDivisionError:
        expected = None
    if expected is None:
        with pytest.raises(SpaceError, match="zero"):
            Expression(text)(VALUES)
        return
    value = Expression(text)(VALUES)
    assert math.isclose(value, expected)


@given(st.sampled_from(["units", "layers", "lr"]), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_names_mean_the_given_values(name: str, a: float, b: float) -> None:
    rule = Expression(f"{name} < {b!r}")
    assert rule.names == {name}
    assert rule({name: a}) == (a < b)
