"""What the gates saved, in words: pooled over the studies beside one another, and silent where no gate decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doubles import SPACE
from typer.testing import CliRunner

from luthier.cli import app
from luthier.page import summary_lines
from luthier.predictor.records import WorkflowLog, record_of
from luthier.predictor.workflow import WORKFLOWS
from luthier.savings import long_lines, savings_beside, short_lines
from luthier.summary import summary_of
from luthier.trials.records import Candidate, Direction, Outcome, State
from luthier.trials.study import Study

SKIP = {"config": {}, "source": "gp", "reason": "", "why": "it fails", "failure": 0.9, "no_win": None, "seconds": 60.0}
ASKED = {"workflow": "planner", "model": "m", "probability": 0.5, "random": False, "reason": ""}
ADVISED = {**ASKED, "workflow": "advisors", "model": "none"}
BEFORE = {"best_before": 1.0, "scale": 0.5, "noise": 0.0, "audit_rate": 0.05, "audit": None, "skips": []}
AUDIT = {**BEFORE, "audit": SKIP}


def study_of(folder: Path, *extras: dict[str, Any]) -> Study:
    """A study whose trials all ended at 1.0 after 30 s, with these facts."""
    study = Study.create(folder, name=folder.name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    log = WorkflowLog(folder / "workflows.jsonl")
    for number, extra in enumerate(extras):
        study.begin(number, Candidate(SPACE.default(), "gp"))
        study.finish(number, Outcome(State.COMPLETE, 1.0, seconds=30.0), **extra)
        facts = {**extra, "direction": "minimize", "state": "complete", "seconds": 30.0, "index": number}
        workflow = WORKFLOWS["advisors"]
        log.append(record_of(workflow, [workflow.nodes[0].id], task="t", task_id=number, value=1.0, **facts))
    return study


def show(study: Study, *options: str) -> str:
    done = CliRunner().invoke(app, ["show", str(study.folder), *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_study_without_gates_says_nothing_of_them(tmp_path: Path) -> None:
    study = study_of(tmp_path / "old", {}, {"tokens": 3})
    study_of(tmp_path / "gated", {**BEFORE, "skips": [SKIP]}).close()  # beside it
    summary = summary_of(study, stopped="")
    assert summary.savings is None
    assert not any("kipped" in line for line in summary_lines(summary))
    alone = study_of(tmp_path / "elsewhere" / "alone", {})
    assert "No gate decided anything" in show(alone, "--savings")
    assert json.loads(show(alone, "--savings", "--json"))["studies"] == 0


def test_few_audits_are_said_to_be_few(tmp_path: Path) -> None:
    study = study_of(tmp_path / "one", {**BEFORE, "skips": [SKIP, SKIP]}, AUDIT)
    summary = summary_of(study, stopped="")
    (line,) = [line for line in summary_lines(summary) if line.startswith("Skipped")]
    assert "2 candidates; training saved: 2m00s, as the gate expected; gain lost: not enough audits (1 of 60)." in line
    told = show(study, "--savings")
    assert "not enough audits (1 of 60)" in told
    assert "Energy: not measured" in told
    assert summary.as_dict()["savings"]["gate"]["gain"] is None


def test_studies_beside_one_another_are_pooled(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        study_of(tmp_path / name, *[AUDIT] * 20).close()
    study = study_of(tmp_path / "d", *[{**BEFORE, "skips": [SKIP]}] * 3)
    (tmp_path / "d" / "workflows.jsonl").unlink()  # its own facts are those of the study
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "workflows.jsonl").write_text('{"workflow_id"\n[]\n')
    found = savings_beside(study)
    assert (found.studies, found.gate.audits, found.gate.skips, found.gate.enough_audits) == (4, 60, 3, True)
    assert found.gate.seconds is not None
    assert found.gate.seconds.value == pytest.approx(90.0)  # half of what the gate expected
    (line,) = short_lines(found)
    assert (
        "3 candidates in 4 studies; training saved: 1m30s (1m30s to 1m30s); gain lost a skip: 0 of the scale (0 to 0.0"
        in line
    )
    told = json.loads(show(study, "--savings", "--json"))
    assert told["gate"]["gain"]["low"] == 0.0
    assert "what ran instead gained 0 scales in 1m30s" in "\n".join(long_lines(found))


def test_where_every_refused_candidate_ran_nothing_was_lost(tmp_path: Path) -> None:
    certain = {**AUDIT, "audit_rate": 1.0}
    study = study_of(tmp_path / "s", *[certain] * 60)
    told = show(study, "--savings")
    assert "Audits: 60 more that the gate refused ran all the same, by lot; 0 of them gained." in told
    assert "Gain lost: none, since nothing was skipped." in told
    assert "of the skipped ones" not in told
    study_of(tmp_path / "t", AUDIT, {**BEFORE, "skips": [SKIP]}).close()
    assert "not enough audits (1 of 60)" in show(study, "--savings")  # where all run, none stands for a skip


def test_each_gate_tells_the_studies_that_it_decided_in(tmp_path: Path) -> None:
    study_of(tmp_path / "a", {**BEFORE, "skips": [SKIP]}).close()
    study_of(tmp_path / "b", {**BEFORE, "skips": [SKIP]}).close()
    study_of(tmp_path / "c", {**BEFORE, "turn": ADVISED}).close()  # had no turn with a model to compare with
    asked = {**BEFORE, "turn": ASKED, "tokens": 1000, "model_seconds": 5.0}
    lines = short_lines(savings_beside(study_of(tmp_path / "d", asked, {**BEFORE, "turn": ADVISED})))
    assert lines[0].startswith("Skipped: 2 candidates in 2 studies; ")
    assert lines[1] == "Without the model: 1 turn; 1,000 tokens and 5.0s of it saved."


def test_turns_without_a_model_show_what_it_would_have_cost(tmp_path: Path) -> None:
    asked = {**BEFORE, "turn": ASKED, "tokens": 1000, "model_seconds": 5.0}
    study = study_of(tmp_path / "s", asked, *[{**BEFORE, "turn": ADVISED}] * 3)
    (line,) = [one for one in summary_lines(summary_of(study, stopped="")) if one.startswith("Without")]
    assert line == "Without the model: 3 turns; 3,000 tokens and 15s of it saved."
    assert "not enough turns (60 of each kind" in show(study, "--savings")


def test_turns_in_which_the_model_rested_are_not_saved(tmp_path: Path) -> None:
    def turn(asks: float, model: str = "none") -> dict[str, Any]:
        arms = [{"model": "m", "probability": asks}] * (asks > 0) + [{"model": "none", "probability": 0.5}] * 2
        return {**BEFORE, "turn": {**ADVISED, "model": model, "workflow": "planner", "arms": arms}}

    asked = {**turn(0.4, "m"), "tokens": 1000, "model_seconds": 5.0}
    study = study_of(tmp_path / "s", asked, turn(0.3), turn(0.2), *[turn(0.0)] * 9)
    told = show(study, "--savings")
    assert "Model or not, drawn: 2 turns without the model, 1 with it." in told
    assert "Saved: 2,000 tokens" in told
    only = study_of(tmp_path / "elsewhere" / "t", turn(0.3), turn(0.2))
    assert "2 turns without the model, 0 with it.\n  Saved: not known" in show(only, "--savings")
    both = study_of(tmp_path / "t", turn(0.3), turn(0.2))
    told = show(both, "--savings")
    assert "4 turns without the model, 1 with it." in told
    assert "of the model, in the 2 turns of studies that had both kinds." in told
