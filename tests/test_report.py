"""`luthier.report`, called by scripts that must start fast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import luthier
from luthier.trials.stream import Parser


def test_a_line_is_what_the_parser_reads(capfd: pytest.CaptureFixture[str]) -> None:
    luthier.report(3, val_loss=0.2)
    luthier.report(val_loss=1)
    out = capfd.readouterr().out
    assert out == '{"luthier": 1, "step": 3, "val_loss": 0.2}\n{"luthier": 1, "val_loss": 1.0}\n'
    assert [r.step for r in Parser().feed(out.encode())] == [3, None]


def test_scalars_of_libraries_are_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    luthier.report(np.int64(2), loss=np.float32(0.5), array=np.array([[1.5]]).squeeze())
    assert json.loads(capfd.readouterr().out) == {"luthier": 1, "step": 2, "loss": 0.5, "array": 1.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_reported(capfd: pytest.CaptureFixture[str], value: float) -> None:
    luthier.report(0, loss=value)
    (report,) = Parser().feed(capfd.readouterr().out.encode())
    assert str(report.metrics["loss"]) == str(value)


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(ValueError, match="at least one metric"):
        luthier.report(3)
    with pytest.raises(ValueError, match="may not be named 'step'"):
        luthier.report(step=3, loss=0.1)
    with pytest.raises(ValueError, match="whole number from 0 on"):
        luthier.report(-1, loss=0.1)
    with pytest.raises(TypeError, match="'loss' must be a number"):
        luthier.report(0, loss="low")  # type: ignore[arg-type]


def test_reporting_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import luthier; luthier.report(0, loss=1.0); "
        "print(time.perf_counter() - start); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    _, seconds, modules = out.stdout.splitlines()
    loaded = {name.split(".")[0] for name in modules.split()}
    assert not loaded & {"torch", "numpy", "optuna", "langgraph", "langchain_core", "pydantic", "yaml", "typer", "rich"}
    assert float(seconds) < 0.3
