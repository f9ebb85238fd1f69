"""The averaged Gaussian process: what it promises where, and what does not matter to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_info, threadpool_limits

from luthier.trials.bayes import encoded
from luthier.trials.space import Choice, Float, Space
from luthier.trials.surrogate import Surrogate, log_likelihood, one_thread, standardised

POINTS = np.linspace(0.0, 1.0, 9)[:, None]  # (9, 1)


def surrogate(values: np.ndarray, seed: int = 0) -> Surrogate:
    return Surrogate(POINTS, values, np.random.default_rng(seed))


def test_most_improvement_is_expected_between_the_best_points() -> None:
    model = surrogate(-((POINTS[:, 0] - 0.45) ** 2))
    asked = np.linspace(0.0, 1.0, 101)[:, None]
    assert asked[np.argmax(model.expected_improvement(asked)), 0] == pytest.approx(0.45, abs=0.05)


def test_improvement_is_never_negative_and_least_where_all_is_known_to_be_bad() -> None:
    model = surrogate(np.sin(3 * POINTS[:, 0]))
    expected = model.expected_improvement(POINTS)
    assert (expected >= 0).all()
    assert expected[0] < expected[4]


def test_the_same_seed_gives_the_same_answers() -> None:
    values = np.sin(3 * POINTS[:, 0])
    first, second = (surrogate(values, seed=3).expected_improvement(POINTS) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("values", [np.zeros(9), np.full(9, 1e300), np.array([0.0] * 8 + [1e12])])
def test_equal_and_huge_values_do_no_harm(values: np.ndarray) -> None:
    assert np.isfinite(surrogate(values).expected_improvement(POINTS)).all()


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12),
    offset=st.floats(-1e3, 1e3),
    scale=st.floats(0.1, 10.0),
)
@example(values=[0.0, 0.0, 0.0], offset=341.86105347148634, scale=1.0)  # whose mean is another number
@settings(max_examples=50)
def test_units_and_offset_do_not_matter(values: list[float], offset: float, scale: float) -> None:
    given_values = np.round(values, 3)
    moved = standardised(offset + scale * given_values)
    assert moved == pytest.approx(standardised(given_values), abs=1e-6)


def test_how_bad_the_bad_are_does_not_matter() -> None:
    good = [1.0, 2.0, 3.0]
    assert standardised(np.array([*good, -1e9])) == pytest.approx(standardised(np.array([*good, -1e3])))


def test_two_choices_are_as_far_apart_as_the_ends_of_a_range() -> None:
    space = Space({"x": Float(0.0, 1.0, default=0.0), "c": Choice(("a", "b", "c"), default="a")})
    origin = encoded(space, {"x": 0.0, "c": "a"})
    for other in ({"x": 1.0, "c": "a"}, {"x": 0.0, "c": "b"}, {"x": 0.0, "c": "c"}):
        assert np.linalg.norm(encoded(space, other) - origin) == pytest.approx(1.0)


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1.0])
def test_the_likelihood_is_scikit_learns(noise: float) -> None:
    kernel = ConstantKernel(2.0) * Matern([0.3], nu=2.5) + WhiteKernel(noise)
    scores = standardised(np.sin(3 * POINTS[:, 0]))
    theirs = GaussianProcessRegressor(kernel, optimizer=None).fit(POINTS, scores).log_marginal_likelihood()
    assert log_likelihood(kernel, POINTS, scores) == pytest.approx(theirs)


def test_a_singular_covariance_has_no_likelihood() -> None:
    kernel = ConstantKernel(1e12) * Matern([1e3], nu=2.5)
    assert log_likelihood(kernel, np.repeat(POINTS, 3, axis=0), np.zeros(3 * len(POINTS))) == -np.inf


def test_a_process_is_asked_on_one_thread_and_others_keep_theirs() -> None:
    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        assert (one_thread(threads)(), threads()) == ({1}, {2})
