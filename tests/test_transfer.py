"""What past studies bring to a new one: which count, what they propose, and when they fall silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from doubles import complete, failed
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor

from luthier.memory.agreement import Agreement, agreement
from luthier.memory.past import OWN_BEST, OWN_REST, PastStudy, inside, read_past
from luthier.memory.prior import PastTasks, Portfolio, Transfer
from luthier.memory.transfer import FIRST, LIMIT, TransferAdvisor
from luthier.trials.advisors import default_advisors, in_order, with_advisor
from luthier.trials.records import Config, Direction, Trial
from luthier.trials.space import Float, Space

SPACE = Space({"x": Float(0.0, 1.0, default=0.5), "y": Float(0.0, 1.0, default=0.5)})
Values = Callable[[np.ndarray], np.ndarray]


def peak(x: float, y: float) -> Values:
    return lambda points: -((points[:, 0] - x) ** 2) - (points[:, 1] - y) ** 2


def studied(values: Values, n: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(seed).random((n, 2))
    return points, values(points)


def past_study(values: Values, seed: int = 0, direction: Direction = Direction.MAXIMIZE, n: int = 40) -> PastStudy:
    points, found = studied(values, n, seed)
    configs = tuple({"x": float(x), "y": float(y)} for x, y in points)
    return PastStudy(f"task-{seed}", direction, configs, tuple((direction.sign * found).tolist()))


PEAKS = [peak(0.2, 0.8), peak(0.25, 0.75), peak(0.8, 0.2)]
PAST = PastTasks(*zip(*[studied(values, seed=i) for i, values in enumerate(PEAKS)], strict=True))
CENTRES = np.array([[0.2, 0.8], [0.25, 0.75], [0.8, 0.2]])


def run(advisor: TransferAdvisor, values: Values, n: int, begun: Sequence[Trial] = ()) -> list[Trial]:
    done = [*begun]
    for number in range(len(begun), n):
        found = advisor.advise(SPACE, done, Direction.MAXIMIZE, seed=number)
        if not found:
            break
        config = found[0].config
        done.append(complete(number, config, float(values(np.array([[config["x"], config["y"]]]))[0])))
    return done


def test_the_surrogates_of_past_tasks_find_their_peaks() -> None:
    at_centres = PAST.predict(CENTRES)
    assert at_centres.argmax(axis=0)[2] == 2
    assert (at_centres[[0, 1, 2], [0, 1, 2]] > PAST.predict(np.array([[0.5, 0.5]]))).all()


def test_tasks_tried_at_the_same_points_are_predicted_as_if_they_were_not() -> None:
    points = studied(PEAKS[0])[0]
    values = [v(points) for v in PEAKS]
    together = PastTasks([points] * 3, values)
    apart = PastTasks([points, points + 1e-12, points + 2e-12], values)
    assert together.predict(CENTRES) == pytest.approx(apart.predict(CENTRES), abs=1e-3)


def test_a_portfolio_serves_first_the_many_and_then_the_rest() -> None:
    grid = np.random.default_rng(3).random((2000, 2))
    first = grid[Portfolio(PAST, np.empty((0, 2))).expected_improvement(grid).argmax()]
    second = grid[Portfolio(PAST, first[None]).expected_improvement(grid).argmax()]
    assert abs(first[0] - second[0]) > 0.3  # one of the two peaks on the left, and the one on the right


@given(scale=st.floats(0.01, 1000), offset=st.floats(-1000, 1000))
@settings(max_examples=10)
def test_the_metric_s_unit_does_not_matter(scale: float, offset: float) -> None:
    points, values = studied(PEAKS[0], n=6, seed=9)
    grid = np.random.default_rng(3).random((50, 2))
    plain = Transfer(PAST, points, values, np.random.default_rng(0))
    moved = Transfer(PAST, points, values * scale + offset, np.random.default_rng(0))
    assert moved.expected_improvement(grid) == pytest.approx(plain.expected_improvement(grid), rel=1e-2, abs=1e-6)


def test_a_task_like_a_past_one_is_solved_in_few_trials() -> None:
    done = run(TransferAdvisor([past_study(v, i) for i, v in enumerate(PEAKS)]), peak(0.22, 0.78), 8)
    assert max(t.value for t in done if t.value is not None) > -0.002
    assert (
        "3 past studies"
        in TransferAdvisor([past_study(v, i) for i, v in enumerate(PEAKS)])
        .advise(SPACE, [], Direction.MAXIMIZE, seed=0)[0]
        .reason
    )


def test_a_long_study_knows_itself_best() -> None:
    advisor = TransferAdvisor([past_study(v, i) for i, v in enumerate(PEAKS)])
    trials = [complete(i, {"x": i / 50, "y": 0.5}, float(i)) for i in range(LIMIT)]
    assert advisor.advise(SPACE, trials[:FIRST], Direction.MAXIMIZE, seed=0)
    assert advisor.advise(SPACE, trials, Direction.MAXIMIZE, seed=0) == []


def test_what_counts_of_a_past_study() -> None:
    """Configurations in this space; hyperparameters it does not have are left out; a failure is the worst."""
    configs: tuple[Config, ...] = ({"x": 0.1, "y": 0.2, "z": 3}, {"x": 2.0, "y": 0.2}, {"x": 0.1}, {"x": 0.3, "y": 0.4})
    kept, values = inside(PastStudy("t", Direction.MINIMIZE, configs, (1.0, 2.0, 3.0, None)), SPACE)
    assert kept == [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}]
    assert values.tolist() == [-1.0, -3.0]
    assert inside(PastStudy("t", Direction.MINIMIZE, configs, (None,) * 4), SPACE)[0] == []


def test_without_a_usable_past_study_it_is_silent() -> None:
    other = PastStudy("t", Direction.MAXIMIZE, ({"a": 1.0},) * 20, tuple(map(float, range(20))))
    flat = PastStudy("t", Direction.MAXIMIZE, ({"x": 0.5, "y": 0.5},) * 20, (1.0,) * 20)
    assert TransferAdvisor([]).advise(SPACE, [], Direction.MAXIMIZE, seed=0) == []
    assert TransferAdvisor([other, flat]).advise(SPACE, [], Direction.MAXIMIZE, seed=0) == []


def test_it_speaks_after_a_stated_default_and_before_a_midpoint() -> None:
    advisors = with_advisor(default_advisors(), TransferAdvisor([]))
    assert [a.name for a in advisors][:3] == ["default", "transfer", "bayes"]
    assert [a.name for a in in_order(advisors, SPACE)] == [a.name for a in advisors]
    bare = Space({"x": Float(0.0, 1.0)})
    assert [a.name for a in in_order(advisors, bare)][:3] == ["transfer", "default", "bayes"]


@pytest.mark.parametrize("unlike", [lambda points: -peak(0.2, 0.8)(points), lambda points: points.sum(axis=1)])
def test_a_task_unlike_the_past_ones_makes_it_silent(unlike: Values) -> None:
    """A valley where they have a peak, and a slope."""
    points, values = studied(unlike, n=12, seed=4)
    assert Transfer(PAST, points, values, np.random.default_rng(0)).unlike > 0.9
    trials = [
        complete(i, {"x": float(x), "y": float(y)}, float(v))
        for i, ((x, y), v) in enumerate(zip(points, values, strict=True))
    ]
    advisor = TransferAdvisor([past_study(v, i) for i, v in enumerate(PEAKS)])
    assert advisor.advise(SPACE, trials, Direction.MAXIMIZE, seed=0) == []
    assert "little to do with" in advisor.silence
    assert advisor.advise(SPACE, trials[:1], Direction.MAXIMIZE, seed=0)
    assert advisor.silence == ""


def ripples(seed: int) -> Values:
    """Waves of a direction and a length of their own."""
    x, y, start = np.random.default_rng(seed).normal(0, 4, 3)
    return lambda points: np.asarray(np.sin(x * points[:, 0] + y * points[:, 1] + start))


def test_past_studies_that_go_different_ways_are_left_aside() -> None:
    """But for those of this very task."""
    past = [past_study(ripples(i), i) for i in range(6)]
    assert TransferAdvisor(past).usable(SPACE) == past
    assert TransferAdvisor(past).left_aside(SPACE) == past
    assert TransferAdvisor(past).advise(SPACE, [], Direction.MAXIMIZE, seed=0) == []
    assert TransferAdvisor([*past, replace(past[0], same=True)]).left_aside(SPACE) == past


def agreed(values: Sequence[Values], n: int = 40) -> Agreement:
    return agreement(PastTasks(*zip(*[studied(v, n, i) for i, v in enumerate(values)], strict=True)))


def luck(seed: int) -> Values:
    return lambda points: np.random.default_rng(seed).random(len(points))


def test_how_much_past_tasks_agree() -> None:
    """From 0 for waves of ways of their own to 1 for equal peaks; a flat task agrees with none."""
    assert agreed([PEAKS[0], PEAKS[0]]).others > 0.9
    assert abs(agreed([*map(ripples, range(20))]).others) < 0.1
    assert agreed([PEAKS[0], lambda points: np.ones(len(points))]).others == 0.0
    with pytest.raises(ValueError, match="at least two past tasks"):
        agreed([PEAKS[0]])


def test_few_trials_leave_more_doubt_and_luck_tells_nothing_of_itself() -> None:
    waves = [*map(ripples, range(6))]
    assert agreed(waves, 10).error > 0.25 / 6**0.5 > agreed(waves, 100).error  # that of rankings of ten by chance
    assert agreed(waves).itself > 0.5 > 0.2 > agreed([*map(luck, range(6))]).itself


def test_what_other_trials_say_of_one_is_said_without_it() -> None:
    points, values = studied(PEAKS[0], 12)
    whole = PastTasks([points], [values])
    rest = GaussianProcessRegressor(whole.kernel, optimizer=None).fit(points[1:], whole.scores[0][1:])
    assert whole.left_out()[0][0] == pytest.approx(rest.predict(points[:1])[0])


def test_past_studies_that_tell_nothing_of_themselves_are_not_left_aside_for_it() -> None:
    """Seen on TaskSet: of studies of 20 trials most would have been left aside, which cost 0.4 of regret."""
    studies = [past_study(luck(i), i, n=20) for i in range(6)]
    assert TransferAdvisor(studies).left_aside(SPACE) == []


def proposed(past: Sequence[PastStudy]) -> set[tuple[tuple[str, str], ...]]:
    """What is proposed after four trials, by `Space.key`."""
    points, values = studied(PEAKS[0], 4, seed=9)
    trials = [
        complete(i, {"x": float(x), "y": float(y)}, float(v))
        for i, ((x, y), v) in enumerate(zip(points, values, strict=True))
    ]
    found = TransferAdvisor(past).advise(SPACE, trials, Direction.MAXIMIZE, seed=0, n=3)
    return {SPACE.key(candidate.config) for candidate in found}


def test_where_past_trials_tell_nothing_of_each_other_only_what_was_tried_is_proposed() -> None:
    """Seen on TaskSet, whose good configurations lie alone on a plain: what lay between them was no good."""
    blind = [past_study(lambda p, i=i: peak(0.3, 0.6)(p) + 2 * luck(i)(p), i) for i in range(6)]
    tried = {SPACE.key(config) for study in blind for config in study.configs}
    assert len(proposed(blind)) == 3
    assert proposed(blind) <= tried
    assert not proposed(blind[:4]) <= tried  # too few studies to judge
    assert not proposed([*blind, replace(blind[0], same=True)]) <= tried  # this very task would be tried over again
    plain = [past_study(PEAKS[0], i) for i in range(6)]
    assert not proposed(plain) <= {SPACE.key(config) for study in plain for config in study.configs}


@pytest.mark.parametrize("count", [1, 2, 6])
def test_past_studies_that_go_together_or_one_alone_are_not_left_aside(count: int) -> None:
    past = [past_study(peak(0.2 + i / 50, 0.8), i) for i in range(count)]
    assert TransferAdvisor(past).left_aside(SPACE) == []


def test_a_task_like_the_past_ones_is_seen_to_be() -> None:
    points, values = studied(peak(0.3, 0.7), n=12, seed=4)
    assert Transfer(PAST, points, values, np.random.default_rng(0)).unlike < 0.1


def test_on_a_plain_what_was_tried_goes_on_and_leaves_each_third_turn_to_others_once_nothing_comes_of_it() -> None:
    """So that a past that agrees on what is wrong cannot keep a study to itself."""
    blind = TransferAdvisor([past_study(lambda p, i=i: peak(0.3, 0.6)(p) + 2 * luck(i)(p), i) for i in range(6)])
    flat = [complete(i, {"x": i / 20, "y": 0.5}, float(i == 0)) for i in range(15)]
    asked = {n: blind.advise(SPACE, flat[:n], Direction.MAXIMIZE, seed=n) for n in range(15)}
    assert [n for n, made in asked.items() if not made] == [6, 9, 12]
    assert blind.silence == ""


def again(values: Values, n: int = 10, seed: int = 0) -> TransferAdvisor:
    """What knows an earlier study of the very task alone."""
    return TransferAdvisor([replace(past_study(values, seed, n=n), same=True)])


def test_earlier_trials_of_the_very_task_count_like_the_study_s_own() -> None:
    """Its best is tried first; then a search goes on from all, and tries nothing that was tried before."""
    before = past_study(peak(0.3, 0.7), n=10)
    done = run(again(peak(0.3, 0.7)), peak(0.3, 0.7), 6)
    assert done[0].value == max(v for v in before.values if v is not None)
    assert not {SPACE.key(trial.config) for trial in done[1:]} & {SPACE.key(config) for config in before.configs}
    assert max(t.value for t in done[1:] if t.value is not None) > done[0].value / 2  # half as far from the peak
    found = again(peak(0.3, 0.7)).advise(SPACE, done, Direction.MAXIMIZE, seed=0)
    assert "10 earlier trials of this very task and 6 trials of this one" in found[0].reason


def test_of_a_long_earlier_study_the_best_and_some_of_the_rest_are_looked_at() -> None:
    past = read_past([replace(past_study(PEAKS[0], n=300), same=True)], SPACE)
    assert past is not None
    assert past.own is not None
    assert len(past.own.values) == OWN_BEST + OWN_REST
    best, rest = past.own.values[:OWN_BEST], past.own.values[OWN_BEST:]
    assert best.min() >= rest.max()
    assert rest.min() == min(v for v in past_study(PEAKS[0], n=300).values if v is not None)


def test_where_other_tasks_go_different_ways_the_very_task_speaks_alone() -> None:
    waves = [past_study(ripples(i), i) for i in range(6)]
    past = read_past([*waves, replace(past_study(ripples(7), 7), same=True)], SPACE)
    assert past is not None
    assert past.tasks is None
    assert past.own is not None


def test_beside_other_tasks_the_very_task_is_one_of_them() -> None:
    past = read_past([past_study(PEAKS[0], 1), replace(past_study(PEAKS[1], 2), same=True)], SPACE)
    assert past is not None
    assert past.tasks is not None
    assert (past.tasks.surrogates.count, past.tasks.tells) == (2, True)


def after_the_default(before: Values, now: Values, n: int, seed: int = 0) -> list[Trial]:
    """A study of a task that was `before` what it may be `now` no more; both began with the default."""
    centre = np.array([[0.5, 0.5]])
    known = past_study(before, seed, n=10)
    values = (*known.values, float(before(centre)[0]))
    past = replace(known, configs=(*known.configs, SPACE.default()), values=values, same=True)
    return run(TransferAdvisor([past]), now, n, [complete(0, SPACE.default(), float(now(centre)[0]))])


@pytest.mark.parametrize("seed", range(4))
def test_a_study_of_the_very_task_is_not_taken_for_another_while_default_and_best_come_out_as_before(seed: int) -> None:
    """Ten trials make a rough surrogate: what it gets wrong is no sign that the task has changed."""
    assert len(after_the_default(ripples(seed), ripples(seed), 12, seed)) == 12


def test_a_very_task_that_has_changed_makes_it_silent() -> None:
    done = after_the_default(peak(0.3, 0.7), lambda points: -peak(0.3, 0.7)(points), 12)
    assert 3 <= len(done) < 12


def test_where_every_trial_fails_it_ends_with_what_was_tried_before() -> None:
    """Nothing is known of this task then, so there is nothing to search by."""
    grid = tuple({"x": i / 9, "y": 0.5} for i in range(10))
    rng = np.random.default_rng(0)
    for tasks in (1, 6):  # six of noise tell nothing of their own trials
        past = [PastStudy(f"{i}", Direction.MAXIMIZE, grid, tuple(rng.random(10))) for i in range(tasks)]
        advisor, done = TransferAdvisor(past), [failed(0, {"x": 0.5, "y": 0.5})]
        while found := advisor.advise(SPACE, done, Direction.MAXIMIZE, seed=len(done)):
            done.append(failed(len(done), found[0].config))
        assert {SPACE.key(trial.config) for trial in done[1:]} == {SPACE.key(config) for config in grid}


def test_one_trial_is_not_told_as_several() -> None:
    advisor = again(peak(0.3, 0.7))
    (found,) = advisor.advise(SPACE, run(advisor, peak(0.3, 0.7), 1), Direction.MAXIMIZE, seed=0)[:1]
    assert "and 1 trial of this one expect" in found.reason
