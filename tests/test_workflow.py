"""Workflows as data: every one is whole, draws, and becomes a record in FLORA's words."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from luthier.predictor.records import WorkflowLog, WorkflowRecord, executed, record_of, workflow_hash
from luthier.predictor.shape import always_run, without_loops
from luthier.predictor.workflow import DECODING, WORKFLOWS, Edge, Node, Workflow, workflow_named

A = Node(id="a", agent="summarizer", operator="summarize")
B = Node(id="b", agent="runner", operator="run")
DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[2] / "shared" / "data"))
FLORA = DATA / "aflow_runs" / "flora_layout" / "Math-AFlowLog" / "val.jsonl.gz"
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def walk(workflow: Workflow, choices: Iterator[int]) -> list[str]:
    """A way through a workflow, taking the next choice at each fork."""
    ran = [workflow.nodes[0].id]
    while (ways := workflow.ways(ran[-1])) and len(ran) < 30:
        ran.append(ways[next(choices) % len(ways)].target)
    return ran


@every_workflow
def test_every_workflow_leads_from_the_context_to_the_record(name: str) -> None:
    graph = workflow_named(name).to_networkx()
    flow = nx.DiGraph((a, b) for a, b, edge in graph.edges(data=True) if edge["kind"] == "control")
    assert next(iter(graph)) == "summarize"
    assert [node for node in flow if flow.out_degree(node) == 0] == ["record"]
    assert all(nx.has_path(flow, "summarize", node) and nx.has_path(flow, node, "record") for node in graph)
    assert nx.has_path(flow, "advise", "take")  # the advisors can always step in


@every_workflow
def test_drawings_name_every_node_and_every_way(name: str) -> None:
    workflow = workflow_named(name)
    ways = [edge for edge in workflow.edges if edge.kind == "control"]
    for drawing in (workflow.text(), workflow.mermaid()):
        assert all(node.id in drawing for node in workflow.nodes)
        assert all(edge.when in drawing for edge in ways if edge.when)
    assert workflow.mermaid().count("->") == len(ways)
    assert all(len(line) <= 100 for line in workflow.text().splitlines())


@every_workflow
def test_data_comes_out_as_it_went_in(name: str) -> None:
    workflow = workflow_named(name).bound("m", {"planner": "abc"})
    assert Workflow.model_validate_json(workflow.model_dump_json()) == workflow
    assert {node.model for node in workflow.nodes if node.prompt} <= {"m"}
    assert {node.model for node in workflow.nodes if not node.prompt} == {""}
    assert all(node.decoding == (DECODING if node.prompt else {}) for node in workflow.nodes)
    graph = workflow.to_networkx()
    assert dict(graph.nodes(data="prompt_hash")) == {n.id: n.prompt_hash for n in workflow.nodes}
    assert graph.number_of_edges() == len(workflow.edges)


def test_only_advisors_and_chance_need_no_model() -> None:
    assert [name for name, workflow in WORKFLOWS.items() if not workflow.uses_model] == ["advisors", "chance"]


@pytest.mark.parametrize(
    ("nodes", "edges", "word"),
    [
        ((), (), "at least one node"),
        ((A, A), (), "one id"),
        ((A,), (Edge(source="a", target="z"),), "no node"),
        ((A, B), (), "never reaches"),
        ((A, B), (Edge(source="a", target="b", kind="data"),), "never reaches"),
        ((A, B), (Edge(source="a", target="b"), Edge(source="a", target="a", when="x")), "must leave by one edge"),
    ],
)
def test_a_broken_workflow_is_refused(nodes: tuple[Node, ...], edges: tuple[Edge, ...], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Workflow(name="w", nodes=nodes, edges=edges)


def test_an_unknown_name_suggests_the_near_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'planner-critic'"):
        workflow_named("planer-critic")


@every_workflow
@given(st.lists(st.integers(0, 5), min_size=40, max_size=40))
def test_a_record_holds_what_ran_and_nothing_else(name: str, choices: list[int]) -> None:
    workflow = workflow_named(name).bound("m", {})
    ran = walk(workflow, iter(choices))
    record = record_of(workflow, ran, task="t", task_id="s/1", label=1, value=0.5, seconds=2.0)
    part = executed(workflow, ran)
    assert {node.id for node in part.nodes} == set(ran)
    flows = [pair for pair, kind in zip(record.edge_index, record.edge_type, strict=True) if kind != "data"]
    taken = {(part.nodes[a].id, part.nodes[b].id) for a, b in flows}
    assert taken == set(pairwise(ran))
    assert len(record.nodes) == len(record.operators) == len(record.models) == len(set(ran))
    keys = json.loads(record.model_dump_json()).keys()
    assert {"workflow_id", "task_id", "task", "nodes", "edge_index", "label", "seconds"} <= keys
    assert set(record.skipped) == {node.id for node in workflow.nodes} - set(ran)
    assert len(record.planned["nodes"]) == len(workflow.nodes)
    sure = {n.id for n, passed in zip(workflow.nodes, record.planned["conditional"], strict=True) if not passed}
    assert sure <= set(ran) or ran[-1] != "record"


def test_only_what_no_decision_passes_by_is_sure_to_run() -> None:
    records = {name: record_of(workflow_named(name), ["summarize"], task="t", task_id="s") for name in WORKFLOWS}
    passed = {
        name: [n.id for n, may in zip(workflow_named(name).nodes, r.planned["conditional"], strict=True) if may]
        for name, r in records.items()
    }
    assert passed == {
        "advisors": ["repair"],
        "chance": ["take", "repair"],
        "planner": ["take", "repair"],
        "planner-critic": ["criticise", "take", "repair"],
        "debate": ["exploit", "decide", "take", "repair"],
    }


@pytest.mark.parametrize(
    ("firm", "chosen", "sure"),
    [
        ([], [], "a"),
        ([("a", "b"), ("a", "c")], [], "abc"),  # both ways are taken
        ([], [("a", "b"), ("a", "c")], "a"),
        ([("b", "d"), ("c", "d")], [("a", "b"), ("a", "c")], "ad"),
        ([("a", "b")], [("b", "a"), ("b", "c")], "abc"),  # a loop ends some day
    ],
)
def test_a_step_is_sure_where_all_ways_meet(
    firm: list[tuple[str, str]], chosen: list[tuple[str, str]], sure: str
) -> None:
    assert always_run("a", firm, chosen) == set(sure)


def test_an_edge_that_goes_back_is_what_closes_a_loop() -> None:
    edges = [(0, 1), (1, 2), (2, 1), (2, 3), (3, 0), (0, 0)]
    kinds = ["control", "conditional", "conditional", "data", "conditional", "conditional"]
    assert without_loops(edges, kinds) == [(0, 1), (1, 2), (2, 3)]
    assert without_loops([(0, 1), (0, 1)], ["data", "conditional"]) == [(0, 1), (0, 1)]


def test_equal_runs_have_one_id_and_other_models_or_ways_another() -> None:
    workflow = workflow_named("planner-critic")
    straight = ["summarize", "advise", "plan", "criticise", "run", "record"]
    fallen = ["summarize", "advise", "plan", "take", "gate", "run", "record"]

    def found(ran: list[str], model: str) -> str:
        return workflow_hash(executed(workflow.bound(model, {}), ran))

    assert found(straight, "a") == found(straight, "a")
    assert len({found(straight, "a"), found(straight, "b"), found(fallen, "a")}) == 3


def test_a_log_survives_a_line_cut_by_a_kill(tmp_path: Path) -> None:
    log = WorkflowLog(tmp_path / "workflows.jsonl")
    one = record_of(workflow_named("advisors"), ["summarize", "advise", "take"], task="t", task_id="s/0")
    log.append(one)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + whole[: len(whole) // 2])
    log.append(one)
    assert list(log) == [one, one]


@pytest.mark.skipif(not FLORA.exists(), reason=f"the measured data is not there: no file {FLORA}")
def test_lines_in_flora_s_layout_can_be_read() -> None:
    with gzip.open(FLORA, "rt") as lines:
        for line, _ in zip(lines, range(20), strict=False):
            record = WorkflowRecord.model_validate_json(line)
            assert record.label in (0, 1)
            assert all(str(place) in record.nodes for edge in record.edge_index for place in edge)
