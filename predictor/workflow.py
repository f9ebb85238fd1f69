"""Workflows as data: one definition that networkx analyses, LangGraph runs and the predictor learns from."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..models.decoding import Decoding

if TYPE_CHECKING:
    import networkx as nx

Agent = Literal["summarizer", "memory", "advisors", "planner", "critic", "gate", "coder", "runner", "study"]
Kind = Literal["data", "control"]
# What every step asks for at first: the likeliest tokens. How many there may be hangs on what is asked, and a refused
# answer is asked for again, warmer: `calls.jsonl` has each call's own.
DECODING = {name: value for name, value in Decoding().as_dict().items() if name not in ("max_tokens", "seed")}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(_Frozen):
    """One step. `operator` names what is done; one agent may stand in a workflow twice, with other views."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    agent: Agent
    operator: str
    prompt: str = ""  # name of the prompt file; empty where no model is asked
    view: str = ""  # what the prompt stresses: "explore", "exploit" or nothing
    model: str = ""  # filled in when the workflow is bound to a model
    prompt_hash: str = ""  # of the prompt file, filled in at the same time
    decoding: dict[str, float] = {}  # how the model's tokens are drawn, in the words of `models.decoding.Decoding`


class Edge(_Frozen):
    """What leads from one step to the next.

    A control edge says what runs next, one with `when` only on that decision; a data edge says whose result is read.
    """

    source: str
    target: str
    kind: Kind = "control"
    when: str | None = None


class Workflow(_Frozen):
    """A directed graph of steps from a study's trials to the next one. It begins at its first node.

    Raises:
        ValueError: on equal ids, an edge to a missing node, a node that nothing leads to, or a node whose control
            edges are partly conditional.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    decisions: int = 2  # by a model, a trial; a decision with all its rotations counts once

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
        for node in self.nodes:
            self._check_ways(node.id)
        return self

    def _reached(self, start: str) -> set[str]:
        found, border = {start}, [start]
        while border:
            here = border.pop()
            fresh = {edge.target for edge in self.ways(here)} - found
            found |= fresh
            border += sorted(fresh)
        return found

    def _check_ways(self, name: str) -> None:
        ways = [edge.when for edge in self.ways(name)]
        if len(ways) > 1 and (None in ways or len(set(ways)) < len(ways)):
            raise ValueError(f"{name!r} must leave by one edge, or by edges with different `when`, but has {ways}")

    @property
    def uses_model(self) -> bool:
        """Whether any step asks a language model."""
        return any(node.prompt for node in self.nodes)

    @property
    def chooses(self) -> bool:
        """Whether any step chooses among the candidates of all advisors, rather than take the best one's."""
        return any(node.operator in ("plan", "draw") for node in self.nodes)

    def node(self, name: str) -> Node:
        """The node of this id. Raises KeyError when there is none."""
        return {node.id: node for node in self.nodes}[name]

    def ways(self, name: str) -> list[Edge]:
        """The control edges that leave a node."""
        return [edge for edge in self.edges if edge.source == name and edge.kind == "control"]

    def bound(self, model: str, prompt_hashes: Mapping[str, str]) -> Workflow:
        """The same workflow, with the model's name, the prompts' hashes and the decoding in the nodes that ask one."""
        asked = {"model": model, "decoding": DECODING if model else {}}
        nodes = [
            node.model_copy(update={**asked, "prompt_hash": prompt_hashes.get(node.prompt, "")})
            if node.prompt
            else node
            for node in self.nodes
        ]
        return self.model_copy(update={"nodes": tuple(nodes)})

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """The graph, with the fields of nodes and edges as attributes."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=self.name)
        graph.add_nodes_from((node.id, node.model_dump(exclude={"id"})) for node in self.nodes)
        graph.add_edges_from((e.source, e.target, {"kind": e.kind, "when": e.when}) for e in self.edges)
        return graph

    def mermaid(self) -> str:
        """The control flow in Mermaid's language; dashed where a decision takes the edge."""
        lines = ["flowchart LR"]
        lines += [f'    {node.id}["{node.id}{_asks(node)}"]' for node in self.nodes]
        for edge in (e for e in self.edges if e.kind == "control"):
            arrow = f"-. {edge.when} .->" if edge.when else "-->"
            lines.append(f"    {edge.source} {arrow} {edge.target}")
        return "\n".join(lines)

    def text(self) -> str:
        """The control flow as lines for a terminal, one a node."""
        width = max(len(node.id + _asks(node)) for node in self.nodes)
        lines = [f"workflow {self.name}"]
        for node in self.nodes:
            ways = [f"{e.target} (when {e.when})" if e.when else e.target for e in self.ways(node.id)]
            lines.append(f"  {node.id + _asks(node):<{width}} -> {', '.join(ways) or 'end'}")
        return "\n".join(lines)


def _asks(node: Node) -> str:
    return " (model)" if node.prompt else ""


def workflow_named(name: str) -> Workflow:
    """A built-in workflow.

    Raises:
        ValueError: naming the nearest one, or all.
    """
    if name in WORKFLOWS:
        return WORKFLOWS[name]
    near = get_close_matches(name, list(WORKFLOWS), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(WORKFLOWS)}"
    raise ValueError(f"a workflow must be a built-in one, but got {name!r}; {hint}")


_SUMMARIZE = Node(id="summarize", agent="summarizer", operator="summarize")
_RECALL = Node(id="recall", agent="memory", operator="recall")
_ADVISE = Node(id="advise", agent="advisors", operator="advise")
_PLAN = Node(id="plan", agent="planner", operator="plan", prompt="planner")
_EXPLORE = Node(id="explore", agent="planner", operator="plan", prompt="planner", view="explore")
_EXPLOIT = Node(id="exploit", agent="planner", operator="plan", prompt="planner", view="exploit")
_CRITICISE = Node(id="criticise", agent="critic", operator="criticise", prompt="critic")
_DECIDE = Node(id="decide", agent="critic", operator="decide", prompt="critic")
_DRAW = Node(id="draw", agent="advisors", operator="draw")
_TAKE = Node(id="take", agent="advisors", operator="take")
_GATE = Node(id="gate", agent="gate", operator="judge")
_RUN = Node(id="run", agent="runner", operator="run")
_REPAIR = Node(id="repair", agent="coder", operator="repair", prompt="coder")
_REPAIR_BY_RULES = Node(id="repair", agent="coder", operator="repair")
_RECORD = Node(id="record", agent="study", operator="record")


def _flow(*steps: tuple[str, ...]) -> list[Edge]:
    """Control edges: `(source, target)`, or `(source, when, target)`."""
    return [Edge(source=step[0], target=step[-1], when=step[1] if len(step) == 3 else None) for step in steps]


def _data(source: str, *targets: str) -> list[Edge]:
    return [Edge(source=source, target=target, kind="data") for target in targets]


def _workflow(name: str, middle: tuple[Node, ...], edges: list[Edge], *, decisions: int = 2) -> Workflow:
    """What all have in common stands around the middle: context and candidates before; gate, run and record after."""
    asked = [node.id for node in middle if node.prompt]
    planners = [node.id for node in middle if node.agent == "planner"]
    repair = _REPAIR if asked else _REPAIR_BY_RULES
    end = _flow(
        ("take", "gate"),
        ("gate", "run", "run"),
        ("gate", "skip", "advise"),
        ("run", "done", "record"),
        ("run", "crashed", "repair"),
        ("repair", "repaired", "run"),
        ("repair", "hopeless", "record"),
    )
    drawn = [node.id for node in middle if node.operator == "draw"]
    read = (*_data("summarize", *asked), *_data("recall", "advise"), *_data("advise", *planners, *drawn, "take"))
    begin = _flow(("summarize", "recall"), ("recall", "advise"), ("advise", (middle or (_TAKE,))[0].id))
    return Workflow(
        name=name,
        nodes=(_SUMMARIZE, _RECALL, _ADVISE, *middle, _TAKE, _GATE, _RUN, repair, _RECORD),
        edges=(*begin, *edges, *end, *read),
        decisions=decisions,
    )


_BUILT_IN = (
    _workflow("advisors", (), []),
    # What a planner is worth is what it adds to a draw among the very same candidates.
    _workflow("chance", (_DRAW,), _flow(("draw", "drawn", "gate"), ("draw", "advisors", "take"))),
    _workflow("planner", (_PLAN,), _flow(("plan", "planned", "gate"), ("plan", "advisors", "take"))),
    _workflow(
        "planner-critic",
        (_PLAN, _CRITICISE),
        _flow(
            ("plan", "planned", "criticise"),
            ("plan", "advisors", "take"),
            ("criticise", "accept", "gate"),
            ("criticise", "revise", "plan"),
            ("criticise", "advisors", "take"),
        ),
    ),
    _workflow(
        "debate",
        (_EXPLORE, _EXPLOIT, _DECIDE),
        [
            *_flow(
                ("explore", "planned", "exploit"),
                ("explore", "advisors", "take"),
                ("exploit", "planned", "decide"),
                ("exploit", "advisors", "take"),
                ("decide", "accept", "gate"),
                ("decide", "advisors", "take"),
            ),
            *_data("explore", "decide"),
        ],
        decisions=4,  # each side one, and the critic one on each plan
    ),
)
WORKFLOWS: Mapping[str, Workflow] = MappingProxyType({workflow.name: workflow for workflow in _BUILT_IN})
