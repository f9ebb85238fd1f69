"""What a terminal shows of a study: nothing runs out of the screen, whatever its size."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from doubles import complete
from rich.console import Console

import luthier
from luthier.consoles import open_console
from luthier.graphs.events import Event, Reported, Said, StudyStarted, TrialFinished, TrialStarted
from luthier.live import LiveView
from luthier.page import summary_lines
from luthier.plain import PlainView
from luthier.predictor.explain import Step
from luthier.predictor_ask import Answer
from luthier.predictor_page import print_answers, probes_table, steps_table
from luthier.predictor_probes import Probe
from luthier.summary import summary_of
from luthier.trial_table import TrialTable
from luthier.trials.records import Candidate, Config, Direction, Outcome, State, Trajectory
from luthier.trials.space import Float, Space
from luthier.trials.study import Study

METRIC = "loss[val]"
SPACE = Space({f"rate_{i}": Float(0.0, 1.0, default=0.5) for i in range(8)})
TOLD = "the turn goes to the advisors, since the model has had many turns that told nothing of what it can do " * 2
CURVE = [1.0 / (i + 1) for i in range(40)]
SIZES = [(80, 24), (100, 30), (140, 40), (200, 60)]


def config(number: int) -> Config:
    return {name: round(0.5 + 0.01 * number, 4) for name in SPACE}


def events(trials: int) -> list[Event]:
    told: list[Event] = [StudyStarted(0, trials, "embedded", "auto")]
    for number in range(trials):
        told += [TrialStarted(number, Candidate(config(number), "gp", TOLD)), Reported(number, 0, {METRIC: 1.0})]
        told += [Said(number, role, TOLD) for role in ("gate", "planner", "critic")]
        told.append(TrialFinished(complete(number, config(number), 1.0, CURVE)))
    return [*told, TrialStarted(trials, Candidate(config(trials), "bayes[1]", TOLD))]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("trials", [0, 1, 100])
def test_the_live_view_fits_the_screen_and_shows_the_running_trial(width: int, height: int, trials: int) -> None:
    console = Console(width=width, height=height, file=io.StringIO())
    view = LiveView("digits", METRIC, Direction.MINIMIZE, console)
    for event in events(trials):
        view(event)
    console.print(view.drawn())
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    assert any(line.startswith(f"{trials} ") and "bayes[1]" in line for line in shown)
    assert any(TOLD[:20] in line for line in shown)


def test_a_terminal_does_not_obey_what_a_model_says() -> None:
    """Neither in the live view, nor line by line, nor where the words come as an advisor's reason."""
    sly = "raise \x1b]0;title\x07\x1b[2Jlr\x9b31m"
    told: list[Event] = [Said(0, "planner", sly), TrialStarted(0, Candidate(config(0), "planner", sly))]
    console = Console(width=100, height=30, file=io.StringIO(), force_terminal=True, color_system=None)
    live, lines = LiveView("digits", METRIC, Direction.MINIMIZE, console), list[str]()
    plain = PlainView(METRIC, Direction.MINIMIZE, lines.append)
    for event in told:
        live(event)
        plain(event)
    console.print(live.drawn())
    shown = "\n".join([*lines, console.file.getvalue()])  # type: ignore[attr-defined]
    assert shown.count("raise") == 4
    assert not set("\x1b\x07\x9b") & set(shown)


def test_a_terminal_does_not_obey_what_a_log_says(capsys: pytest.CaptureFixture[str]) -> None:
    sly = "t1\x1b[31m\x9b2J [/x]"
    answer = Answer(sly, sly, sly, 0.5, 0.1, 0.9, 0.0, 1.0, True, sly)
    print_answers([answer], open_console())
    print_answers([answer, answer], open_console())
    open_console().print(probes_table([Probe(sly, sly, 0.5, 0.1)]), steps_table([Step(0, sly, sly, 0.5)]))
    shown = capsys.readouterr().out
    assert shown.count("t1") >= 9
    assert "[/x]" in shown
    assert not set("\x1b\x9b") & set(shown)


def tuned(folder: Path, metric: str, source: str) -> Study:
    made = Study.create(folder, name="study", space=SPACE, metric=metric, direction=Direction.MINIMIZE)
    trajectory = Trajectory(tuple(range(len(CURVE))), {metric: tuple(CURVE)})
    for number in range(3):
        made.begin(number, Candidate(config(number), source))
        made.finish(number, Outcome(State.COMPLETE, CURVE[-1] + number, trajectory=trajectory, seconds=100.0))
    return made


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return tuned(tmp_path / "study", METRIC, "gp")


@pytest.mark.parametrize(("width", "lines"), [(80, 7), (129, 7), (130, 4), (200, 4)])
def test_what_a_trial_changes_stands_beside_it_or_below(study: Study, width: int, lines: int) -> None:
    console = Console(width=width, file=io.StringIO())
    console.print(TrialTable(study))
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(shown) == lines
    assert max(map(len, shown)) <= width
    assert METRIC in shown[0]
    assert sum("rate_0 0.5→0.51" in line for line in shown) == 1


@pytest.mark.parametrize(("width", "metric"), [(60, METRIC), (80, "val_accuracy"), (90, "val_accuracy")])
def test_a_narrow_terminal_cuts_no_number_of_a_trial(tmp_path: Path, width: int, metric: str) -> None:
    console = Console(width=width, file=io.StringIO())
    console.print(TrialTable(tuned(tmp_path / "study", metric, "transfer")))
    rows = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert not any("…" in row for row in rows if not row.startswith(" "))
    assert max(map(len, rows)) <= width


def test_a_study_without_trials_has_headings_alone(tmp_path: Path) -> None:
    empty = Study.create(tmp_path / "study", name="study", space=SPACE, metric=METRIC, direction=Direction.MINIMIZE)
    console = Console(width=80, file=io.StringIO())
    console.print(TrialTable(empty))
    assert len(console.file.getvalue().splitlines()) == 1  # type: ignore[attr-defined]


def test_a_study_without_trials_names_no_log_and_no_gain(tmp_path: Path) -> None:
    empty = Study.create(tmp_path / "study", name="study", space=SPACE, metric=METRIC, direction=Direction.MINIMIZE)
    said = "\n".join(summary_lines(summary_of(empty, stopped="")))
    assert "No trial has ended yet." in said
    assert "--trial" not in said
    assert "Gain" not in said


def test_no_name_becomes_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    view = LiveView("s:x:", METRIC, Direction.MINIMIZE, open_console())
    view(StudyStarted(0, 3, "ollama:x: of mine", "auto"))
    open_console().print(view.drawn())
    open_console().print("model ollama:x: 3 tokens")
    shown = capsys.readouterr().out
    assert "s:x:" in shown
    assert shown.count("ollama:x:") == 2


def test_consoles_are_made_in_one_place() -> None:
    made = [file.name for file in Path(luthier.__file__).parent.glob("*.py") if "Console(" in file.read_text()]
    assert made == ["consoles.py"]
