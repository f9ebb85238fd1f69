"""The reader of AFlow's archive: on a small archive of our own, and on the real one where it is there."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from luthier.predictor.aflow import DOMAINS, FILES, MODEL, read_aflow
from luthier.predictor.errors import LogFault
from luthier.predictor.lines import Faults

DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[2] / "shared" / "data")) / "aflow_runs"
HEAD = "workflow_id,task_id,aflow_split,n_runs,n_success,mean_score,label,split_pair,split_task,split_workflow"
CELLS = ["1,7,val,5,3,0.6,1,train,train,val", "2,7,val,2,1,0.5,1,test,train,val", "2,8,test,1,0,0.0,0,,,"]


def workflow(number: int, **changes: Any) -> dict[str, Any]:
    row = {"workflow_id": number, "suite": "GSM8K", "domain": "Math", "round": number, "parent_round": None,
           "modification": None, "nodes": {"0": "problem", "1": "Solve it."}, "ops": ["problem", "Custom"],
           "conditional": [False, True], "edge_index": [[0, 1]], "edge_type": ["control"]}  # fmt: skip
    return {**row, **changes}


def archive(folder: Path, workflows: list[dict[str, Any]], cells: list[str], *twice: dict[str, Any]) -> Path:
    """These workflows, tasks 7 and 8, and cells; `twice` are task 7 again, with changes."""
    tasks = [{"task_id": n, "suite": "GSM8K", "question": f"q{n}", "context": "read this"} for n in (7, 8)]
    tasks += [{**tasks[0], **changes} for changes in twice]
    texts = ["".join(json.dumps(row) + "\n" for row in rows) for rows in (workflows, tasks)]
    for name, text in zip(FILES, [*texts, "\n".join([HEAD, *cells])], strict=True):
        (folder / name).write_bytes(gzip.compress(text.encode()))
    return folder


def test_a_cell_becomes_a_pair_with_its_runs(tmp_path: Path) -> None:
    child = workflow(2, parent_round=1, modification="think twice", nodes={"0": "problem", "1": "Solve it twice."})
    logs = read_aflow(archive(tmp_path, [workflow(1), child], CELLS))
    assert logs.runs.tolist() == [5, 2]
    assert logs.successes.tolist() == [3, 1]
    first, second = logs.workflows
    assert (first.id, first.suite, first.round, first.parent) == ("GSM8K/1", "GSM8K", 1, "")
    assert (second.parent, second.change) == ("GSM8K/1", "think twice")
    assert second.models == ("", MODEL)
    assert second.operators == ("problem", "Custom")
    assert second.conditional == (False, True)
    assert second.edge_types == ("control",)
    assert logs.tasks[0].text == "q7"
    assert logs.tasks[0].context == "read this"
    assert logs.tasks[0].id == "GSM8K/7"


def test_cells_without_splits_come_only_when_asked_for(tmp_path: Path) -> None:
    folder = archive(tmp_path, [workflow(1), workflow(2, nodes={"0": "problem", "1": "b"})], CELLS)
    assert len(read_aflow(folder)) == 2
    assert len(read_aflow(folder, everything=True)) == 3


@pytest.mark.parametrize(
    ("workflows", "cells", "word"),
    [
        ([workflow(1), workflow(1)], CELLS[:1], "line 2: an id must stand for one workflow"),
        ([workflow(1), {"workflow_id": 2}], CELLS[:1], "'suite': field required"),
        ([workflow(1), workflow(2, edge_index=[[0, 2]])], CELLS[:1], "nodes are 0 to 1"),
        ([workflow(1), workflow(2, nodes={}, ops=[], conditional=[])], CELLS[:1], "at least one node"),
        ([workflow(1)], [CELLS[0], "3,7,val,1,1,1,1,train,train,train"], "workflow 3 is not there"),
        ([workflow(1)], [CELLS[0], "1,8,val,two,1,1,1,train,train,train"], "'n_runs'"),
        ([workflow(1)], [CELLS[0], "1,8,val,2,3,1,1,train,train,train"], "must lie in 0 to 2"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_kept(
    workflows: list[dict[str, Any]], cells: list[str], word: str, tmp_path: Path
) -> None:
    folder, faults = archive(tmp_path, workflows, cells), Faults()
    logs = read_aflow(folder, faults=faults)
    assert len(logs) == 1
    assert faults.count == 1
    assert word in faults.shown[0]
    assert ", line " in faults.shown[0]
    with pytest.raises(LogFault, match=r"line \d"):
        read_aflow(folder)


def test_a_task_that_comes_twice_is_named_and_the_first_kept(tmp_path: Path) -> None:
    folder, faults = archive(tmp_path, [workflow(1)], CELLS[:1], {"question": "another"}), Faults()
    logs = read_aflow(folder, faults=faults)
    assert [task.text for task in logs.tasks] == ["q7"]
    assert faults.shown == [f"{folder / FILES[1]}, line 3: an id must stand for one task, but 7 came before"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (archive(tmp_path, [workflow(1)], CELLS) / FILES[1]).unlink()
    with pytest.raises(LogFault, match=FILES[1]):
        read_aflow(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="AFlow's archive is not in ../shared/data")
def test_the_real_archive_is_whole() -> None:
    faults = Faults()
    logs = read_aflow(DATA, faults=faults)
    assert faults.count == 0
    assert len(logs) == 10_353
    assert set(logs.suite) == set(DOMAINS)
    assert all(nx.is_directed_acyclic_graph(nx.DiGraph(list(w.edges))) for w in logs.workflows)
    domain = np.array([DOMAINS[suite] for suite in logs.suite])
    graphs = {name: len(set(logs.graph[domain == name])) for name in ("Coding", "Math", "Reason")}
    assert graphs == {"Coding": 35, "Math": 58, "Reason": 21}  # as the data's README counts them
    everything = read_aflow(DATA, everything=True)
    assert len(everything) == 12_481
    assert everything.runs.sum() == 56_366
