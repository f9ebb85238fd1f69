"""The space: what a range holds, round trips, conditions, constraints, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from luthier.trials.errors import SpaceError
from luthier.trials.space import Bool, Choice, Float, Int, Parameter, Space, describe

UNIT = st.floats(0, 1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)


@st.composite
def floats(draw: st.DrawFn, log: bool | None = None) -> Float:
    """Any valid real range, with a default or without."""
    is_log = draw(st.booleans()) if log is None else log
    low = draw(st.floats(1e-12, 1e6) if is_log else st.floats(-1e6, 1e6))
    high = low + draw(st.floats(1e-3, 1e6)) * (abs(low) if is_log else 1)
    assume(high > low)
    default = draw(st.none() | st.floats(low, high))
    return Float(low, high, log=is_log, default=default)


@st.composite
def ints(draw: st.DrawFn) -> Int:
    """Any valid whole range."""
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -1000, 1000))
    step = 1 if log else draw(st.integers(1, 7))
    high = low + draw(st.integers(step, 10_000))
    default = draw(st.none() | st.integers(0, (high - low) // step).map(lambda k: low + k * step))
    return Int(low, high, log=log, step=step, default=default)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """Any valid choice of texts, numbers and bools."""
    value = TEXTS | st.integers(-99, 99) | st.floats(-9, 9).map(lambda x: round(x, 3)) | st.booleans()
    values = tuple(draw(st.lists(value, min_size=1, max_size=6, unique_by=lambda c: (isinstance(c, bool), c))))
    return Choice(values, default=draw(st.none() | st.sampled_from(values)))


def parameters() -> st.SearchStrategy[Parameter]:
    """Any valid hyperparameter without a condition."""
    return floats() | ints() | choices()


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Any valid space whose first hyperparameter may switch others on."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    found: dict[str, Parameter] = {"switch_": Choice(("on", "off"), default="on")}
    for name in names:
        parameter = draw(parameters())
        when = draw(st.sampled_from([None, 'switch_ == "on"', 'switch_ == "off"']))
        found[name] = type(parameter)(**{**vars(parameter), "when": when})
    return Space(found)


@given(parameters(), UNIT)
def test_every_position_is_a_value_inside(parameter: Parameter, u: float) -> None:
    value = parameter.from_unit(u)
    assert parameter.contains(value)
    assert parameter.clip(value) == value
    assert 0 <= parameter.to_unit(value) <= 1


@given(parameters(), UNIT)
def test_a_value_has_one_position(parameter: Parameter, u: float) -> None:
    value = parameter.from_unit(u)
    again = parameter.from_unit(parameter.to_unit(value))
    assert again == (pytest.approx(value, rel=1e-6, abs=1e-6) if isinstance(value, float) else value)
    assert type(again) is type(value)


@given(parameters(), st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9))
def test_clipping_lands_inside_and_stays(parameter: Parameter, wild: float) -> None:
    value = parameter.clip(wild)
    assert parameter.contains(value)
    assert parameter.clip(value) == value


@given(floats(), st.integers(1, 50), st.floats(-1e7, 1e7))
def test_steps_are_a_grid_from_the_low_bound(plain: Float, steps: int, wild: float) -> None:
    step = (plain.high - plain.low) / steps
    assume(step > 1e-9 * max(1.0, abs(plain.low)))
    value = Float(plain.low, plain.high, step=step).clip(wild)
    k = (value - plain.low) / step
    assert plain.low <= value <= plain.high
    assert math.isclose(k, round(k), abs_tol=1e-4)


def test_a_real_range_with_a_step_holds_its_grid_only() -> None:
    rate = Float(0.1, 0.5, step=0.1)
    assert all(rate.contains(rate.from_unit(u)) for u in (0.0, 0.3, 0.6, 1.0))
    assert rate.contains(0.1 + 0.2)  # 0.30000000000000004
    assert not rate.contains(0.25)


@pytest.mark.parametrize("u", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_log_range_is_even_in_the_logarithm(u: float) -> None:
    assert Float(1e-4, 1.0, log=True).from_unit(u) == pytest.approx(10 ** (-4 + 4 * u))


def test_a_grid_that_ends_at_the_high_bound_stays_inside() -> None:
    rate = Float(0.0, 0.3, step=0.1)  # 3 * 0.1 is a hair above 0.3
    assert rate.clip(9.0) == 0.3
    assert rate.contains(rate.from_unit(1.0))


def test_ints_take_only_their_grid() -> None:
    batch = Int(16, 100, step=16)
    assert [batch.clip(v) for v in (0, 23, 25, 99, 1000)] == [16, 16, 32, 96, 96]
    assert batch.contains(96)
    assert not batch.contains(100)
    assert not batch.contains(24)
    assert not batch.contains(16.5)
    assert batch.contains(32.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.5", None, True, 2.0, -0.1])
def test_what_is_not_in_a_real_range(value: Any) -> None:
    assert not Float(0.0, 1.0).contains(value)


def test_true_is_not_one() -> None:
    assert not Choice((1, 2)).contains(True)
    assert not Bool().contains(1)
    assert Bool().clip("true") is True
    assert Bool().clip("False") is False
    assert Choice((1, True)).from_unit(Choice((1, True)).to_unit(True)) is True


def test_a_choice_reads_its_own_spelling() -> None:
    choice = Choice(("sgd", "Adam", 8, 0.5), default="Adam")
    assert [choice.clip(v) for v in ("SGD", "adam", "8", "0.5", "lion")] == ["sgd", "Adam", 8, 0.5, "Adam"]


BAD = {
    "low above high": (lambda: Float(2.0, 1.0), r"`low <= high` must hold.*low=2, high=1"),
    "empty range": (lambda: Float(1.0, 1.0), "must not be empty"),
    "empty int range": (lambda: Int(3, 3), "must not be empty"),
    "log with zero": (lambda: Float(0.0, 1.0, log=True), "`low > 0`, but got low=0"),
    "log with a negative": (lambda: Int(-1, 5, log=True), "`low > 0`, but got low=-1"),
    "default outside": (lambda: Float(0.0, 1.0, default=2.0), "default must lie in .0, 1., but got 2.0"),
    "default off the grid": (lambda: Int(0, 10, step=2, default=3), "default must lie in"),
    "default off a real grid": (
        lambda: Float(0.0, 0.5, step=0.1, default=0.25),
        r"default must lie in .0, 0.5. on the grid of step 0.1 from 0, but got 0.25",
    ),
    "bound beyond 64 bits": (lambda: Int(1, 10**30), "must fit into 64 bits, but one is beyond them"),
    "bound beyond every float": (lambda: Int(-(10**400), 1), "must fit into 64 bits"),
    "whole bound of a real range": (lambda: Float(0, 10**400), "must fit into 64 bits"),
    "infinitely wide": (lambda: Float(-1e308, 1e308), "`high - low` must be finite"),
    "default of another type": (lambda: Int(0, 10, default="3"), "default must lie in"),  # type: ignore[arg-type]
    "NaN bound": (lambda: Float(math.nan, 1.0), "finite number, but got nan"),
    "infinite bound": (lambda: Float(0.0, math.inf), "finite number, but got inf"),
    "half a whole number": (lambda: Int(0.5, 3), "whole number, but got 0.5"),  # type: ignore[arg-type]
    "text bound": (lambda: Float("0", 1.0), "finite number, but got '0'"),  # type: ignore[arg-type]
    "step of zero": (lambda: Float(0.0, 1.0, step=0.0), "`step > 0` must hold"),
    "no choices": (lambda: Choice(()), "at least one value"),
    "one choice twice": (lambda: Choice(("a", "a")), "choices must differ"),
    "one number twice": (lambda: Choice((1, 1.0)), "choices must differ"),
    "default that is no choice": (lambda: Choice(("a", "b"), default="c"), "'c' is not in"),
    "empty space": (lambda: Space({}), "at least one hyperparameter"),
    "name with a dash": (lambda: Space({"batch-size": Int(1, 2)}), "identifier, but got 'batch-size'"),
    "condition on itself": (lambda: Space({"x": Float(0, 1, when="x > 0")}), "names 'x'"),
    "condition on a later one": (
        lambda: Space({"x": Float(0, 1, when="y > 0"), "y": Float(0, 1)}),
        "only hyperparameters before it, but it names 'y'",
    ),
    "constraint with a slip": (
        lambda: Space({"units": Int(1, 9)}, ("unit < 3",)),
        "names 'unit'; did you mean 'units'",
    ),
    "default against a constraint": (
        lambda: Space({"units": Int(1, 9, default=8)}, ("units < 3",)),
        "constraint 'units < 3' must hold",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(SpaceError, match=message):
        make()


SPACE = Space(
    {
        "lr": Float(1e-5, 0.5, log=True, default=1e-3),
        "units": Int(16, 512, log=True, default=64),
        "optimizer": Choice(("sgd", "adam"), default="adam"),
        "momentum": Float(0.0, 0.99, default=0.9, when='optimizer == "sgd"'),
        "nesterov": Bool(default=False, when="momentum > 0.5"),
    },
    ("units * 4 <= 1024",),
)


def test_inactive_values_are_left_out_and_so_is_what_hangs_on_them() -> None:
    assert SPACE.default() == {"lr": 1e-3, "units": 64, "optimizer": "adam"}
    assert set(SPACE.active({"optimizer": "sgd"})) == set(SPACE)
    assert set(SPACE.active({"optimizer": "sgd", "momentum": 0.1})) == {"lr", "units", "optimizer", "momentum"}
    assert "nesterov" not in SPACE.active({"optimizer": "adam", "momentum": 0.9})


def test_validate_names_the_rule_and_the_value() -> None:
    good = {"lr": 0.1, "units": 64, "optimizer": "adam"}
    SPACE.validate(good)
    for change, message in (
        ({"lr": 1.0}, r"lr must lie in \[1e-05, 0.5\] log, but got 1.0"),
        ({"unit": 3}, "unknown hyperparameter 'unit'; did you mean 'units'"),
        ({"units": 512}, r"constraint 'units \* 4 <= 1024' must hold"),
        ({"optimizer": "sgd"}, "'momentum' has no value"),
        ({"optimizer": "lion"}, r"optimizer must lie in \{sgd, adam\}"),
        ({"lr": math.nan}, "lr must lie in"),
    ):
        with pytest.raises(SpaceError, match=message):
            SPACE.validate({**good, **change})


def test_contains_wants_exactly_the_active_ones() -> None:
    assert SPACE.contains({"lr": 0.1, "units": 64, "optimizer": "adam"})
    assert not SPACE.contains({"lr": 0.1, "units": 64, "optimizer": "adam", "momentum": 0.9})
    assert not SPACE.contains({"lr": 0.1, "units": 64})


def test_without_a_default_trial_zero_is_the_middle() -> None:
    space = Space({"lr": Float(1e-4, 1.0, log=True), "units": Int(1, 3, default=3)})
    assert not space.default_is_complete
    assert space.default() == {"lr": pytest.approx(1e-2), "units": 3}


@given(spaces(), st.integers(0, 2**32 - 1))
def test_samples_are_inside_and_seeded(space: Space, seed: int) -> None:
    config = space.sample(np.random.default_rng(seed))
    assert space.contains(config)
    assert space.sample(np.random.default_rng(seed)) == config
    assert space.clip(config) == config
    point = space.to_unit(config)
    assert point.shape == (len(space),)
    assert ((point >= 0) & (point <= 1)).all()


def test_samples_satisfy_the_constraints_or_say_that_they_cannot() -> None:
    rng = np.random.default_rng(0)
    assert all(SPACE.sample(rng)["units"] <= 256 for _ in range(200))
    impossible = Space({"x": Float(0.0, 1.0)}, ("x > 2",))
    with pytest.raises(SpaceError, match=r"no configuration satisfied .*x > 2.* loosen"):
        impossible.sample(rng, tries=50)


def test_every_part_of_a_space_is_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(300)]
    assert {d["optimizer"] for d in drawn} == {"sgd", "adam"}
    assert 0.3 < np.mean([d["lr"] < math.sqrt(1e-5 * 0.5) for d in drawn]) < 0.7


@given(spaces(), st.integers(0, 99))
def test_equal_configurations_have_equal_keys(space: Space, seed: int) -> None:
    config = space.sample(np.random.default_rng(seed))
    assert space.key(config) == space.key(dict(reversed(config.items())))
    hash(space.key(config))


def test_keys_tell_different_configurations_apart() -> None:
    base = SPACE.default()
    assert SPACE.key(base) == SPACE.key({**base, "momentum": 0.1})  # inactive: it changes nothing
    assert SPACE.key(base) == SPACE.key({**base, "lr": 1e-3 * (1 + 1e-9)})
    assert SPACE.key(base) != SPACE.key({**base, "lr": 1.1e-3})
    assert SPACE.key(base) != SPACE.key({**base, "units": 65})


def test_describe() -> None:
    assert [describe(SPACE[n]) for n in ("lr", "units", "optimizer")] == [
        "[1e-05, 0.5] log",
        "[16, 512] log",
        "{sgd, adam}",
    ]
