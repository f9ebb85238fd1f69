"""A graph of LangGraph as a workflow that can be predicted: its steps, what they say of themselves, and its edges."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from .errors import LogFault
from .gathering import check_graph, check_size
from .logs import LoggedWorkflow
from .shape import always_run

PROBLEM = "problem"  # the words and the operator of the node that stands for the input, as in FLORA's graphs
MAX_WORDS = 2_000  # characters of a docstring; the embedder reads less
_START, _END = "__start__", "__end__"


def workflow_of_graph(
    graph: Any, *, name: str = "", suite: str = "", models: Mapping[str, str] = MappingProxyType({})
) -> LoggedWorkflow:
    """Turn a compiled LangGraph graph, or a `StateGraph`, into a workflow. Nothing of it is run.

    A step's words are its name and the docstring of its function; sub-graphs are opened. Which edges are taken only
    on a decision is what LangGraph draws as such.

    Args:
        name: the id; by default the graph's own name.
        suite: what it was made for.
        models: which model a step asks, by the step's name; LangGraph does not know it.

    Raises:
        LogFault: no such graph, one that does not compile, one without steps, or one that a log may not hold.
    """
    drawn = _drawn(graph)
    steps = {key: node for key, node in drawn.nodes.items() if key not in (_START, _END)}
    if not steps:
        raise LogFault("a graph needs at least one step besides its start and end, but this has none; add a node")
    unknown = sorted(set(models) - set(steps))
    if unknown:
        raise LogFault(f"`models` must name steps of the graph, but {unknown[0]!r} is none; steps: {', '.join(steps)}")
    check_size(len(steps) + 1, len(drawn.edges))
    place = {key: i for i, key in enumerate([_START, *steps])}
    edges = [e for e in drawn.edges if e.source in place and e.target in place]
    firm = [(e.source, e.target) for e in drawn.edges if not e.conditional]
    sure = always_run(_START, firm, [(e.source, e.target) for e in drawn.edges if e.conditional])
    workflow = LoggedWorkflow(
        id=name or _name(graph),
        suite=suite,
        nodes=(PROBLEM, *(_words(key, node.data) for key, node in steps.items())),
        edges=tuple((place[e.source], place[e.target]) for e in edges),
        operators=(PROBLEM, *(_operator(key, node.data) for key, node in steps.items())),
        models=("", *(models.get(key, "") for key in steps)),
        edge_types=tuple("conditional" if e.conditional else "control" for e in edges),
        conditional=(False, *(key not in sure for key in steps)),
    )
    check_graph(workflow)
    return workflow


def _drawn(graph: Any) -> Any:
    """LangGraph's drawing of a graph, with sub-graphs opened."""
    if not hasattr(graph, "get_graph") and hasattr(graph, "compile"):
        try:
            graph = graph.compile()
        except ValueError as error:
            raise LogFault(f"the graph does not compile: {error}; mend it first") from error
    if not hasattr(graph, "get_graph"):
        raise LogFault(f"a LangGraph graph has `get_graph` or `compile`, but {type(graph).__name__} has neither")
    return graph.get_graph(xray=True)


def _name(graph: Any) -> str:
    named = getattr(graph, "name", None)
    return named if isinstance(named, str) and named else "graph"


def _function(step: Any) -> Any:
    """What a person wrote for a step, as far as LangGraph keeps it."""
    function = getattr(step, "func", None) or getattr(step, "afunc", None)
    while isinstance(function, partial):
        function = function.func
    return function


def _words(key: str, step: Any) -> str:
    function = _function(step)
    label = key.replace("_", " ")
    words = inspect.getdoc(function) if function is not None else None
    return f"{label}: {words[:MAX_WORDS]}" if words else label


def _operator(key: str, step: Any) -> str:
    function = _function(step)
    named = getattr(function, "__name__", "") if function is not None else type(step).__name__
    if function is not None and not named:
        return type(function).__name__
    return key if named in ("", "<lambda>", "NoneType") else named
