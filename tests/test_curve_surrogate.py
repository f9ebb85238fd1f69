"""The process over curves: what it promises, what one look tells it, and what does not matter to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from doubles import SPACE, complete, failed
from hypothesis import given
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

from luthier.trials.bayes import PATIENCE, BayesAdvisor
from luthier.trials.curve_study import CurveOutlook, CurveStudy, axis_of
from luthier.trials.curve_surrogate import JITTER, _Member, _Settings
from luthier.trials.extrapolation import Axis, Curve
from luthier.trials.readings import (
    ASKED,
    NEARLY,
    SHARES,
    Readings,
    Run,
    Scale,
    read,
    shown_by,
    with_failed,
    without_exploded,
)
from luthier.trials.records import Direction, State, Trajectory, Trial

POINTS = np.linspace(0.0, 1.0, 5)[:, None]  # (5, 1)
SETTINGS = np.log([1.3, 0.4, 0.7, 1e-4, 0.3, 0.5, 0.05, 0.1])
AXIS = Axis.of([Curve(range(20), [0.0] * 20)])
ENDS = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


def curve(end: float, n: int = 20) -> list[float]:
    """Of a loss: it falls like a power law to `end`."""
    return [end + (1 / (step + 1) ** 0.5 - 1 / n**0.5) for step in range(n)]


def stopped(number: int, end: float, n: int = 3) -> Trial:
    """What would have ended with `end` was stopped after n reports."""
    values = curve(end)[:n]
    config = {**SPACE.default(), "units": 10 + number}
    trial = complete(number, config, values[-1], values)
    return replace(trial, state=State.PRUNED)


def study(ends: Sequence[float], *, n_stopped: int = 4, sign: float = 1.0, scale: float = 1.0) -> list[Trial]:
    """Complete trials with these ends, the default first, and some that were stopped early."""
    done = [complete(i, {**SPACE.default(), "units": 64 + i}, end, curve(end)) for i, end in enumerate(ends)]
    early = [stopped(len(ends) + i, 2.0 + 0.1 * i) for i in range(n_stopped)]
    return [turned(trial, sign, scale) for trial in [*done, *early]]


def turned(trial: Trial, sign: float, scale: float) -> Trial:
    values = tuple(sign * scale * value for value in trial.trajectory.metrics["loss"])
    trajectory = Trajectory(trial.trajectory.steps, {"loss": values})
    return replace(trial, value=sign * scale * (trial.value or 0.0), trajectory=trajectory)


def known(
    trials: Sequence[Trial], direction: Direction = Direction.MINIMIZE, seed: int = 0, *, failures: bool = True
) -> CurveStudy:
    found = CurveStudy.of(SPACE, trials, direction, "loss", np.random.default_rng(seed), failures=failures)
    assert found is not None
    return found


def told(outlook: CurveOutlook, values: Sequence[float]) -> float:
    """The chance after these reports; what is expected then is a number too."""
    chance = outlook.chance(range(len(values)), values)
    assert chance is not None
    assert outlook.expected is not None
    assert math.isfinite(outlook.expected)
    return chance


class TestProcess:
    def test_of_ends_alone_it_is_scikit_learns(self) -> None:
        ends = np.array([0.1, -0.4, 0.9, 0.3, -0.2])
        readings = Readings(np.arange(5), np.ones(5), ends, 0.9)
        member = _Member(_Settings.of(SETTINGS), POINTS - 0.5, readings)
        kernel = (
            ConstantKernel(1.3) * Matern([0.4], nu=2.5)
            + ConstantKernel(0.7) * DotProduct(0.0, "fixed")
            + WhiteKernel(1e-4)
        )
        theirs = GaussianProcessRegressor(kernel, optimizer=None, alpha=JITTER).fit(POINTS - 0.5, ends)
        constant = 5 / 2 * np.log(2 * np.pi)
        assert member.log_likelihood - constant == pytest.approx(theirs.log_marginal_likelihood())
        asked = np.linspace(-0.5, 0.5, 11)[:, None]
        mean, deviation = theirs.predict(asked, return_std=True)
        ours = member.ends(asked)
        assert ours[0] == pytest.approx(mean)
        assert ours[1] ** 2 == pytest.approx(deviation**2 - 1e-4, abs=1e-6)  # of the end itself, without noise

    def test_nothing_is_left_to_go_at_the_end_and_more_the_earlier(self) -> None:
        shares = np.array([0.05, 0.1, 0.15, 0.4, 1.0])
        way = _Settings.of(SETTINGS).way(shares)
        assert way == pytest.approx(way.T)
        assert way[-1] == pytest.approx(np.zeros(5))
        assert (np.diff(np.diag(way)) < 0).all()
        assert way[2, 2] == pytest.approx(1.0)
        assert np.linalg.eigvalsh(way).min() > -1e-9

    def test_the_same_seed_gives_the_same_answers(self) -> None:
        studies = [known(study([1.0, 0.8]), seed=3) for _ in range(2)]
        first, second = (one.model.expected_improvement(one.points) for one in studies)
        assert (first == second).all()


class TestStudy:
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    @pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
    def test_one_look_tells_a_good_training_from_a_bad_one(self, sign: float, scale: float) -> None:
        trials = study([1.0, 0.9], sign=sign, scale=scale)
        one = known(trials, Direction.MINIMIZE if sign > 0 else Direction.MAXIMIZE)
        config = {**SPACE.default(), "units": 40}
        chances = []
        for end in (0.3, 0.9, 2.0):
            seen = [sign * scale * value for value in curve(end)[:3]]
            chances.append(told(CurveOutlook(one, config), seen))
        assert chances == sorted(chances, reverse=True)
        assert chances[0] > 0.8
        assert chances[2] < 0.05

    def test_a_margin_lowers_the_chance(self) -> None:
        one = known(study([1.0, 0.9]))
        config = {**SPACE.default(), "units": 40}
        chances = [told(CurveOutlook(one, config, noise), curve(0.6)[:3]) for noise in (0.0, 0.2)]
        assert chances[0] > chances[1]

    def test_it_needs_two_trials_and_a_finished_curve(self) -> None:
        rng = np.random.default_rng(0)
        without = complete(0, SPACE.default(), 1.0)
        assert CurveStudy.of(SPACE, study([1.0], n_stopped=0), Direction.MINIMIZE, "loss", rng) is None
        assert CurveStudy.of(SPACE, [without, stopped(1, 2.0)], Direction.MINIMIZE, "loss", rng) is None
        assert CurveStudy.of(SPACE, study([1.0]), Direction.MINIMIZE, "accuracy", rng) is None
        assert axis_of([], "loss") is None

    @pytest.mark.parametrize(
        ("lengths", "common"), [((20, 2, 60), False), ((20, 2), False), ((20, 20, 20, 12), True), ((20, 18, 25), True)]
    )
    def test_trainings_of_different_lengths_have_no_common_axis(self, lengths: Sequence[int], common: bool) -> None:
        trials = [
            complete(i, {**SPACE.default(), "units": 64 + i}, 1.0, curve(1.0, n=length))
            for i, length in enumerate(lengths)
        ]
        assert (axis_of(trials, "loss") is not None) == common
        found = CurveStudy.of(SPACE, trials, Direction.MINIMIZE, "loss", np.random.default_rng(0))
        assert (found is not None) == common

    @pytest.mark.parametrize("ends", [[1.0, 1.0], [0.0, 0.0], [1e300, -1e300], [0.0, 1e-300]])
    def test_equal_huge_and_tiny_values_do_no_harm(self, ends: list[float]) -> None:
        one = known([*study(ends), failed(9, {**SPACE.default(), "units": 99})])
        assert 0 <= told(CurveOutlook(one, SPACE.default()), curve(0.5)[:3]) <= 1
        assert np.isfinite(one.model.expected_improvement(one.points)).all()

    @pytest.mark.parametrize("values", [None, [2.0, 1.6, 8.0, 30.0], [2.0, 1e3, 1e6]])
    def test_a_good_training_goes_on_where_those_beside_it_crashed_or_exploded(
        self, values: Sequence[float] | None
    ) -> None:
        """The best often lies at the edge; that others fell over it says nothing of one that did not."""
        trials = study([1.0, 0.9])
        for units in (300, 400, 512):
            config = {**SPACE.default(), "units": units}
            lost = failed(len(trials), config)
            if values is not None:
                lost = replace(complete(len(trials), config, values[-1], values), state=State.PRUNED)
            trials.append(lost)
        outlook = CurveOutlook(known(trials, failures=False), {**SPACE.default(), "units": 260})
        assert told(outlook, curve(0.3)[:3]) > 0.5
        assert outlook.expected is not None
        assert outlook.expected < 0.9

    @pytest.mark.parametrize(("reports", "asked"), [(20, [1, 2, 3, 5, 8, 13]), (100, [3, 5, 10, 15, 25, 40, 65])])
    def test_the_outlook_is_asked_once_for_each_share(self, reports: int, asked: list[int]) -> None:
        trials = [complete(i, {**SPACE.default(), "units": 64 + i}, 1.0, curve(1.0, reports)) for i in range(2)]
        outlook = CurveOutlook(known(trials), {**SPACE.default(), "units": 40})
        news = [n for n in range(1, reports + 1) if outlook.chance(range(n), curve(0.5, reports)[:n]) is not None]
        assert news == asked  # what has ended is no news

    def test_before_the_usual_shares_a_training_stands_beside_what_others_showed_as_early(self) -> None:
        trials = [complete(i, {**SPACE.default(), "units": 64 + i}, 1.0, curve(1.0, 100)) for i in range(3)]
        model = known(trials)
        assert [run.shares[0] for run in model.early] == [ASKED[0]] * 3
        assert [run.shares[0] for run in model.runs] == [SHARES[0]] * 3
        chances = []
        for behind in (0.0, 0.8):
            outlook = CurveOutlook(model, {**SPACE.default(), "units": 70})
            chances.append(told(outlook, [value + behind for value in curve(0.9, 100)[:3]]))
        assert chances[0] > 0.2 > chances[1]


class TestAdvisor:
    def test_where_curves_are_read_it_says_so_and_starts_sooner(self) -> None:
        trials = study([1.0], n_stopped=2)
        reasons = []
        for advisor in (BayesAdvisor(), BayesAdvisor("loss")):
            (candidate,) = advisor.advise(SPACE, trials, Direction.MINIMIZE, seed=1)
            reasons.append(candidate.reason)
        assert "a random point" in reasons[0]
        assert "the curves of 3 trials" in reasons[1]

    def test_where_there_are_no_curves_it_is_as_if_none_were_asked_for(self) -> None:
        for n in (1, 3, 6):
            trials = [complete(i, {**SPACE.default(), "units": 20 + i}, float(i)) for i in range(n)]
            plain, read_too = (
                advisor.advise(SPACE, trials, Direction.MINIMIZE, seed=1)
                for advisor in (BayesAdvisor(), BayesAdvisor("loss"))
            )
            assert plain == read_too

    def test_after_ten_stopped_in_a_row_the_ends_are_searched_again(self) -> None:
        trials = study([1.0], n_stopped=PATIENCE + 1)
        (candidate,) = BayesAdvisor("loss").advise(SPACE, trials, Direction.MINIMIZE, seed=1)
        assert "random point" in candidate.reason  # every other one
        (candidate,) = BayesAdvisor("loss").advise(SPACE, trials[:-1], Direction.MINIMIZE, seed=1)
        assert f"over {PATIENCE + 1} trials" in candidate.reason

    def test_what_was_stopped_at_once_is_left_alone(self) -> None:
        """All that is known of large values of `lr` is three reports each, and that they are behind."""
        rng = np.random.default_rng(0)
        trials = [complete(0, {**SPACE.default(), "lr": 1e-3}, 1.0, curve(1.0))]
        for number in range(1, 8):
            config = {**SPACE.sample(rng), "lr": 10 ** (-1.0 - 0.1 * number)}
            trials.append(replace(complete(number, config, 3.0, curve(3.0)[:3]), state=State.PRUNED))
        found = [BayesAdvisor("loss").advise(SPACE, trials[:7], Direction.MINIMIZE, seed=seed) for seed in range(4)]
        assert np.median([float(candidate.config["lr"]) for (candidate,) in found]) < 1e-2


class TestReadings:
    def test_a_curve_is_read_at_few_places_however_long_it_is(self) -> None:
        long = Axis.of([Curve(range(30_000), [0.0] * 30_000)])
        whole = read(long, range(30_000), list(range(30_000)), end=7.0)
        assert len(whole.shares) == len(SHARES) + 1
        assert whole.shares[-1] == 1
        assert whole.values[-1] == 7.0
        part = read(long, range(6_000), list(range(6_000)))
        assert part.shares == pytest.approx([0.05, 0.1, 0.15, 0.2], abs=1e-3)
        assert part.values[-1] == 5_999

    def test_what_goes_on_beyond_the_usual_end_has_not_ended(self) -> None:
        assert read(AXIS, range(50), [0.0] * 50).shares[-1] == NEARLY

    def test_what_begins_before_the_usual_first_step_has_done_nothing_yet(self) -> None:
        late = Axis.of([Curve([100, 120, 140], [0.0] * 3)])
        assert read(late, [10], [1.0]).shares.tolist() == [0.0]
        assert np.isfinite(_Settings.of(SETTINGS).way(np.array([0.0, 0.0, 1.0]))).all()

    def test_trials_without_a_curve_have_their_end_and_failed_ones_the_worst(self) -> None:
        trials = [complete(0, {}, 1.0), complete(1, {}, 3.0), failed(2, {}), Trial(3, {}, State.PRUNED)]
        runs = with_failed(shown_by(trials, Direction.MINIMIZE, "loss", AXIS))
        assert [(list(run.shares)[-1], run.values[-1]) for run in runs] == [(1, -1.0), (1, -3.0), (1, -3.0), (1, -3.0)]

    def test_where_all_that_ended_is_good_a_crash_is_as_bad_as_what_was_stopped(self) -> None:
        trials = [*study([1.0, 0.9], n_stopped=2), failed(9, {})]
        runs = with_failed(shown_by(trials, Direction.MINIMIZE, "loss", AXIS))
        assert runs[-1].values == min(run.values[-1] for run in runs[:-1]) < -2.0

    def test_what_exploded_is_left_out_and_a_poor_end_is_not(self) -> None:
        def shown(*values: float) -> Run | None:
            odd = complete(9, {}, values[-1], values)
            trials = [*study([1.0, 0.9], n_stopped=2), odd]
            return without_exploded(shown_by(trials, Direction.MINIMIZE, "loss", AXIS))[-1]

        assert shown(2.0, 8.0, 30.0) is None
        assert shown(1e6, 1e5, 1e4) is None
        assert shown(2.0, 3.0, 4.0) is not None

    @pytest.mark.parametrize(("end", "exploded"), [(0.95, False), (40.0, True)])
    def test_where_the_best_hardly_left_the_begin_what_is_a_little_worse_has_not_exploded(
        self, end: float, exploded: bool
    ) -> None:
        trials = [complete(i, {}, 0.705, [begin, 0.705]) for i, begin in enumerate([0.69, 0.7, 0.72, 0.75, 0.8])]
        shown = shown_by([*trials, complete(5, {}, end, [0.72, end])], Direction.MINIMIZE, "loss", AXIS)
        assert [run is None for run in without_exploded(shown)] == [False] * 5 + [exploded]

    def test_where_all_end_below_their_begin_nothing_has_exploded(self) -> None:
        trials = [complete(i, {}, 10.0**i, [1.0, 10.0**i]) for i in range(5)]
        assert None not in without_exploded(shown_by(trials, Direction.MINIMIZE, "loss", AXIS))

    @given(ends=st.lists(ENDS, min_size=1, max_size=9), offset=ENDS, factor=st.floats(0.1, 10.0))
    def test_units_and_offset_do_not_matter(self, ends: list[float], offset: float, factor: float) -> None:
        def scores(values: np.ndarray) -> np.ndarray:
            return Scale.of([Run(np.ones(1), values[i : i + 1]) for i in range(len(values))]).scores(values)

        given_values = np.array(ends)
        assert scores(offset + factor * given_values) == pytest.approx(scores(given_values), abs=1e-4)

    def test_how_bad_the_bad_are_tells_little(self) -> None:
        scale = Scale.of([Run(np.ones(1), np.array([value])) for value in (0.0, 1.0, 2.0)])
        near, far, farther = scale.scores(np.array([-1.0, -1e6, -1e300]))
        assert near > far >= farther > near - 100

    @given(ends=st.lists(ENDS, min_size=2, max_size=9), value=st.floats(-1e3, 1e3))
    def test_a_score_has_one_value(self, ends: list[float], value: float) -> None:
        scale = Scale.of([Run(np.ones(1), np.array([end])) for end in ends])
        if abs(value - scale.top) < 1e3 * scale.way:
            assert scale.value(float(scale.scores(np.array(value)))) == pytest.approx(value, rel=1e-6, abs=1e-6)
