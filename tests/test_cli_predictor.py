"""`luthier predictor train`, `evaluate`, `predict`, `explain` and `card` as a user meets them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_predictor_sources import tuned

from luthier import cli, predictor_train
from luthier.models import embedder as embedders
from luthier.models.errors import ModelMissing
from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor.log_line import our_line
from luthier.predictor.own_logs import write_logs
from luthier.predictor.testing import generated
from luthier.predictor_train import kept_folder

Run = Callable[..., tuple[int, str, str]]
TASK = "What is 3 + 4?"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with logs, and a predictor trained on them with an embedder that counts words."""
    place = tmp_path_factory.mktemp("predictor-home")
    write_logs(generated(30, 10), place / "predictor" / "logs" / "sums.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_HOME", str(place))
        patch.setattr(embedders, "open_embedder", _words)
        assert _main(patch, "train", "--folds", "2") == 0
    return place


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in a copy of that home; (exit code, standard output, standard error)."""
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setattr(embedders, "open_embedder", _words)

    def command(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = _main(monkeypatch, *args)
        return (code, *capsys.readouterr())

    return command


def _main(patch: pytest.MonkeyPatch, *args: str) -> int:
    patch.setattr(sys, "argv", ["luthier", "predictor", *args])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def _words(spec: str | None = None) -> HashEmbedder | None:
    return None if spec == "none" else HashEmbedder(16)


def _missing(spec: str | None = None) -> None:
    raise ModelMissing("minilm-l6 is not on this machine yet; run: luthier models pull minilm-l6")


def home_of(run: Run) -> Path:
    return Path(os.environ["LUTHIER_HOME"]) / "predictor"


def flow(path: Path, **changes: Any) -> str:
    """A file with a workflow."""
    logs = generated()
    line = our_line((logs.workflows[3], logs.tasks[1], 5, 2))
    path.write_text(json.dumps({**line, **changes}))
    return str(path)


def test_training_reports_beside_the_baselines_and_writes_a_checkpoint(run: Run) -> None:
    code, out, err = run("train", "--name", "mine", "--folds", "2")
    assert code == 0
    for word in ("majority", "suite mean", "Rasch", "luthier", "AUC", "the best baseline", "150 pairs"):
        assert word in out
    assert "evaluating split task" in err
    assert (home_of(run) / "mine.pt").exists()
    assert not kept_folder(home_of(run) / "mine.pt").exists()


def test_training_on_a_folder_of_ones_own_gives_json_with_every_figure(run: Run, tmp_path: Path) -> None:
    write_logs(generated(8, 6), tmp_path / "mine" / "a.jsonl.gz")
    code, out, _ = run("train", str(tmp_path / "mine"), "--out", str(tmp_path / "x.pt"), "--folds", "2", "--json")
    told = json.loads(out)
    assert (code, told["checkpoint"]) == (0, str(tmp_path / "x.pt"))
    assert told["card"]["counts"] == {"workflows": 6, "graphs": 6, "tasks": 8, "pairs": 24, "runs": 120}
    assert {f["split"] for f in told["card"]["figures"]} == {"pair", "task", "workflow"}
    simple = {"majority", "suite mean", "Rasch", "logistic", "boosting"}
    assert {f["model"] for f in told["card"]["figures"]} >= {"luthier", *simple}


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("mine", "mine: a checkpoint's file must end in .pt, or --model cannot find it; name it mine.pt"),
        ("folder.pt", "folder.pt: a checkpoint must be a file that can be written, but a folder is there"),
        (
            "file/mine.pt",
            "file/mine.pt: a checkpoint must be a file that can be written, but the system says: Not a directory",
        ),
        (
            "file/deep/mine.pt",
            "file/deep/mine.pt: a checkpoint must be a file that can be written, but the system says: Not a directory",
        ),
        (f"{'a' * 300}.pt", "but the system says: File name too long"),
    ],
)
def test_a_place_that_cannot_hold_a_checkpoint_is_refused_before_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str
) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(predictor_train, "train", None)
    code, _, err = run("train", "--out", str(tmp_path / out), "--no-evaluate")
    assert code == 2
    assert said in " ".join(err.split())
    assert ".part" not in err


def test_a_place_without_leave_to_write_is_refused_before_training(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the kernel's, where not even root may write."""
    monkeypatch.setattr(predictor_train, "train", None)
    code, _, err = run("train", "--out", "/proc/mine.pt", "--no-evaluate")
    assert (code, "/proc/mine.pt: a checkpoint must be a file that can be written" in err) == (2, True)


def test_training_twice_is_the_same(run: Run, tmp_path: Path) -> None:
    told = []
    for name in ("a", "b"):
        _, out, _ = run("train", "--name", name, "--folds", "2", "--seed", "3", "--json")
        told.append(json.loads(out)["card"])
    assert told[0]["figures"] == told[1]["figures"]
    assert told[0]["data_hash"] == told[1]["data_hash"]


def test_without_an_embedder_it_says_so_once_and_trains_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "open_embedder", _missing)
    code, _, err = run("train", "--name", "bare", "--no-evaluate")
    assert code == 0
    assert err.count("luthier models pull minilm-l6") == 1
    code, out, _ = run("card", "--model", "bare")
    assert "reads no texts" in out
    assert "was not evaluated" in out
    assert run("predict", "sums-0", "0", "--model", "bare")[0] == 0


def test_asking_without_the_embedder_says_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "open_embedder", _missing)
    code, out, err = run("predict", "sums-0", TASK)
    assert (code, out) == (2, "")
    assert "luthier models pull minilm-l6" in err


def test_finished_folds_and_embedded_texts_are_not_done_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from luthier.predictor.ability import Ability

    fits = []
    whole = Ability.fit

    def stopped(self: Ability, *args: Any) -> Ability:
        fits.append(self.name)
        if len(fits) == 7:
            raise KeyboardInterrupt
        return whole(self, *args)

    monkeypatch.setattr(Ability, "fit", stopped)
    code, _, err = run("train", "--name", "slow", "--folds", "3")
    assert code == 130
    assert "the same command goes on" in err
    assert not (home_of(run) / "slow.pt").exists()
    monkeypatch.setattr(embedders, "open_embedder", lambda spec=None: _Once())
    fits = [""] * 7
    assert run("train", "--name", "slow", "--folds", "3")[0] == 0
    assert len(fits) - 7 == 3 * 3 * 2 - 6 + 1  # three splits of three folds and two models; all but six; and the end
    _, resumed, _ = run("card", "--model", "slow", "--json")
    assert run("train", "--name", "quick", "--folds", "3")[0] == 0
    _, fresh, _ = run("card", "--model", "quick", "--json")
    assert json.loads(resumed)["figures"] == json.loads(fresh)["figures"]


class _Once(HashEmbedder):
    """Has embedded everything already."""

    def __init__(self) -> None:
        super().__init__(16)

    def embed(self, texts: Any) -> np.ndarray:
        raise AssertionError(f"embedded again: {texts}")


def test_a_question_is_answered_with_an_interval(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("predict", flow(tmp_path / "w.json"), TASK)
    assert code == 0
    assert "95 % interval" in out
    assert "the task was never run" in out or "features alone speak" in out
    for told in (
        json.loads(run("predict", "sums-0", TASK, "--json")[1]),
        json.loads(run("predict", "sums-0", "0", "--json")[1]),
    ):
        assert 0 <= told["low"] < told["probability"] < told["high"] <= 1
        assert (told["abstains"], told["suite"]) == (False, "sums")


def test_a_known_task_is_known_by_its_id_its_words_or_a_file_with_them(run: Run, tmp_path: Path) -> None:
    text = generated(30, 10).tasks[4].text
    (tmp_path / "task.txt").write_text(text + "\n")
    answers = [run("predict", "sums-0", asked, "--json")[1] for asked in ("4", text, f"@{tmp_path / 'task.txt'}")]
    assert answers[0] == answers[1] == answers[2]
    assert "known from the logs" in answers[0]


def test_it_abstains_in_words_on_another_suite(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("predict", "planner-critic", "Tune val_loss of train.py", "--llm", "qwen")
    assert code == 0
    assert "abstains, as it was not trained on suite 'tuning' (known: sums, words" in out
    told = json.loads(run("predict", "planner-critic", TASK, "--suite", "sums", "--json")[1])
    assert not told["abstains"]


def test_many_pairs_at_once(run: Run, tmp_path: Path) -> None:
    logs = generated(30, 10)
    lines = [our_line((logs.workflows[0], logs.tasks[t], 1, 1)) for t in range(6)]
    for line in lines:
        del line["label"], line["runs"], line["successes"]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    told = json.loads(run("predict", str(file), "--json")[1])
    single = [json.loads(run("predict", "sums-0", str(t), "--json")[1]) for t in (0, 4)]
    assert [told[0]["probability"], told[4]["probability"]] == pytest.approx([one["probability"] for one in single])
    code, out, _ = run("predict", str(file))
    assert (code, out.count("sums-0")) == (0, 6)


@pytest.mark.parametrize("suite", ["", "sums"])
def test_a_few_runs_of_a_new_workflow_move_its_estimate(run: Run, tmp_path: Path, suite: str) -> None:
    old = generated().workflows[3]
    words = {str(i): f"a step of its own, {text}" for i, text in enumerate(old.nodes)}
    new = flow(tmp_path / "w.json", nodes=words, workflow_id="new")
    line = json.loads((tmp_path / "w.json").read_text())
    asked = ("predict", new, TASK, "--json", *(("--suite", suite) if suite else ()))
    before, after = json.loads(run(*asked)[1]), {}
    for won in (0, 5):
        probes = [{**line, "task_id": f"p{i}", "task": f"What is {i}?", "runs": 5, "successes": won} for i in range(3)]
        (tmp_path / "probes.jsonl").write_text("\n".join(map(json.dumps, probes)))
        after[won] = json.loads(run(*asked, "--probes", str(tmp_path / "probes.jsonl"))[1])
    assert after[0]["probability"] < before["probability"] < after[5]["probability"]
    assert "15 probe runs of it count too" in after[0]["why"]


def test_the_tasks_worth_probing_are_of_the_suite_and_the_best_come_first(run: Run, tmp_path: Path) -> None:
    new = flow(tmp_path / "w.json", workflow_id="new")
    told = json.loads(run("probes", new, "--suite", "sums", "--count", "3", "--json")[1])
    assert [one["worth"] for one in told] == sorted((one["worth"] for one in told), reverse=True)
    assert len({one["task"] for one in told}) == 3
    assert all(int(one["task"]) % 2 == 0 and 0 < one["worth"] <= 0.25 for one in told)  # `sums` has the even ones
    code, out, _ = run("probes", new, "--suite", "sums")
    assert code == 0
    assert told[0]["words"][:10] in out
    code, _, said = run("probes", new, "--suite", "letters")
    assert code == 2
    assert "the logs have 0 tasks of 'letters'" in said


def test_parts_sum_to_the_logit_and_each_step_is_told(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("explain", "sums-0", "4", "--json")[1])
    assert sum(part["value"] for part in told["parts"]) == pytest.approx(told["logit"])
    assert len(told["steps"]) == len(generated(30, 10).workflows[0].nodes)
    code, out, _ = run("explain", flow(tmp_path / "w.json"), TASK)
    assert code == 0
    for word in ("task difficulty", "workflow ability", "(unseen)", "sum", "adds"):
        assert word in out


def test_the_card_is_markdown_and_json(run: Run) -> None:
    code, out, _ = run("card")
    assert code == 0
    assert "# Predictor predictor" in out
    assert "## What it cannot do" in out
    told = json.loads(run("card", "--json")[1])
    assert told["embedder"] == "hash-16"
    assert all(figure["value"] is None or np.isfinite(figure["value"]) for figure in told["figures"])


def test_evaluating_by_any_split(run: Run) -> None:
    code, out, _ = run("evaluate", "--splits", "task,suite", "--folds", "2", "--json")
    assert code == 0
    assert {figure["split"] for figure in json.loads(out)["figures"]} == {"task", "suite"}


def test_a_checkpoint_is_tried_on_other_logs_and_never_on_its_own(run: Run, tmp_path: Path) -> None:
    checkpoint = str(home_of(run) / "predictor.pt")
    code, _, err = run("evaluate", checkpoint)
    assert code == 2
    assert "other logs than those it learnt from" in err
    write_logs(generated(40, 14), tmp_path / "new.jsonl")
    code, out, _ = run("evaluate", checkpoint, "--on", str(tmp_path / "new.jsonl"), "--json")
    assert code == 0
    assert {figure["model"] for figure in json.loads(out)["figures"]} == {"luthier"}


def test_logs_that_are_too_small_for_a_split_are_still_learnt_from(run: Run, tmp_path: Path) -> None:
    logs = generated(6, 2)
    write_logs(logs.take(logs.workflow == 0), tmp_path / "one.jsonl")
    code, out, _ = run("train", str(tmp_path / "one.jsonl"), "--name", "small.pt")
    assert code == 0
    assert "workflow cannot be evaluated: it takes more than one workflow" in out
    assert json.loads(run("card", "--model", "small", "--json")[1]) == json.loads(
        run("card", "--model", "small.pt", "--json")[1]
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("predict", "sums-99", TASK), "did you mean 'sums-"),
        (("predict", "planer-critic", TASK), "did you mean 'planner-critic'?"),
        (("predict", "nothing.json", TASK), "check the path"),
        (("predict", "sums-0", "@nothing.txt"), "check the path"),
        (("predict", "sums-0", TASK, "--model", "other"), "luthier predictor train"),
        (("card", "--model", "nowhere.pt"), "luthier predictor train"),
        (("train", "nowhere"), "check the path"),
        (("train", "--name", "../x"), "--name"),
        (("evaluate", "--splits", "pairs"), "pair, task, workflow, suite"),
        (("evaluate", "--on", "other.jsonl"), "--on takes logs for a checkpoint"),
        (("evaluate", "mine.pt", "--splits", "task"), "--splits is for logs"),
        (("evaluate", "mine.pt", "--folds", "3"), "--folds is for logs"),
        (("train", "--name", "mine", "--out", "mine.pt"), "leave out --name mine"),
        (("predict", "pairs.jsonl"), "check the path"),
        (("predict", "sums-0"), "name a task"),
    ],
)
def test_what_cannot_be_done_is_one_message(run: Run, args: tuple[str, ...], said: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_cycle_that_no_decision_leaves_is_refused_where_it_is_asked_about(run: Run, tmp_path: Path) -> None:
    ring = {"nodes": {"0": "a", "1": "b"}, "operators": [], "models": [], "conditional": [], "edge_type": []}
    file = flow(tmp_path / "w.json", **ring, edge_index=[[0, 1], [1, 0]])
    for asked in ((file, TASK), (file,)):
        code, out, err = run("predict", *asked)
        assert (code, out) == (2, "")
        assert "w.json" in err
        assert "0 -> 1 -> 0 has none" in " ".join(err.split())


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"nodes": {"0": "a"}}', '{"nodes": {}, "edge_index": []}'])
def test_a_file_that_is_no_workflow_is_one_message(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "w.json").write_text(text)
    code, out, err = run("predict", str(tmp_path / "w.json"), TASK)
    assert (code, out) == (2, "")
    assert "w.json" in err


def test_without_anything_it_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path))
    assert _main(monkeypatch, "train") == 2
    assert "luthier predictor import SOURCE" in capsys.readouterr().err


def test_ctrl_c_loses_nothing(tmp_path: Path) -> None:
    """A real process, a real signal, while folds are evaluated."""
    write_logs(generated(120, 30, runs=2), tmp_path / "logs.jsonl")
    command = [sys.executable, "-m", "luthier", "predictor", "train", "logs.jsonl", "--embedder", "none"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    env = {**os.environ, "LUTHIER_HOME": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=env, text=True, **pipes) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "predictor").glob("*.folds/*/*.npy")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "the same command goes on" in err) == (130, True)
    assert "Traceback" not in err


def test_what_was_learnt_from_studies_is_known_of_their_workflows(run: Run, tmp_path: Path) -> None:
    """A built-in workflow by its name and a line of a study's log by its file are the graphs that the study logged."""
    tuned(tmp_path / "studies" / "digits", trials=5)
    assert run("train", str(tmp_path / "studies"), "--name", "own", "--no-evaluate")[0] == 0
    line = (tmp_path / "studies" / "digits" / "workflows.jsonl").read_text().splitlines()[-1]
    (tmp_path / "line.json").write_text(line)
    for asked in ("planner-critic", str(tmp_path / "line.json")):
        told = json.loads(run("predict", asked, "a new task", "--llm", "random", "--model", "own", "--json")[1])
        assert (told["suite"], told["abstains"]) == ("tuning", False)
        assert told["why"] == "the task was never run, so its features speak"
