"""Bad input: one message with the rule, the value and the remedy; exit code 2; the study untouched."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from luthier.api import tune
from luthier.trials.errors import SpecError

SCRIPT = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=1.0)
x = parser.parse_args().x
print(json.dumps({"loss": (x - 2) ** 2}))
"""

GOOD = """
name: small
run: python train.py --x {x}
metric: {name: loss, direction: minimize}
space:
  x: {float: [0.5, 4.0], default: 1.0}
budget: {trials: 2}
noise: 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "study.yaml").write_text(GOOD)
    return tmp_path


def luthier(folder: Path, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "luthier", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, **options)


CASES = {
    "malformed YAML": (("name: small", "name: [small"), ["study.yaml", "line"]),
    "unknown key": (("budget:", "budgte:"), ["budgte", "budget"]),
    "unknown range key": (("float: [0.5, 4.0]", "flaot: [0.5, 4.0]"), ["flaot", "float"]),
    "empty range": (("[0.5, 4.0], default: 1.0", "[1.0, 1.0]"), ["x", "1"]),
    "low above high": (("[0.5, 4.0]", "[4.0, 0.5]"), ["low <= high", "4", "0.5"]),
    "log range with zero": (("[0.5, 4.0]", "[0, 4.0], log: true"), ["log", "low > 0"]),
    "default outside": (("default: 1.0", "default: 9.0"), ["default", "9"]),
    "metric never reported": (("name: loss", "name: accuracy"), ["accuracy", "loss"]),
    "command not found": (("python train.py", "no-such-command"), ["no-such-command"]),
    "missing script": (("train.py", "trian.py"), ["trian.py"]),
    "placeholder without a range": (("--x {x}", "--x {x} --y {y}"), ["y"]),
    "unknown workflow": (("noise: 0", "noise: 0\nworkflow: plannr"), ["study.yaml, line 9", "plannr", "planner"]),
    "unknown model": (("noise: 0", "noise: 0\nmodel: olama:x"), ["olama", "ollama"]),
    "constraint of unknown names": (("noise: 0", 'noise: 0\nconstraints: ["z <= 2"]'), ["z", "x"]),
    "constraint that is code": (("noise: 0", "noise: 0\nconstraints: [\"__import__('os')\"]"), ["__import__"]),
}


@pytest.mark.parametrize("case", CASES)
def test_one_message_and_exit_code_two(folder: Path, case: str) -> None:
    (old, new), words = CASES[case]
    assert old in GOOD
    (folder / "study.yaml").write_text(GOOD.replace(old, new))
    done = luthier(folder, "tune", "study.yaml", *(() if "model" in case else ("--model", "none")))
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert [word for word in words if word not in done.stderr] == []
    recorded = luthier(folder, "show", "small", "--json")
    assert '"number": 0' not in recorded.stdout


def test_missing_file(folder: Path) -> None:
    done = luthier(folder, "tune", "no.yaml")
    assert done.returncode == 2
    assert "no.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_study_that_exists_with_another_space(folder: Path) -> None:
    assert luthier(folder, "tune", "study.yaml", "--model", "none").returncode == 0
    before = luthier(folder, "show", "small", "--json").stdout
    (folder / "study.yaml").write_text(GOOD.replace("[0.5, 4.0]", "[0.5, 8.0]"))
    done = luthier(folder, "tune", "study.yaml", "--model", "none")
    assert done.returncode == 2
    assert "x" in done.stderr
    assert "Traceback" not in done.stderr
    assert luthier(folder, "show", "small", "--json").stdout == before


def test_no_write_permission(folder: Path) -> None:
    blocked = folder / "file"
    blocked.write_text("a file stands where the study folder should be")
    done = luthier(folder, "tune", "study.yaml", "--model", "none", "--dir", str(blocked / "study"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_loses_nothing(folder: Path) -> None:
    assert luthier(folder, "tune", "study.yaml", "--model", "none", "--trials", "1").returncode == 0
    trial = folder / ".luthier" / "small" / "trials" / "1"
    trial.mkdir(parents=True, exist_ok=True)
    (trial / "log.txt").symlink_to("/dev/full")
    done = luthier(folder, "tune", "study.yaml", "--model", "none")
    assert done.returncode == 2, done.stderr
    assert "disk" in done.stderr
    assert "Traceback" not in done.stderr
    (trial / "log.txt").unlink()
    assert luthier(folder, "tune", "study.yaml", "--model", "none").returncode == 0


def test_an_unknown_study_names_those_that_exist(folder: Path) -> None:
    assert luthier(folder, "tune", "study.yaml", "--model", "none").returncode == 0
    done = luthier(folder, "show", "smal")
    assert done.returncode == 2
    assert "small" in done.stderr


@pytest.mark.parametrize(
    ("name", "values", "example"),
    [
        ("audits", [5, -0.1, math.nan, "many"], "audits: 0.05"),
        ("noise", [-1, 0.5], "noise: 2"),
        ("timeout", [0, -1, math.nan], "timeout: 600"),
        ("memory", [0, -1], "memory: 8"),
        ("seed", [-1], "seed: 0"),
    ],
)
def test_in_python_too_a_wrong_number_is_refused_before_anything_runs(
    name: str, values: list[Any], example: str, tmp_path: Path
) -> None:
    for value in values:
        with pytest.raises(SpecError, match=rf"`{name}` is wrong.*write it like `{example}`"):
            tune(lambda trial: 0.0, folder=tmp_path / "s", model="none", remember=False, **{name: value})
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"direction": "max"}, r"`metric.direction` is wrong.*'maximize'.*got 'max'"),
        ({"name": "../elsewhere"}, r"`name` is wrong.*got '../elsewhere'; write it like `name: digits`"),
        ({"name": ""}, r"`name` is wrong.*got ''"),
        ({"metric": ""}, r"`metric.name` is wrong.*got ''"),
    ],
)
def test_in_python_too_a_wrong_name_makes_no_folder(
    wrong: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=said):
        tune(lambda trial: 0.0, model="none", remember=False, **wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("space", [{"x": 3}, [1, 2], {"x": None}])
def test_in_python_too_a_space_is_a_mapping_of_ranges(space: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"must be a range, such as|a space must be"):
        tune(lambda trial: 0.0, space, folder=tmp_path / "s", model="none", remember=False)


def test_what_a_terminal_has_no_letter_for_ends_nothing(folder: Path) -> None:
    poor = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    kind = "parser.add_argument('--kind', choices=['süß', 'a→b'], default='süß')\nx ="
    (folder / "words.py").write_text(SCRIPT.replace("x =", kind), encoding="utf-8")
    for args in (
        ["init", "words.py", "--out", "words.yaml"],
        ["tune", "study.yaml", "--model", "none"],
        ["show", "small"],
    ):
        done = luthier(folder, *args, env=poor)
        assert done.returncode == 0, done.stderr
    assert "choice: [süß, a→b]" in (folder / "words.yaml").read_text(encoding="utf-8")
