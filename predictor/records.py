"""Workflows that really ran, as lines of `workflows.jsonl`: FLORA-Bench's keys (arXiv 2503.11301) and our own.

FLORA's files can be read here and ours there: `nodes` maps "0", "1", ... to texts, `edge_index` lists pairs, `label`
is 1 for success. What success means is derived, so the raw facts stand beside it. So does the workflow as it was
planned: what ran shows how the trial went (a repair means a crash), and is not known before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .shape import always_run
from .workflow import Edge, Node, Workflow

WORDS = {  # what FLORA's `nodes` say of each operator
    "summarize": "turn all trials into a short context",
    "recall": "ask the memory what past studies taught",
    "advise": "propose candidate configurations",
    "plan": "choose or propose the next configuration",
    "criticise": "accept the plan or send it back",
    "decide": "choose the better of two plans",
    "draw": "draw one of the candidates at random",
    "take": "take the best advisor's candidate",
    "judge": "run the candidate or skip it",
    "run": "run the configuration",
    "repair": "repair a crashed launch",
    "record": "record the outcome",
}


class WorkflowRecord(BaseModel):
    """One run of one workflow on one task. Facts of ours that have no field here are kept as they come."""

    model_config = ConfigDict(frozen=True, extra="allow")
    workflow_id: str | int
    task_id: str | int
    task: str
    nodes: dict[str, str]
    edge_index: list[tuple[int, int]]
    label: int | None = None  # None where nothing stood there to be beaten
    edge_type: list[str] = []  # "data", "control" or "conditional", one an edge
    operators: list[str] = []  # one a node
    models: list[str] = []  # one a node; "" where no model was asked
    prompt_hashes: list[str] = []
    decoding: list[dict[str, Any]] = []  # one a node; empty where no model was asked
    ran: list[str] = []  # ids of the nodes in the order they ran, repeats included
    skipped: list[str] = []  # ids of the nodes that were planned and did not run
    planned: dict[str, Any] = {}  # the whole workflow, in the same keys and with `conditional`
    value: float | None = None
    best_before: float | None = None  # as the next four, known before the trial ran
    noise: float | None = None  # standard deviation of equal runs, in units of the metric
    scale: float | None = None  # interquartile range of the values so far, in units of the metric
    index: int | None = None  # of the trial in its study, from 0
    budget_left: dict[str, float] | None = None  # by the name of the budget


def executed(workflow: Workflow, ran: Sequence[str]) -> Workflow:
    """The part of a workflow that ran: its nodes and the edges that were taken, with the data that flowed between them.

    Raises:
        KeyError: when `ran` names a node that the workflow does not have.
        ValueError: when it is empty.
    """
    nodes = [workflow.node(name) for name in dict.fromkeys(ran)]
    names = {node.id for node in nodes}
    taken = set(pairwise(ran))
    edges = [
        edge
        for edge in workflow.edges
        if ((edge.source, edge.target) in taken if edge.kind == "control" else {edge.source, edge.target} <= names)
    ]
    return workflow.model_copy(update={"nodes": tuple(nodes), "edges": tuple(edges)})


def workflow_hash(workflow: Workflow) -> str:
    """Eight hexadecimal digits: equal for equal nodes (prompts, models and words included) and edges, whatever its
    name."""
    shape = {
        # What knows no decoding keeps the hash that it had before there was one.
        "nodes": [n.model_dump(exclude=None if n.decoding else {"decoding"}) for n in workflow.nodes],
        "edges": [e.model_dump() for e in workflow.edges],
        "words": list(map(_text, workflow.nodes)),  # they may change between versions
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:8]


def record_of(workflow: Workflow, ran: Sequence[str], *, task: str, task_id: str, **ours: Any) -> WorkflowRecord:
    """The record of a workflow that ran through the nodes `ran`.

    Args:
        workflow: bound to its model.
        ours: JSON-able facts, such as `label`, `value`, `best_before`, tokens and seconds.
    """
    ran_part = executed(workflow, ran)
    return WorkflowRecord(
        task_id=task_id,
        task=task,
        **_graph(workflow.name, ran_part),
        prompt_hashes=[node.prompt_hash for node in ran_part.nodes],
        ran=list(ran),
        skipped=[node.id for node in workflow.nodes if node.id not in ran],
        planned=described(workflow),
        **ours,
    )


def described(workflow: Workflow) -> dict[str, Any]:
    """The whole workflow in a record's keys, as it is planned."""
    return {**_graph(workflow.name, workflow), "conditional": _conditional(workflow)}


def _graph(name: str, workflow: Workflow) -> dict[str, Any]:
    place = {node.id: i for i, node in enumerate(workflow.nodes)}
    return {
        "workflow_id": f"{name}/{workflow_hash(workflow)}",
        "nodes": {str(i): _text(node) for i, node in enumerate(workflow.nodes)},
        "edge_index": [[place[edge.source], place[edge.target]] for edge in workflow.edges],
        "edge_type": [_type(edge) for edge in workflow.edges],
        "operators": [node.operator for node in workflow.nodes],
        "models": [node.model for node in workflow.nodes],
        "decoding": [node.decoding for node in workflow.nodes],
    }


def _conditional(workflow: Workflow) -> list[bool]:
    """Of each node, whether a decision may pass it by."""
    firm = [(e.source, e.target) for e in workflow.edges if e.kind == "control" and e.when is None]
    chosen = [(e.source, e.target) for e in workflow.edges if e.kind == "control" and e.when is not None]
    sure = always_run(workflow.nodes[0].id, firm, chosen)
    return [node.id not in sure for node in workflow.nodes]


class WorkflowLog:
    """`workflows.jsonl`: one line a run, appended by one write, so that a kill can lose only the last line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: WorkflowRecord) -> None:
        """Write one record; what a kill left of a line before it is closed first."""
        with self.path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, 2)
                whole = file.read(1) == b"\n"
            else:
                whole = True
            file.write((b"" if whole else b"\n") + record.model_dump_json().encode() + b"\n")

    def __iter__(self) -> Iterator[WorkflowRecord]:
        """The records in order; a line cut by a kill is passed over."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                try:
                    yield WorkflowRecord.model_validate_json(line)
                except ValidationError:
                    continue


def _text(node: Node) -> str:
    view = f", {node.view}" if node.view else ""
    return f"{node.agent}: {WORDS.get(node.operator, node.operator)}{view}"


def _type(edge: Edge) -> str:
    return "conditional" if edge.when else edge.kind
