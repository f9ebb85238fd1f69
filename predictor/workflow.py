"""Workflows as data: one definition that networkx analyses, LangGraph runs and the predictor learns from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    import networkx as nx

Agent = Literal["summarizer", "advisors", "planner", "critic", "coder", "runner", "study"]


class Node(BaseModel):
    """One step. Its `operator` names what is done; equal agents may stand in a workflow twice, with other prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    agent: Agent
    operator: str
    prompt: str = ""  # the prompt file's name; empty where no model is asked
    view: str = ""  # what this node's prompt stresses, such as "explore"


class Edge(BaseModel):
    """What flows from one step to the next. A control edge with `when` is taken only on that decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str
    target: str
    kind: Literal["data", "control"] = "control"
    when: str | None = None


class Workflow(BaseModel):
    """A directed graph of steps, from a context to the next trial.

    Raises:
        ValueError: on equal ids, an edge to a missing node, or a node that the first one does not lead to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ids = [node.id for node in self.nodes]
        if not ids:
            raise ValueError(f"workflow {self.name!r} needs at least one node")
        if len(set(ids)) < len(ids):
            raise ValueError(f"workflow {self.name!r} has two nodes with one id: {ids}")
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in ids:
                    raise ValueError(f"workflow {self.name!r} has an edge to {end!r}, which is no node; known: {ids}")
        lost = set(ids) - self._reached(ids[0])
        if lost:
            raise ValueError(f"workflow {self.name!r} never reaches {sorted(lost)} from {ids[0]!r}")
        return self

    def _reached(self, start: str) -> set[str]:
        found, border = {start}, [start]
        while border:
            here = border.pop()
            fresh = {edge.target for edge in self.edges if edge.source == here} - found
            found |= fresh
            border += sorted(fresh)
        return found

    @property
    def uses_model(self) -> bool:
        """Whether any step asks a language model."""
        return any(node.prompt for node in self.nodes)

    def node(self, name: str) -> Node:
        """The node of this id. Raises KeyError when there is none."""
        return {node.id: node for node in self.nodes}[name]

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """The graph with the nodes' and edges' fields as attributes."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=self.name)
        graph.add_nodes_from((node.id, node.model_dump(exclude={"id"})) for node in self.nodes)
        graph.add_edges_from((e.source, e.target, {"kind": e.kind, "when": e.when}) for e in self.edges)
        return graph

    def mermaid(self) -> str:
        """The graph in Mermaid's language; dashed where a decision takes the edge."""
        lines = ["flowchart LR"]
        lines += [f'    {node.id}["{node.id}{_asks(node)}"]' for node in self.nodes]
        for edge in self.edges:
            arrow = f"-. {edge.when} .->" if edge.when else "-->"
            lines.append(f"    {edge.source} {arrow} {edge.target}")
        return "\n".join(lines)

    def text(self) -> str:
        """The graph as lines for a terminal, one a node."""
        width = max(len(node.id) for node in self.nodes)
        lines = [f"workflow {self.name}"]
        for node in self.nodes:
            out = [e for e in self.edges if e.source == node.id]
            targets = ", ".join(f"{e.target} (when {e.when})" if e.when else e.target for e in out)
            lines.append(f"  {node.id:<{width}}{_asks(node):<9} -> {targets or 'end'}")
        return "\n".join(lines)


def _asks(node: Node) -> str:
    return " (model)" if node.prompt else ""


def _chain(*ids: str) -> tuple[Edge, ...]:
    return tuple(Edge(source=a, target=b) for a, b in itertools.pairwise(ids))


SUMMARIZE = Node(id="summarize", agent="summarizer", operator="summarize")
ADVISE = Node(id="advise", agent="advisors", operator="advise")
TAKE = Node(id="take", agent="advisors", operator="take_best")
PLAN = Node(id="plan", agent="planner", operator="plan", prompt="planner")
EXPLORE = Node(id="explore", agent="planner", operator="plan", prompt="planner", view="explore")
EXPLOIT = Node(id="exploit", agent="planner", operator="plan", prompt="planner", view="exploit")
CRITICISE = Node(id="criticise", agent="critic", operator="criticise", prompt="critic")
DECIDE = Node(id="decide", agent="critic", operator="decide", prompt="critic")
RUN = Node(id="run", agent="runner", operator="run")
RECORD = Node(id="record", agent="study", operator="record")

WORKFLOWS: Mapping[str, Workflow] = {
    workflow.name: workflow
    for workflow in (
        Workflow(
            name="advisors",
            nodes=(SUMMARIZE, ADVISE, TAKE, RUN, RECORD),
            edges=_chain("summarize", "advise", "take", "run", "record"),
        ),
        Workflow(
            name="planner",
            nodes=(SUMMARIZE, ADVISE, PLAN, RUN, RECORD),
            edges=_chain("summarize", "advise", "plan", "run", "record"),
        ),
        Workflow(
            name="planner-critic",
            nodes=(SUMMARIZE, ADVISE, PLAN, CRITICISE, RUN, RECORD),
            edges=(
                *_chain("summarize", "advise", "plan", "criticise"),
                Edge(source="criticise", target="plan", when="revise"),
                Edge(source="criticise", target="run", when="accept"),
                Edge(source="run", target="record"),
            ),
        ),
        Workflow(
            name="debate",
            nodes=(SUMMARIZE, ADVISE, EXPLORE, EXPLOIT, DECIDE, RUN, RECORD),
            edges=_chain("summarize", "advise", "explore", "exploit", "decide", "run", "record"),
        ),
    )
}


def workflow_named(name: str) -> Workflow:
    """A built-in workflow.

    Raises:
        ValueError: naming the known ones and the nearest.
    """
    if name in WORKFLOWS:
        return WORKFLOWS[name]
    from difflib import get_close_matches

    near = get_close_matches(name, list(WORKFLOWS), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(WORKFLOWS)}"
    raise ValueError(f"a workflow must be one of the built-in ones, but got {name!r}; {hint}")


def record_of(workflow: Workflow, *, task: str, task_id: str, ran: list[str], **ours: Any) -> dict[str, Any]:
    """One executed workflow as a line of FLORA-Bench's schema, with our own keys beside (2503.11301, section 3).

    Args:
        ran: the ids of the nodes that really ran, in order, repeats included.
        ours: further JSON-able values, such as the value, the best before it, tokens and seconds. FLORA's `label`
            is left out: what counts as success is derived later.
    """
    index = {node.id: i for i, node in enumerate(workflow.nodes)}
    edges = [[index[e.source], index[e.target]] for e in workflow.edges]
    return {
        "workflow_id": workflow.name,
        "task_id": task_id,
        "task": task,
        "nodes": {str(i): f"{n.agent}: {n.operator} {n.view}".strip() for i, n in enumerate(workflow.nodes)},
        "edge_index": [[a for a, _ in edges], [b for _, b in edges]],
        "ran": ran,
        **ours,
    }
