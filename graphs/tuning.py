"""The tuning graph: a workflow, compiled to LangGraph, carries one trial from context to record."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from ..predictor.workflow import Node, Workflow
from .deciding import (
    advise_node,
    criticise_node,
    decide_node,
    draw_node,
    plan_node,
    recall_node,
    summarize_node,
    take_node,
)
from .judging import judge_node
from .parts import Parts
from .recording import record_node
from .running import repair_node, run_node
from .state import State, Update

RECURSION_LIMIT = 100  # steps of one trial: the longest workflow with every skip, revision and repair takes 60
RUN = "run"  # operator of the node at which a trial goes on that was begun before

Step = Callable[[State, Parts, Node], Update]
STEPS: Mapping[str, Step] = {
    "summarize": summarize_node,
    "recall": recall_node,
    "advise": advise_node,
    "plan": plan_node,
    "criticise": criticise_node,
    "decide": decide_node,
    "draw": draw_node,
    "take": take_node,
    "judge": judge_node,
    "run": run_node,
    "repair": repair_node,
    "record": record_node,
}


def build_graph(workflow: Workflow, parts: Parts, saver: BaseCheckpointSaver[Any] | None = None) -> Any:
    """The workflow as a LangGraph graph. A state that brings its choice along starts at `run`.

    Raises:
        KeyError: when a node's operator is not in `STEPS`.
        ValueError: when no node runs the trial.
    """
    graph = StateGraph(State)
    for node in workflow.nodes:
        graph.add_node(node.id, _bound(STEPS[node.operator], parts, node))
        _leave(graph, workflow, node)
    first = workflow.nodes[0].id
    run = next((node.id for node in workflow.nodes if node.operator == RUN), None)
    if run is None:
        raise ValueError(f"workflow {workflow.name!r} must have a node whose operator is {RUN!r}")
    graph.add_conditional_edges(START, lambda state: run if "choice" in state else first, [first, run])
    return graph.compile(checkpointer=saver)


def _leave(graph: StateGraph[State], workflow: Workflow, node: Node) -> None:
    ways: dict[Hashable, str] = {edge.when: edge.target for edge in workflow.ways(node.id)}
    if not ways:
        graph.add_edge(node.id, END)
    elif None in ways:
        graph.add_edge(node.id, ways[None])
    else:
        graph.add_conditional_edges(node.id, lambda state: state["verdict"], ways)


def _bound(step: Step, parts: Parts, node: Node) -> Any:
    """A node as LangGraph calls it: what it says is passed on, what it costs is counted."""

    def run(state: State) -> Update:
        caller = parts.caller
        tokens, seconds = (caller.tokens, caller.seconds) if caller else (0, 0.0)
        update = step(state, parts, node)
        for line in update.get("said", []):
            parts.hear(state["number"], line["role"], line["text"])
        cost = {"tokens": caller.tokens - tokens, "model_seconds": caller.seconds - seconds} if caller else {}
        return {**update, **cost, "ran": [node.id]}

    return run
