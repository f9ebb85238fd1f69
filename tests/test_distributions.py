"""Spaces to Optuna and back."""

from __future__ import annotations

import warnings

import pytest
from doubles import SPACE
from hypothesis import given
from hypothesis import strategies as st

from luthier.trials.distributions import from_distributions, to_distribution, to_distributions
from luthier.trials.space import Choice, Float, Int, Parameter, Space

floats = st.tuples(st.floats(1e-6, 1e3), st.floats(1e-3, 1e3), st.booleans()).map(
    lambda t: Float(t[0], t[0] + t[1], log=t[2])
)
ints = st.tuples(st.integers(1, 99), st.integers(1, 99), st.booleans()).map(lambda t: Int(t[0], t[0] + t[1], log=t[2]))
choices = st.lists(st.text(max_size=5), min_size=1, max_size=5, unique=True).map(lambda c: Choice(tuple(c)))


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), floats | ints | choices, min_size=1))
def test_a_space_comes_back_as_it_was(parameters: dict[str, Parameter]) -> None:
    space = Space(parameters)
    assert from_distributions(to_distributions(space)) == space


@pytest.mark.parametrize("parameter", [Int(1, 10, step=4), Int(1, 64, log=True, step=3), Float(0.0, 1.0, step=0.3)])
def test_steps_that_optuna_lacks_or_rounds_bring_no_warning(parameter: Parameter) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parameter.contains(parameter.clip(to_distribution(parameter).high))


def test_defaults_and_conditions_stay_behind() -> None:
    back = from_distributions(to_distributions(SPACE))
    assert list(back) == list(SPACE)
    assert all(p.default is None and p.when is None for p in back.parameters.values())
