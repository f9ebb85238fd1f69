"""Every kind of source through one door, and `luthier predictor import` and `export` as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doubles import SPACE, FunctionRunner
from logged import as_data, line
from test_aflow import CELLS, archive, workflow
from typer.testing import CliRunner

from luthier import cli
from luthier.graphs.loop import tune_study
from luthier.models.fake import RandomChat
from luthier.predictor.errors import LogFault
from luthier.predictor.flora import read_flora, write_flora
from luthier.predictor.own_logs import read_logs
from luthier.predictor.sources import read_source
from luthier.predictor.study_logs import SUITE, as_planned, read_studies
from luthier.predictor.workflow import workflow_named
from luthier.trials.records import Direction
from luthier.trials.spec import Budget
from luthier.trials.study import Study


def lines(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def tuned(folder: Path, trials: int = 4, workflow: str = "planner-critic") -> Path:
    """A folder with a real study in it."""
    study = Study.create(folder, name="digits", space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    options: dict[str, Any] = {"noise": 0, "workflow": workflow, "model": RandomChat(seed=1), "model_name": "random"}
    tune_study(study, FunctionRunner(lambda c: float(c["lr"])), budget=Budget(trials=trials), **options)
    study.close()
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own logs are neither read nor written."""
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "predictor" / "logs"


def test_the_kind_shows_from_the_files(tmp_path: Path) -> None:
    (tmp_path / "aflow").mkdir()
    sources = {
        "AFlow's archive": archive(tmp_path / "aflow", [workflow(1)], CELLS[:1]),
        "FLORA's layout": lines(tmp_path / "flora" / "Math-AF" / "val.jsonl", line()).parent.parent,
        "a study of Luthier": tuned(tmp_path / "one", 2) / "workflows.jsonl",
        "studies of Luthier": tmp_path / "one",
        "a file of lines": lines(tmp_path / "mine" / "a.jsonl", line()),
        "a folder of lines": tmp_path / "mine",
    }
    found = {name: read_source(path) for name, path in sources.items()}
    assert {name: one.kind for name, one in found.items()} == {name: name for name in sources}
    assert all(len(one.logs) == 1 and one.skipped == 0 for one in found.values())


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda folder: folder / "none", "nothing is there"),
        (lambda folder: folder, "holds none of them"),
        (lambda folder: lines(folder / "a.csv", "x"), "is none of them"),
        (lambda folder: lines(folder / "a.jsonl"), "it is empty"),
        (lambda folder: lines(folder / "a.jsonl", "{", "{"), "the first of 2 bad lines is .*line 1: "),
        (lambda folder: lines(folder / "workflows.jsonl", {**line(), "label": None}), "1 trials without a label"),
    ],
)
def test_a_source_without_a_run_is_refused(make: Any, word: str, tmp_path: Path) -> None:
    with pytest.raises(LogFault, match=word):
        read_source(make(tmp_path))


class TestStudies:
    def test_a_trial_is_a_task_with_the_plan_it_was_run_by(self, tmp_path: Path) -> None:
        found = read_source(tuned(tmp_path / "s"))
        logs = found.logs
        assert [task.id for task in logs.tasks] == ["digits/1", "digits/2", "digits/3"]  # nothing to beat at first
        assert list(found.left.values()) == [1]
        assert set(logs.suite) == {SUITE}
        assert logs.tasks[0].text == "tune loss (minimize) of digits"
        assert logs.tasks[0].context == "trial 1, best so far 0.001, 3 trials left"
        (one,) = logs.workflows
        assert "repair" in one.operators  # planned, though nothing crashed
        assert set(one.models) == {"", "random"}
        assert one.id.startswith("planner-critic/")
        records = [json.loads(text) for text in (tmp_path / "s" / "workflows.jsonl").read_text().splitlines()][1:]
        assert logs.costs[:, :2].tolist() == [[record["tokens"], record["seconds"]] for record in records]
        greedy = '{"repetition_penalty": 1.0, "temperature": 0.0, "top_k": 0, "top_p": 1.0}'
        assert set(zip(one.models, one.decoding, strict=True)) == {("", ""), ("random", greedy)}

    def test_a_workflow_is_asked_about_as_it_was_learnt_from(self, tmp_path: Path) -> None:
        logs = read_studies(tuned(tmp_path / "s", workflow="debate"))
        assert as_planned(workflow_named("debate").bound("random", {})).graph_key == logs.workflows[0].graph_key

    def test_what_really_ran_can_be_read_too(self, tmp_path: Path) -> None:
        logs = read_studies(tuned(tmp_path / "s"), executed=True)
        assert all("repair" not in one.operators for one in logs.workflows)

    def test_studies_of_one_name_stay_apart(self, tmp_path: Path) -> None:
        tuned(tmp_path / "a" / "digits", workflow="planner")
        tuned(tmp_path / "b" / "digits", workflow="debate")
        logs = read_source(tmp_path).logs
        assert {task.id.rpartition("/")[0] for task in logs.tasks} == {"a/digits/digits", "b/digits/digits"}
        assert len(logs) == 6

    def test_a_line_cut_by_a_kill_and_one_from_before_plans_were_logged(self, tmp_path: Path) -> None:
        path = tuned(tmp_path / "s") / "workflows.jsonl"
        rows = path.read_text().splitlines()
        old = {key: value for key, value in json.loads(rows[2]).items() if key not in ("planned", "skipped", "noise")}
        odd = {**json.loads(rows[3]), "planned": {"nodes": 3}}
        lines(path, rows[0], rows[1], old, odd, rows[3][:99])
        found = read_source(path)
        assert (len(found.logs), found.skipped) == (2, 2)
        assert [problem.count("\n") for problem in found.problems] == [0, 0]
        assert f"{path}, line 4: 'nodes': " in found.problems[0]
        assert f"{path}, line 5: " in found.problems[1]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "luthier", "predictor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_import_keeps_what_is_good_and_says_what_is_not(tmp_path: Path, home: Path) -> None:
    source = lines(tmp_path / "runs of mine.jsonl", line(), *["{"] * 7, line(task_id=8, task="?", label=0))
    done = run("import", source)
    assert done.returncode == 0
    assert "1 workflows (1 different graphs), 2 tasks, 2 pairs, 2 runs, 50.0 % of them successes" in done.stdout
    said = done.stderr.splitlines()
    assert said[0] == "skipped: 7 lines"
    assert f"{source}, line 2: " in said[1]
    assert said[-1] == "  and 2 more"
    assert as_data(read_logs(home / "runs-of-mine.jsonl")) == as_data(read_source(source).logs)
    again = run("import", source)
    assert (again.returncode, again.stdout) == (2, "")
    assert "--force" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert run("import", source, "--force").returncode == 0
    assert [file.name for file in home.iterdir()] == ["runs-of-mine.jsonl"]


def test_import_prints_json_for_programs(tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", line(), "{")
    done = CliRunner().invoke(
        cli.app, ["predictor", "import", str(source), "--to", str(tmp_path / "out"), "--name", "b", "--json"]
    )
    told = json.loads(done.stdout)
    assert {name: told[name] for name in ("workflows", "graphs", "tasks", "pairs", "runs", "successes", "skipped")} == {
        "workflows": 1, "graphs": 1, "tasks": 1, "pairs": 1, "runs": 1, "successes": 1, "skipped": 1,
    }  # fmt: skip
    assert told["file"] == str(tmp_path / "out" / "b.jsonl")
    assert len(told["problems"]) == 1


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a" * 101])
def test_a_name_stays_in_the_folder(name: str, tmp_path: Path, home: Path) -> None:
    source = lines(tmp_path / "a.jsonl", line())
    done = run("import", source, f"--name={name}")
    if name:
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    else:
        assert (home / "a.jsonl").exists()


def test_a_bad_source_is_one_message_and_leaves_no_file(tmp_path: Path, home: Path) -> None:
    done = run("import", lines(tmp_path / "a.jsonl", "{"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not home.exists()


def test_export_writes_what_flora_s_code_reads(tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", *(line(task_id=i, task=f"{i}?") for i in range(40)))
    done = run("export", source, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "Logs"
    assert len(read_flora(folder)) == 40
    assert {file.name for file in folder.iterdir()} == {"train.jsonl", "val.jsonl", "test.jsonl"}
    assert run("export", source, tmp_path / "out").returncode == 2


def test_studies_go_out_to_flora_and_come_back(tmp_path: Path) -> None:
    logs = read_source(tuned(tmp_path / "s")).logs
    write_flora(logs, tmp_path / "out")
    assert [task.text for task in read_flora(tmp_path / "out").tasks] == [task.text for task in logs.tasks]
