"""The command line as a user meets it: every command has help with an example, output is whole, programs get JSON."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from luthier.cli import app
from luthier.cli_tune import unfinished
from luthier.doctor import Check, _folder, _memory
from luthier.memory.sqlite_store import SQLiteStore
from luthier.trials.records import Candidate, Cause, Direction, Failure, Outcome, State
from luthier.trials.space import Choice, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study

SCRIPT = """
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=1.0)
parser.add_argument("--wait", type=float, default=0.0)
args = parser.parse_args()
for step in range(6):
    time.sleep(args.wait / 6)
    told = {"step": step, "loss": (args.x - 2) ** 2 + 1 / (step + 1), **({"test_loss": args.x} if step == 5 else {})}
    print(json.dumps(told), flush=True)
"""
STUDY = """
name: small
run: python train.py --x {x} --wait WAIT
metric: {name: loss, direction: minimize}
space:
  x: {float: [0.5, 4.0], default: 1.0}
budget: {trials: 3}
noise: 1
"""
COMMANDS = [
    "init",
    "tune",
    "show",
    "doctor",
    "models list",
    "models pull",
    "models probe",
    *(f"predictor {name}" for name in ("train", "evaluate", "predict", "explain", "card")),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "study.yaml").write_text(STUDY.replace("WAIT", "0") + "data: {rows: 1797}\n")
    return tmp_path


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "luthier", *args]


def luthier(folder: Path, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), cwd=folder, capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_of_the_command(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert f"luthier {name.split()[0]}" in " ".join(shown.output.split())
    assert "Example:" in shown.output


def test_version() -> None:
    import luthier as package

    assert CliRunner().invoke(app, ["--version"]).output.strip() == package.__version__


def test_tune_show_and_resume(folder: Path) -> None:
    done = luthier(folder, "tune", "study.yaml", "--model", "none")
    assert done.returncode == 0, done.stderr
    for words in ("trial 0 from default", "Best: trial", "Gain over the default", "Spent: 3 trials", "report.html"):
        assert words in done.stdout
    assert "plotly" in (folder / ".luthier/small/report.html").read_text(encoding="utf-8")[:9999999]
    again = luthier(folder, "tune", "study.yaml", "--model", "none", "--trials", "4")
    assert "--confirm" not in again.stderr
    assert "3 of 4 trials done already" in again.stdout
    assert again.stdout.count(" from ") >= 1
    shown = luthier(folder, "show", "small")
    assert "Best: trial" in shown.stdout
    calls = folder / ".luthier/small/calls.jsonl"
    calls.write_bytes(b'5\n"x"\n{"trial": 1}\n\xff\n{"trial": 1')  # what cannot be read is passed over
    one = luthier(folder, "show", "small", "--trial", "1")
    calls.unlink()
    assert "configuration" in one.stdout
    assert "last lines" in one.stdout
    assert "flowchart" in luthier(folder, "show", "small", "--graph").stdout
    (task,) = json.loads(luthier(folder, "memory", "list", "--kind", "task", "--json").stdout)
    assert "features: {rows: 1797.0}" in task["content"]


def test_every_view_of_a_study_prints_json_alone_where_it_is_asked_to(tmp_path: Path) -> None:
    study = tmp_path / "s"
    _with_trials(study, [1, 2])
    for view in ((), ("--trial", "1"), ("--graph",), ("--trust",), ("--savings",)):
        shown = CliRunner().invoke(app, ["show", str(study), *view, "--json", "--html", str(tmp_path / "s.html")])
        assert json.loads(shown.stdout), view
        assert "picture: " in shown.stderr, view
    graph = json.loads(CliRunner().invoke(app, ["show", str(study), "--graph", "--json"]).stdout)
    assert graph["workflow"]["name"] == "advisors"
    assert graph["mermaid"].startswith("flowchart")


@pytest.mark.parametrize(
    ("budget", "place"),
    [
        (Budget(trials=3), "s"),
        (Budget(trials=2), "s-2"),
        (Budget(trials=9, hours=0.001), "s-2"),
        (Budget(trials=9, failures=1), "s-2"),
    ],
)
def test_another_study_begins_where_any_budget_of_the_first_is_spent(
    tmp_path: Path, budget: Budget, place: str
) -> None:
    _with_trials(tmp_path / "s", [1, 2, 3])
    assert unfinished(tmp_path / "s", budget).name == place


def test_another_study_begins_where_the_first_has_tried_all(tmp_path: Path) -> None:
    _with_trials(tmp_path / "s", [1, 2])
    assert unfinished(tmp_path / "s", Budget(trials=9)).name == "s-2"


def _with_trials(folder: Path, choices: list[int]) -> None:
    """A study that has tried 1, which failed, and 2."""
    space = Space({"x": Choice(tuple(choices))})
    with closing(Study.create(folder, name="s", space=space, metric="loss", direction=Direction.MINIMIZE)) as study:
        study.begin(0, Candidate({"x": 1}, "default"))
        study.finish(0, Outcome(State.FAILED, failure=Failure(Cause.CRASH), seconds=2.0))
        study.begin(1, Candidate({"x": 2}, "test"))
        study.finish(1, Outcome(State.COMPLETE, 1.0, {"loss": 1.0}, seconds=2.0))


def test_that_nothing_could_be_confirmed_is_said(folder: Path) -> None:
    done = luthier(folder, "tune", "study.yaml", "--model", "none", "--trials", "1", "--confirm", "1")
    assert done.returncode == 0, done.stderr
    assert "note: --confirm ran nothing: no trial came near the default" in done.stderr


def test_json_is_one_object_on_standard_output(folder: Path) -> None:
    done = luthier(folder, "tune", "study.yaml", "--model", "none", "--confirm", "2", "--json")
    summary = json.loads(done.stdout)
    assert (summary["name"], summary["trials"], summary["stopped"]) == ("small", 3, "trials")
    assert summary["gain"] == pytest.approx(summary["default_value"] - summary["best_value"])
    if summary["best_trial"]:
        assert [c["metric"] for c in summary["confirmation"]["comparisons"]] == ["loss", "test_loss"]
    assert "trial 0" in done.stderr
    shown = json.loads(luthier(folder, "show", "small", "--json").stdout, parse_constant=pytest.fail)
    assert shown["trials"][0]["trajectory"]["metrics"]["test_loss"] == [None] * 5 + [1.0]
    assert [t["number"] for t in shown["trials"]] == [0, 1, 2]
    assert shown["trials"][0]["diagnosis"]["verdict"] == "still improving"
    assert json.loads(luthier(folder, "show", "small", "--trial", "2", "--json").stdout)["number"] == 2


def test_ctrl_c_keeps_finished_trials_and_the_same_command_goes_on(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY.replace("WAIT", "3").replace("noise: 1", "noise: 0"))
    running = subprocess.Popen(
        command("tune", "study.yaml", "--model", "none"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith(b"trial 1 from"):
            break
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"the same command goes on" in errors, errors
    assert b"Traceback" not in errors
    again = luthier(folder, "tune", "study.yaml", "--model", "none", "--trials", "2")
    assert again.returncode == 0, again.stderr
    assert "1 of 2 trials done already" in again.stdout
    assert "trial 1 (attempt 2)" in again.stdout


def test_the_live_view_draws_on_a_terminal(folder: Path) -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40"}
    running = subprocess.Popen(
        command("tune", "study.yaml", "--model", "none"),
        cwd=folder,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=env,
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end closed
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    assert running.wait(timeout=60) == 0
    text = drawn.decode()
    for words in ("what the agents say", "best so far", "of 3 trials left", "Best: trial"):
        assert words in text


def test_init_drafts_a_file_that_tunes(folder: Path) -> None:
    drafted = luthier(folder, "init", "train.py", "--out", "draft.yaml")
    assert drafted.returncode == 0, drafted.stderr
    assert (folder / "draft.yaml").exists()
    refused = luthier(folder, "init", "train.py", "--out", "draft.yaml")
    assert refused.returncode == 2
    assert "--force" in refused.stderr


def test_a_narrow_terminal_shows_the_whole_name_of_a_model() -> None:
    shown = CliRunner().invoke(app, ["models", "list"], env={"COLUMNS": "60"}).output
    assert "qwen2.5-coder-1.5b " in shown
    assert "…" not in shown


def test_doctor_and_models_list_speak_json(folder: Path) -> None:
    names = [check["name"] for check in json.loads(luthier(folder, "doctor", "--json").stdout)]
    assert {"Python", "PyTorch", "sandbox", "energy", "disk", "Ollama"} <= set(names)
    rows = json.loads(luthier(folder, "models", "list", "--json").stdout)
    assert {"qwen2.5-coder-1.5b", "smollm2-135m"} <= {row["name"] for row in rows}
    wrong = luthier(folder, "models", "pull", "nonsense")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_doctor_says_where_models_and_memory_cannot_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no database, and no folder")
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("LUTHIER_MEMORY", str(tmp_path / "file"))
    folder, memory = _folder(), _memory()
    assert (folder.ok, memory.ok) == (False, False)
    assert "is no folder" in folder.found
    assert "LUTHIER_HOME" in folder.remedy
    assert str(tmp_path / "file") in memory.found
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LUTHIER_MEMORY", str(tmp_path / "memory.db"))
    assert (_folder().ok, _memory().ok) == (True, None)
    (tmp_path / "memory.db").touch()
    assert (_memory().ok, (tmp_path / "memory.db").stat().st_size) == (None, 0)
    monkeypatch.setenv("LUTHIER_MEMORY", str(tmp_path))
    assert _memory().ok is False
    monkeypatch.setenv("LUTHIER_MEMORY", str(tmp_path / "memory.db"))
    SQLiteStore(tmp_path / "memory.db").close()
    assert _memory() == Check("memory", True, f"0 notes at {tmp_path / 'memory.db'}")
    assert not (tmp_path / "home").exists()
