"""The picture of a study: it shows what was stored, and a long study's page stays small."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.picture import STRETCHES, draw, outline, write_picture
from luthier.trials.records import Candidate, Cause, Direction, Failure, Outcome, State, Trajectory
from luthier.trials.space import Float, Space
from luthier.trials.study import Study

SPACE = Space({"lr": Float(0.0, 1.0, default=0.5)})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "s", name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE)


def finish(study: Study, state: State, values: list[float], source: str = "bayes") -> None:
    number = study.next_number()
    study.begin(number, Candidate({"lr": number / 10}, source, "because"))
    curve = Trajectory(tuple(range(10, 10 + len(values))), {"loss": tuple(values)})
    if state is State.FAILED:
        study.finish(number, Outcome(state, trajectory=curve, failure=Failure(Cause.CRASH, "it broke")))
    else:
        study.finish(number, Outcome(state, values[-1], {"loss": values[-1]}, curve))


def test_every_value_and_curve_is_drawn_as_stored(study: Study) -> None:
    finish(study, State.COMPLETE, [3.0, 2.0, 1.0], "default")
    finish(study, State.PRUNED, [4.0, math.nan, 3.5])
    finish(study, State.FAILED, [5.0])
    finish(study, State.COMPLETE, [2.0, 0.5])
    drawn = {line.name: line for line in draw(study).data}
    points = {name: list(zip(line.x, line.y, strict=True)) for name, line in drawn.items()}
    assert points == {
        "default": [(0, 1.0)],
        "bayes": [(1, 3.5), (3, 0.5)],
        "best so far": [(0, 1.0), (3, 0.5)],
        "failed": [(2, 3.5)],
        "trial 0": [(10, 3.0), (11, 2.0), (12, 1.0)],
        "trial 1": [(10, 4.0), (12, 3.5)],
        "trial 2": [(10, 5.0)],
        "trial 3": [(10, 2.0), (11, 0.5)],
    }
    assert "lr=0.3" in drawn["trial 3"].text


def test_a_page_of_long_curves_is_hardly_larger_than_one_of_short_ones(study: Study, tmp_path: Path) -> None:
    finish(study, State.COMPLETE, [1.0, 0.9])
    short = write_picture(study, tmp_path / "short.html").stat().st_size
    finish(study, State.COMPLETE, [1 / (step + 1) for step in range(20_000)])
    assert write_picture(study, tmp_path / "long.html").stat().st_size < short + 100_000


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4 * STRETCHES))
def test_an_outline_keeps_ends_and_extremes(values: list[float]) -> None:
    points = list(enumerate(values))
    kept = outline(points)
    assert set(kept) <= set(points)
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})
    assert len(kept) <= 2 * STRETCHES + 2
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (min(v for _, v in kept), max(v for _, v in kept)) == (min(values), max(values))


def test_a_short_curve_is_drawn_whole() -> None:
    points = [(step, float(step % 7)) for step in range(2 * STRETCHES)]
    assert outline(points) == points


def test_nothing_is_an_outline_of_nothing() -> None:
    assert outline([]) == []
