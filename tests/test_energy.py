"""Joules from the machine's counters, on files as the kernel writes them."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from luthier.predictor.records import WorkflowLog, WorkflowRecord
from luthier.predictor.study_logs import logged_trials
from luthier.trials.energy import Counter, Energy, Meter, read_counters, read_nvml, read_rapl
from luthier.trials.frozen import outcome_attributes, outcome_from
from luthier.trials.records import Outcome, State

AROUND = 262_143_328_850  # microjoules, of a package of today


def zone(powercap: Path, name: str, kind: str, joules: float) -> Path:
    """A zone's folder; its counter stands at so many joules."""
    folder = powercap / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "max_energy_range_uj").write_text(f"{AROUND}\n")
    (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    return folder


def test_sockets_and_their_memory_are_read_and_nothing_is_read_twice(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 10)
    zone(tmp_path, "intel-rapl:0:0", "core", 4)
    zone(tmp_path, "intel-rapl:0:1", "dram", 2)
    zone(tmp_path, "intel-rapl:1", "psys", 99)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 10)  # the same package by another way
    (tmp_path / "intel-rapl").mkdir()
    around = AROUND / 1e6
    assert read_rapl(tmp_path) == {
        "rapl:intel-rapl:0": Counter(10.0, around),
        "rapl:intel-rapl:0:1": Counter(2.0, around),
    }


def test_what_is_used_inside_the_block_is_summed(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 10)
    zone(tmp_path, "intel-rapl:1", "package-1", 7)
    with Meter(lambda: read_rapl(tmp_path)) as meter:
        zone(tmp_path, "intel-rapl:0", "package-0", 13)
        zone(tmp_path, "intel-rapl:1", "package-1", 7.5)
    assert meter.energy is not None
    assert meter.energy.joules == pytest.approx(3.5, abs=1e-6)
    assert meter.energy.measured_by == "rapl"


def test_a_counter_that_went_all_the_way_round_goes_on(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", AROUND / 1e6 - 5)
    with Meter(lambda: read_rapl(tmp_path)) as meter:
        zone(tmp_path, "intel-rapl:0", "package-0", 2)
    assert meter.energy is not None
    assert meter.energy.joules == pytest.approx(7.0, abs=1e-3)


def test_nothing_is_said_without_a_counter_or_where_one_breaks(tmp_path: Path) -> None:
    with Meter(lambda: read_rapl(tmp_path / "none")) as meter:
        pass
    assert meter.energy is None
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    with Meter(lambda: read_rapl(tmp_path)) as meter:
        (folder / "energy_uj").write_text("no number")
    assert meter.energy is None


def test_a_counter_that_goes_round_again_and_again_is_read_often_enough() -> None:
    readings = itertools.count()
    with Meter(lambda: {"rapl:0": Counter(7.0 * next(readings) % 10, 10.0)}, often=0.001) as meter:
        time.sleep(0.05)
    assert meter.energy is not None
    assert meter.energy.joules == pytest.approx(7.0 * (next(readings) - 1))


def test_whatever_this_machine_has_can_be_read() -> None:
    assert read_counters().keys() == {*read_rapl(), *read_nvml()}


def test_an_error_inside_is_passed_on(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    with pytest.raises(KeyboardInterrupt), Meter(lambda: read_rapl(tmp_path)):
        raise KeyboardInterrupt


def test_energy_is_kept_with_the_outcome_and_older_outcomes_have_none() -> None:
    outcome = Outcome(State.COMPLETE, 1.0, energy=Energy(12.5, "rapl"))
    kept = outcome_attributes(outcome, {})
    assert outcome_from(kept) == outcome
    del kept["energy"]
    assert outcome_from(kept).energy is None


@pytest.mark.parametrize("logged", [{"joules": 3.0, "measured_by": "rapl"}, None, 3.0, {"joules": "many"}, {}])
def test_energy_is_read_from_a_log_and_nonsense_is_none(tmp_path: Path, logged: object) -> None:
    log = WorkflowLog(tmp_path / "workflows.jsonl")
    facts = {"workflow_id": "advisors/1", "task_id": "digits/1", "task": "tune", "nodes": {}, "edge_index": []}
    log.append(WorkflowRecord.model_validate({**facts, "energy": logged}))
    _, trials = logged_trials(log.path)
    assert trials[0].energy == (Energy(3.0, "rapl") if logged == {"joules": 3.0, "measured_by": "rapl"} else None)
