"""The tuning graph: a workflow, compiled to LangGraph, carries one trial from context to record."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Checkpoints hold plain values only; anything else in one is an attack or a fault.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from ..predictor.workflow import Node, Workflow
from .nodes import STEPS, Step
from .parts import Parts
from .state import State

CHECKPOINTS = "graph.db"
RECURSION_LIMIT = 50  # steps of one trial: the longest workflow with every revision takes 12


def build_graph(workflow: Workflow, parts: Parts, saver: SqliteSaver) -> Any:
    """The workflow as a runnable graph. A state that brings its choice along starts at `run`: it was begun before."""
    graph = StateGraph(State)
    for node in workflow.nodes:
        graph.add_node(node.id, _bound(STEPS[node.operator], parts, node))
    first = workflow.nodes[0].id
    graph.add_conditional_edges(START, lambda state: "run" if state.get("choice") else first, [first, "run"])
    for node in workflow.nodes:
        out = [edge for edge in workflow.edges if edge.source == node.id]
        decisions: dict[Hashable, str] = {edge.when: edge.target for edge in out if edge.when is not None}
        if decisions:
            graph.add_conditional_edges(node.id, lambda state: state["verdict"], decisions)
        for edge in out:
            if edge.when is None:
                graph.add_edge(node.id, edge.target)
        if not out:
            graph.add_edge(node.id, END)
    return graph.compile(checkpointer=saver)


def _bound(step: Step, parts: Parts, node: Node) -> Any:
    def run(state: State) -> dict[str, Any]:
        return {**step(state, parts, node), "ran": [node.id]}

    return run


@contextmanager
def checkpoints(folder: Path) -> Iterator[SqliteSaver]:
    """The checkpoints of a study folder. They only say where a trial stands: lost or broken, they start anew."""
    path = folder / CHECKPOINTS
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    try:
        saver = SqliteSaver(connection)
        saver.setup()
    except sqlite3.DatabaseError:
        connection.close()
        path.unlink()
        connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
        saver = SqliteSaver(connection)
        saver.setup()
    try:
        yield saver
    finally:
        connection.close()
