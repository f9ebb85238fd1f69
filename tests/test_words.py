"""Words for terminals: total functions that never break a line or a table."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.words import BARS, config, difference, duration, number, sparkline, strict_json


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (9.94, "9.9s"), (42.4, "42s"), (61, "1m01s"), (3599.6, "1h00m"), (7800, "2h10m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.lists(st.floats(), max_size=200), st.integers(2, 60))
def test_a_sparkline_fits_and_marks_what_is_not_finite(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(len(values), width)
    assert set(drawn) <= set(BARS + "×")
    if len(values) <= width:
        assert [c == "×" for c in drawn] == [not math.isfinite(v) for v in values]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_a_sparkline_never_falls_where_the_curve_rises(values: list[float]) -> None:
    drawn = sparkline(sorted(values))
    assert list(drawn) == sorted(drawn, key=BARS.index)


def test_json_has_no_number_that_a_strict_reader_refuses() -> None:
    told = {"curve": (1.0, math.nan, [math.inf]), "n": {"a": -math.inf, "b": 2}, "c": "nan", "d": None}
    known = {"curve": [1.0, None, [None]], "n": {"a": None, "b": 2}, "c": "nan", "d": None}
    assert json.loads(strict_json(told), parse_constant=pytest.fail) == known


def test_configurations_and_differences() -> None:
    assert config({"lr": 0.001, "units": 64, "optimizer": "adam"}) == "lr=0.001 units=64 optimizer=adam"
    assert difference({"lr": 0.01, "m": 0.9}, {"lr": 0.001}) == "lr 0.001→0.01, m off→0.9"
    assert difference({"lr": 0.01}, {"lr": 0.01}) == "the default"
    assert number(None) == "-"
