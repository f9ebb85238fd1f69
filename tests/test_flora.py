"""Logs in FLORA's layout and in our own: what goes in comes out the same, and bad lines are named and counted."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged import any_logs, as_data, line

from luthier.predictor.aflow import DOMAINS, read_aflow
from luthier.predictor.errors import LogFault
from luthier.predictor.flora import drawn_parts, read_flora, read_flora_parts, write_flora
from luthier.predictor.gathering import MAX_EDGES, MAX_NODES
from luthier.predictor.lines import MAX_LINE, SHOWN, Faults
from luthier.predictor.log_line import LogLine, joined
from luthier.predictor.logs import COSTS, Logs
from luthier.predictor.own_logs import read_logs, write_logs
from luthier.predictor.shape import without_loops
from luthier.predictor.writing import write_lines

DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[2] / "shared" / "data")) / "aflow_runs"
KEYS = ["workflow_id", "task_id", "task", "nodes", "edge_index", "label"]
GOOD = json.dumps(line())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def written(path: Path, *lines: dict[str, Any] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@given(any_logs())
def test_our_own_file_loses_nothing(logs: Logs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.jsonl", "a.jsonl.gz"):
            assert write_logs(logs, Path(folder) / name) == len(logs)
            assert as_data(read_logs(Path(folder) / name)) == as_data(logs)


@given(any_logs())
def test_flora_s_layout_keeps_what_it_has_keys_for(logs: Logs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = write_flora(logs, Path(folder))
        read = read_flora(Path(folder))
        lines = [json.loads(text) for file in files for text in file.read_bytes().splitlines()]
    assert len(read) == len(logs)
    assert all(list(one) == KEYS and {type(one["workflow_id"]), type(one["task_id"])} == {int} for one in lines)

    def held(logs: Logs) -> list[Any]:
        pairs = zip(logs.workflow, logs.task, logs.label, strict=True)
        found = [(logs.workflows[w], joined(logs.tasks[t]), y) for w, t, y in pairs]
        return sorted((w.nodes, without_loops(w.edges, w.edge_types), task, y) for w, task, y in found)

    assert held(read) == held(logs)


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz"])
def test_a_domain_names_its_workflows_and_tasks(name: str, tmp_path: Path) -> None:
    for domain in ("Coding-AF", "Math-AF"):
        written(tmp_path / "datasets_checkpoints" / domain / name, line(), line(label=0), line(task_id=8, task="?"))
    logs = read_flora(tmp_path)
    assert [w.id for w in logs.workflows] == ["Coding-AF/1", "Math-AF/1"]
    assert [t.id for t in logs.tasks] == ["Coding-AF/7", "Coding-AF/8", "Math-AF/7", "Math-AF/8"]
    assert logs.suite.tolist() == ["Coding-AF"] * 2 + ["Math-AF"] * 2
    assert logs.runs.tolist() == [2, 1, 2, 1]
    assert logs.successes.tolist() == [1, 1, 1, 1]
    assert len(read_flora(tmp_path / "datasets_checkpoints" / "Math-AF")) == 2


def test_parts_keep_the_file_that_a_pair_came_from(tmp_path: Path) -> None:
    written(tmp_path / "train_1.jsonl", line())
    written(tmp_path / "train_2.jsonl.gz", line(task_id=8, task="?"))
    written(tmp_path / "test.jsonl", line(label=False))
    parts = read_flora_parts(tmp_path)
    assert {name: part.task.tolist() for name, part in parts.items()} == {"train": [0, 1], "test": [0]}
    assert parts["test"].tasks is parts["train"].tasks or parts["test"].tasks == parts["train"].tasks
    written(tmp_path / "train.jsonl", line(), line(task_id=9, task="!"))
    assert len(read_flora_parts(tmp_path)["train"]) == 2  # the whole file, not its pieces beside it


def test_a_context_is_told_from_its_question(tmp_path: Path) -> None:
    written(tmp_path / "val.jsonl", line(task="Context: a\n\nQuestion: b\n\nQuestion: c"))
    task = read_flora(tmp_path).tasks[0]
    assert (task.context, task.text) == ("a\n\nQuestion: b", "c")


def test_edges_may_name_nodes(tmp_path: Path) -> None:
    logs = read_logs(written(tmp_path / "a.jsonl", line(nodes={"in": "a", "out": "b"}, edge_index=[["in", "out"]])))
    assert logs.workflows[0].edges == ((0, 1),)


BAD = {
    "not JSON": ('{"workflow_id": 1, "task', "one JSON object"),
    "a list": ("[1, 2]", "this is list"),
    "nested too deep": ("[" * 100_000, "one JSON object"),
    "no key": (line(task=None), "'task': field required"),
    "wrong type": (line(nodes=["a"]), "'nodes'"),
    "half a character": ('{"workflow_id": 1, "task_id": 7, "task": "\\ud800"}', "'task'"),
    "edge to a missing node": (line(workflow_id=2, edge_index=[[0, 2]]), "nodes are 0 to 1"),
    "edge before the first": (line(workflow_id=2, edge_index=[[-1, 0]]), "nodes are 0 to 1"),
    "edge to a missing name": (line(workflow_id=2, edge_index=[["0", "z"]]), "'z' is none"),
    "edge of three": (line(workflow_id=2, edge_index=[[0, 1, 1]]), "edge_index"),
    "cycle": (line(workflow_id=2, edge_index=[[0, 1], [1, 0]]), "0 -> 1 -> 0 has none"),
    "loop of one": (line(workflow_id=2, edge_index=[[1, 1]]), "1 -> 1 has none"),
    "empty graph": (line(workflow_id=2, nodes={}, edge_index=[]), "at least one node"),
    "label 2": (line(label=2), "a label must be 0 or 1"),
    "label -1": (line(label=-1), "a label must be 0 or 1"),
    "label half": (line(label=0.5), "a label must be 0 or 1"),
    "label NaN": (line(label=float("nan")), "a label must be 0 or 1"),
    "label a word": (line(label="yes"), "'label"),
    "no label": (line(label=None), "a label must be 0 or 1"),
    "label over n": (line(runs=3, successes=4), "must lie in 0 to 3"),
    "label under 0": (line(runs=3, successes=-1), "must lie in 0 to 3"),
    "no run": (line(runs=0, successes=0), "needs 1 to"),
    "more runs than a number holds": (line(runs=10**30, successes=1), "needs 1 to"),
    "a round without end": (line(workflow_id=2, round=10**30), "'round"),
    "an id of 5,000 digits": ('{"workflow_id": ' + "1" * 5_000 + "}", "one JSON object"),
    "runs alone": (line(runs=3), "go together"),
    "operators of another length": (line(workflow_id=2, operators=["a"]), "needs 2 operators"),
    "same id, other graph": (line(nodes={"0": "problem", "1": "other"}), "1' came before with another graph"),
    "same id, other suite": (line(suite="hard", task_suite=""), "1' came before in '' and is now in 'hard'"),
    "same task id, other suite": (line(task_suite="hard"), "7' came before in '' and is now in 'hard'"),
    "a key twice": (GOOD.replace('"nodes": {', '"nodes": {"0": "a", '), "the key '0' comes twice"),
    "an id twice": (GOOD.replace("{", '{"workflow_id": 2, ', 1), "the key 'workflow_id' comes twice"),
    "same task id, other text": (line(task="3 + 3?"), "7' came before with another text"),
    "too many nodes": (line(workflow_id=2, nodes=dict.fromkeys(map(str, range(10_000)), "a")), f"{MAX_NODES:,} nodes"),
    "too many edges": (line(workflow_id=2, edge_index=[[0, 1]] * 10_001), f"{MAX_EDGES:,} edges"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_and_the_rest_kept(name: str, tmp_path: Path) -> None:
    bad, word = BAD[name]
    path, faults = written(tmp_path / "a.jsonl", GOOD, bad, "", line(task_id=8, task="?")), Faults()
    logs = read_logs(path, faults=faults)
    assert len(logs) == 2
    assert faults.count == 1
    assert word in faults.shown[0]
    assert faults.shown[0].startswith(f"{path}, line 2: ")
    assert len(faults.shown[0]) < len(str(path)) + 300
    with pytest.raises(LogFault, match="line 2: "):
        read_logs(path)


@given(st.dictionaries(st.sampled_from([*LogLine.model_fields]), JSON))
def test_nothing_that_a_line_may_hold_breaks_the_reader(changes: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, faults = (
            written(Path(folder) / "a.jsonl", {**line(), **changes}, line(workflow_id=9, task_id=9)),
            Faults(),
        )
        assert len(read_logs(path, faults=faults)) == 2 - faults.count


def test_what_runs_cost_adds_up_and_is_unknown_where_a_line_does_not_say(tmp_path: Path) -> None:
    first = line(tokens=300, seconds=1.5, energy={"joules": 9, "measured_by": "rapl"}, money=0.25)
    odd = line(task_id=8, task="?", tokens="many", seconds=-1, energy=[2], money=True)
    logs = read_logs(written(tmp_path / "a.jsonl", first, line(tokens=50, seconds=2), odd))
    write_logs(logs, tmp_path / "b.jsonl")
    told = [json.loads(text) for text in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [{key: one[key] for key in COSTS if key in one} for one in told] == [{"tokens": 350, "seconds": 3.5}, {}]
    assert read_logs(written(tmp_path / "c.jsonl", first)).costs.tolist() == [[300, 1.5, 9, 0.25]]


def test_a_loop_that_a_decision_leaves_is_fine(tmp_path: Path) -> None:
    kinds = ["control", "conditional"]
    assert len(read_logs(written(tmp_path / "a.jsonl", line(edge_index=[[0, 1], [1, 0]], edge_type=kinds)))) == 1


def test_bytes_that_are_no_text_cost_their_line(tmp_path: Path) -> None:
    path, faults = tmp_path / "a.jsonl", Faults()
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b'\n{"task": "\xff\xfe"}\n\x80\n')
    assert len(read_logs(path, faults=faults)) == 1
    assert faults.count == 2
    assert "line 2: a log must be UTF-8" in faults.shown[0]


@pytest.mark.parametrize(("end", "kept"), [(-4, 50), (-40, 49), (200, 0)])
def test_a_gz_file_cut_short_keeps_its_whole_lines(end: int, kept: int, tmp_path: Path) -> None:
    lines = [line(task_id=i, task=os.urandom(60).hex()) for i in range(50)]
    path, faults = written(tmp_path / "a.jsonl.gz", *lines), Faults()
    path.write_bytes(path.read_bytes()[:end])
    assert len(read_logs(path, faults=faults)) == kept
    assert faults.count == 1
    assert "fetch or pack it again" in faults.shown[0]


def test_a_gz_name_on_a_plain_file_is_told(tmp_path: Path) -> None:
    path, faults = tmp_path / "a.jsonl.gz", Faults()
    path.write_text(GOOD)
    assert len(read_logs(path, faults=faults)) == 0
    assert "fetch or pack it again" in faults.shown[0]


def test_a_line_of_many_megabytes_is_passed_over(tmp_path: Path) -> None:
    path, faults = tmp_path / "a.jsonl", Faults()
    path.write_bytes(b"a" * (MAX_LINE + 5) + b"\n" + GOOD.encode())  # the last line needs no end
    assert len(read_logs(path, faults=faults)) == 1
    assert f"line 1: a line may have at most {MAX_LINE >> 20} MiB" in faults.shown[0]


def test_many_faults_are_counted_and_only_the_first_kept(tmp_path: Path) -> None:
    faults = Faults()
    read_logs(written(tmp_path / "a.jsonl", *["{"] * 1_000), faults=faults)
    assert (faults.count, len(faults.shown)) == (1_000, SHOWN)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_write_that_breaks_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    def breaking() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise KeyboardInterrupt

    (tmp_path / name).write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_lines(tmp_path / name, breaking())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "before")]


def test_a_folder_is_no_file_of_lines(tmp_path: Path) -> None:
    with pytest.raises(LogFault, match="can be read, but: Is a directory"):
        read_logs(tmp_path)


def test_files_for_flora_are_new_and_in_folders(tmp_path: Path) -> None:
    logs = read_logs(written(tmp_path / "a.jsonl", line(suite="../x", runs=1, successes=1)))
    with pytest.raises(LogFault, match=r"name of a folder.*rename the suite in the logs"):
        write_flora(logs, tmp_path / "out")
    assert [f.name for f in write_flora(logs, tmp_path / "out", domains={"../x": "X"})] == [
        "train.jsonl",
        "val.jsonl",
        "test.jsonl",
    ]
    with pytest.raises(LogFault, match="must be new"):
        write_flora(logs, tmp_path / "out", domains={"../x": "X"})
    with pytest.raises(LogFault, match="got dev"):
        write_flora(logs, tmp_path / "other", parts=["dev"], domains={"../x": "X"})


@pytest.mark.skipif(not DATA.is_dir(), reason="AFlow's archive is not in ../shared/data")
class TestAFlowInFlorasLayout:
    def test_files_come_out_byte_by_byte(self, tmp_path: Path) -> None:
        layout = DATA / "flora_layout"
        faults = Faults()
        for part, logs in read_flora_parts(layout, faults=faults).items():
            for file in write_flora(logs, tmp_path / part, parts=[part] * len(logs)):
                if file.name == f"{part}.jsonl":
                    assert gzip.decompress((layout / file.parent.name / f"{part}.jsonl.gz").read_bytes()) == (
                        file.read_bytes()
                    )
        assert faults.count == 0

    def test_the_archive_has_the_same_pairs_in_it(self, tmp_path: Path) -> None:
        logs = read_aflow(DATA)
        write_flora(logs, tmp_path, domains={suite: f"{name}-AFlowLog" for suite, name in DOMAINS.items()})
        ours, theirs = read_flora(tmp_path), read_flora(DATA / "flora_layout")
        keyed = [
            {(a.workflows[w].id, a.tasks[t].id) for w, t in zip(a.workflow, a.task, strict=True)}
            for a in (ours, theirs)
        ]
        assert keyed[0] == keyed[1]
        shares = [drawn_parts(logs).count(part) / len(logs) for part in ("train", "val", "test")]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
