"""Studies: what goes in comes out, a step happens once, and a folder is never harmed."""

from __future__ import annotations

import fcntl
import math
import re
from pathlib import Path

import numpy as np
import pytest
from doubles import SPACE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.trials.errors import StudyError
from luthier.trials.records import Candidate, Cause, Direction, Failure, Outcome, State, Trajectory
from luthier.trials.space import Float, Space
from luthier.trials.study import Study


def create(folder: Path, space: Space | None = SPACE) -> Study:
    return Study.create(folder, name="s", space=space, metric="loss", direction=Direction.MINIMIZE, seed=3)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return create(tmp_path / "s")


def test_a_new_study_is_empty_and_starts_at_zero(study: Study) -> None:
    assert (study.trials, study.best, study.default, study.noise) == ([], None, None, [])
    assert study.next_number() == 0
    assert (study.name, study.metric, study.direction, study.seed) == ("s", "loss", Direction.MINIMIZE, 3)
    assert study.space == SPACE


names = st.text("abcdefg_", min_size=1, max_size=8)
values = st.floats(width=64)
outcomes = st.builds(
    Outcome,
    state=st.sampled_from([State.COMPLETE, State.PRUNED]),
    value=st.floats(-1e9, 1e9),
    metrics=st.dictionaries(names, values, max_size=3),
    trajectory=st.lists(values, max_size=5).map(lambda v: Trajectory(tuple(range(len(v))), {"loss": tuple(v)})),
    seconds=st.floats(0, 1e6),
    isolation=st.sampled_from(["bubblewrap", "watchdog"]),
) | st.builds(Outcome, state=st.just(State.FAILED), failure=st.builds(Failure, st.sampled_from(Cause), st.text()))


@given(outcome=outcomes, reason=st.text(max_size=40))
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
def test_what_goes_in_comes_out_of_another_study_object(
    tmp_path_factory: pytest.TempPathFactory, outcome: Outcome, reason: str
) -> None:
    folder = tmp_path_factory.mktemp("study") / "s"
    study = create(folder)
    candidate = Candidate(SPACE.default(), "gp", reason)
    study.begin(0, candidate, best_before=None)
    study.finish(0, outcome, tokens=7)
    study.close()
    (trial,) = Study.open(folder).trials
    assert (trial.config, trial.source, trial.reason) == (candidate.config, "gp", reason)
    assert (trial.state, trial.value, trial.failure) == (outcome.state, outcome.value, outcome.failure)
    assert repr((trial.metrics, trial.trajectory)) == repr((outcome.metrics, outcome.trajectory))  # nan is not nan
    assert (trial.seconds, trial.isolation) == (outcome.seconds, outcome.isolation)
    assert trial.extra == {"best_before": None, "tokens": 7}


def test_a_finished_trial_stays_as_it_is(study: Study) -> None:
    study.begin(0, Candidate(SPACE.default(), "default"))
    study.finish(0, Outcome(State.COMPLETE, 1.0, {"loss": 1.0}))
    study.finish(0, Outcome(State.COMPLETE, 9.0, {"loss": 9.0}))
    assert study.trials[0].value == 1.0
    with pytest.raises(StudyError, match="must not be finished"):
        study.begin(0, Candidate(SPACE.default(), "default"))


def test_a_running_trial_is_the_next_and_begins_its_next_attempt(study: Study, tmp_path: Path) -> None:
    study.begin(0, Candidate(SPACE.default(), "default"))
    again = Study.open(tmp_path / "s")
    assert again.next_number() == 0
    assert again.begin(0, Candidate({"lr": 0.1}, "other")).attempt == 1
    assert again.trials[0].config == SPACE.default()  # as first proposed
    again.finish(0, Outcome(State.COMPLETE, 1.0))
    assert (again.next_number(), again.trials[0].attempt) == (1, 1)


def test_trials_begin_in_order(study: Study) -> None:
    with pytest.raises(StudyError, match="the next is 0, but got 5"):
        study.begin(5, Candidate(SPACE.default(), "default"))


@pytest.mark.parametrize("direction", Direction)
def test_best_follows_the_direction_and_the_earliest_of_equals(tmp_path: Path, direction: Direction) -> None:
    study = Study.create(tmp_path / "s", name="s", space=SPACE, metric="loss", direction=direction)
    for number, value in enumerate((2.0, 1.0, 3.0, 1.0, 3.0)):
        study.begin(number, Candidate(SPACE.default(), "test"))
        study.finish(number, Outcome(State.COMPLETE, value))
    assert study.best is not None
    assert study.best.number == (1 if direction is Direction.MINIMIZE else 2)


def test_a_pruned_or_failed_trial_is_never_the_best(study: Study) -> None:
    study.begin(0, Candidate(SPACE.default(), "test"))
    study.finish(0, Outcome(State.PRUNED, -1.0))
    study.begin(1, Candidate(SPACE.default(), "test"))
    study.finish(1, Outcome(State.FAILED, failure=Failure(Cause.NAN)))
    assert study.best is None
    assert study.failures == 1


def test_noise_and_seconds_add_up(study: Study) -> None:
    study.begin(0, Candidate(SPACE.default(), "default"))
    study.finish(0, Outcome(State.COMPLETE, 1.0, seconds=2.0))
    study.add_noise(1.5, 3.0)
    study.add_noise(math.pi)
    assert study.noise == [1.5, math.pi]
    assert study.seconds == 5.0


def test_annotations_merge_and_can_say_what_was_really_used(study: Study) -> None:
    study.begin(0, Candidate(SPACE.default(), "default", "why"), a=1)
    study.annotate(0, config={"lr": 0.5}, b=2)
    assert (study.trials[0].config, study.trials[0].extra) == ({"lr": 0.5}, {"a": 1, "b": 2})
    assert study.trials[0].reason == "why"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"space": Space({"lr": Float(1e-5, 1.0, log=True, default=1e-3)})}, "'lr' was"),
        ({"space": Space(SPACE.parameters)}, "constraints"),
        ({"metric": "accuracy"}, "metric"),
        ({"direction": Direction.MAXIMIZE}, "direction"),
    ],
)
def test_another_problem_in_the_same_folder_is_refused(
    study: Study, tmp_path: Path, change: dict[str, object], word: str
) -> None:
    same = {"name": "s", "space": SPACE, "metric": "loss", "direction": Direction.MINIMIZE}
    Study.open_or_create(tmp_path / "s", **same).close()  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=word):
        Study.open_or_create(tmp_path / "s", **{**same, **change})  # type: ignore[arg-type]


def test_a_missing_and_a_corrupt_study_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"study\.db is missing"):
        Study.open(tmp_path)
    (tmp_path / "study.db").write_bytes(b"this is no database, but long enough to be looked at" * 50)
    with pytest.raises(StudyError, match="cannot be read"):
        Study.open(tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_damaged_in_a_database_is_one_message(study: Study, seed: int) -> None:
    for number in range(12):
        study.begin(number, Candidate(SPACE.default(), "test", "why " * 200))
        study.finish(number, Outcome(State.COMPLETE, 1.0, {"value": 1.0}))
    study.close()
    path, rng = study.folder / "study.db", np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for place in rng.integers(4096, len(data), 40 * len(data) // 4096):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    try:
        damaged = Study.open(study.folder)
        assert damaged.next_number() == len(damaged.trials)
    except StudyError as error:
        assert re.search(r"study\.db (cannot be read as a study|holds no study)", str(error))  # noqa: PT017


def test_two_that_make_the_same_study_at_once_make_one(tmp_path: Path) -> None:
    same = {"name": "s", "space": SPACE, "metric": "value", "direction": Direction.MINIMIZE}
    (tmp_path / "s").mkdir()
    with (tmp_path / "s" / "lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as another process does while it makes one
        with pytest.raises(StudyError, match="in use by another process"):
            Study.open_or_create(tmp_path / "s", **same)  # type: ignore[arg-type]
    assert Study.open_or_create(tmp_path / "s", **same).trials == []  # type: ignore[arg-type]


def test_one_tuner_a_study(study: Study, tmp_path: Path) -> None:
    other = Study.open(tmp_path / "s")
    with study.lock(), pytest.raises(StudyError, match="one tuner a study"), other.lock():
        pass
    with other.lock():
        pass


def test_a_study_without_a_space_grows_one(tmp_path: Path) -> None:
    study = create(tmp_path / "s", None)
    assert study.space is None
    study.grow(SPACE)
    study.begin(0, Candidate(SPACE.default(), "default"))
    assert Study.open(tmp_path / "s").space == SPACE
