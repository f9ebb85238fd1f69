"""The benchmark of gate 2: its figures from small runs that were made up, and what it says of absent data."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import audits  # noqa: E402
import gate  # noqa: E402
import gate_nanochat as nanochat  # noqa: E402
import worth  # noqa: E402

from luthier.predictor.derived import derived_of  # noqa: E402
from luthier.trials.records import Cause, Failure, State, Trial  # noqa: E402


def row(rng: np.random.Generator) -> dict[str, Any]:
    """A run that dies after 20 seconds where the formula says so."""
    config = nanochat.SPACE.sample(rng)
    works = config["DEPTH"] ** 2 * config["ASPECT_RATIO"] * config["DEVICE_BATCH_SIZE"] < 1e6
    return {**config, "success": works, "val_bpb": rng.random() if works else None, "wt": 300.0 if works else 20.0}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty trials of each run, one of them without hyperparameters."""
    rng = np.random.default_rng(0)
    tuners = {tuner: seeds for half in nanochat.HALVES.values() for tuner, seeds in half.items()}
    stored = {t: {s: [row(rng) for _ in range(30)] for s in ("0", "1", "2")} for t in tuners}
    stored["SMAC"]["0"][3] = {"success": False, "val_bpb": None, "wt": 4.0}
    (tmp_path / "nanochat_trials").mkdir()
    with gzip.open(tmp_path / "nanochat_trials" / "trials_public_demo.json.gz", "wt") as file:
        json.dump(stored, file)
    return tmp_path


def test_the_figures_are_a_list_that_other_programs_read(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gate.json"
    asked = ["--data", str(data), "--draws", "2", "--sizes", "20", "--methods", "formula", "--json", str(out)]
    assert gate.main(asked) == 0
    found = json.loads(out.read_text())
    assert all(list(one) == ["suite", "method", "metric", "value", "low", "high"] for one in found)
    values = {(one["suite"], one["method"], one["metric"]): one["value"] for one in found}
    assert values["nanochat", "formula after 20", "auc"] == pytest.approx(1.0)
    assert 0 < values["nanochat", "perfect gate", "seconds-saved"] < 0.2
    assert "Failures die early here" in capsys.readouterr().out


@pytest.mark.parametrize("benchmark", [gate, audits, worth])
def test_absent_data_is_one_line_and_exit_code_2(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(["--data", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_tuner_is_looked_at_while_choosing_and_reported_too() -> None:
    first, second = (nanochat.HALVES[half] for half in ("development", "report"))
    assert all(not set(first[tuner]) & set(second[tuner]) for tuner in first.keys() & second.keys())


def test_trials_without_hyperparameters_are_left_out_and_tests_are_other_tuners_trials(data: Path) -> None:
    runs = nanochat.read(data, "report")
    assert len(runs.of["SMAC"]["0"]) == 29
    for _, _, trials, tested in gate.draws(runs, 2, 20):
        assert not {id(t) for t in trials} & {id(t) for t in tested}


def test_what_a_skip_saves_and_loses() -> None:
    died = Trial(0, {}, State.FAILED, failure=Failure(Cause.OUT_OF_MEMORY), seconds=10.0)
    ran = Trial(1, {}, State.COMPLETE, value=1.0, seconds=90.0)
    found = gate.measured(np.array([0.9, 0.2, 0.9, 0.1]), [died, died, ran, ran])
    assert found["failures-skipped"] == found["good-lost"] == 0.5
    assert found["seconds-saved"] == pytest.approx(10 / 200)


def test_the_kept_features_are_usable_and_say_where_they_come_from() -> None:
    kept = json.loads(gate.FEATURES.read_text())
    assert len(derived_of([*kept["rules"], *kept["model"]], nanochat.SPACE)) > 3
    assert kept["read"]
    assert kept["sha256"]


def test_hidden_names_tell_nothing() -> None:
    rng = np.random.default_rng(1)
    rows = [row(rng) for _ in range(40)]
    trials = [nanochat._trial(i, one) for i, one in enumerate(rows)]
    found = nanochat.obfuscated(trials[:30], [t.config for t in trials[30:]], 0)
    assert found is not None
    assert found.shape == (10,)
