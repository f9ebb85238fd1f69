"""The example that tunes the predictor: it runs anywhere, and no setting can be chosen by the test."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from luthier.predictor.testing import generated

FOLDER = Path(__file__).parents[1] / "examples" / "predictor_tuning"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("predictor_tuning", FOLDER / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_of_the_test_is_seen_while_settings_are_chosen(script: ModuleType) -> None:
    logs = generated(60, 16)
    rest, test = script.apart(logs)
    assert len(rest) + len(test) == len(logs)
    assert len(test) > 0
    new = [task not in rest.task or graph not in rest.graph for task, graph in zip(test.task, test.graph, strict=True)]
    assert all(new)
    for train, held in script.validation(rest):
        for part in (train, held):
            assert {*part.task} <= {*rest.task}
            assert {*part.graph} <= {*rest.graph}


def test_a_trial_reports_each_fold_and_then_the_test(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "train.py"), "--axes", "3", "--text", "no"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if "luthier" in line]
    assert [*lines[-1]][-1] == "test_log_loss"
    assert [line["step"] for line in lines[:-1]] == [*range(len(lines) - 1)]
    assert all("val_log_loss" in line for line in lines[:-1])
    assert (tmp_path / "logs.jsonl").exists()


@pytest.mark.slow
def test_luthier_tunes_it(tmp_path: Path) -> None:
    for name in ("train.py", "study.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    options = ["--trials", "3", "--model", "none", "--no-memory", "--json"]
    command = [sys.executable, "-m", "luthier", "tune", "study.yaml", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["best_value"] is not None
