"""Graphs of LangGraph as workflows: built, never run."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from luthier.predictor.errors import LogFault
from luthier.predictor.gathering import MAX_NODES
from luthier.predictor.graph_import import MAX_WORDS, PROBLEM, workflow_of_graph


class Text(TypedDict):
    """A state."""

    text: str


def write_draft(state: Text) -> Any:
    """Write a first draft."""
    raise AssertionError("nothing may run")


async def check(state: Text) -> Any:
    """Look for mistakes."""
    raise AssertionError("nothing may run")


def judge(state: Text) -> Command[Literal["draft", "polish"]]:
    raise AssertionError("nothing may run")


class Polisher:
    """Polish the text."""

    def __call__(self, state: Text) -> Any:
        raise AssertionError("nothing may run")


@pytest.fixture
def graph() -> StateGraph[Text]:
    """draft -> check and count together -> judge, who sends back or on to polish."""
    made = StateGraph(Text)
    for name, step in (("draft", write_draft), ("check", check), ("judge", judge), ("polish", Polisher())):
        made.add_node(name, step)  # type: ignore[call-overload]
    made.add_node("count", lambda state: {})
    for source, target in ((START, "draft"), ("draft", "check"), ("draft", "count"), ("polish", END)):
        made.add_edge(source, target)
    made.add_edge(["check", "count"], "judge")
    return made


def test_steps_say_what_they_do_and_decisions_show(graph: StateGraph[Text]) -> None:
    found = workflow_of_graph(graph, name="essay", suite="Writing", models={"draft": "ollama:qwen"})
    place = {text.split(":")[0]: i for i, text in enumerate(found.nodes)}
    assert (found.id, found.suite) == ("essay", "Writing")
    assert set(found.nodes) == {
        PROBLEM,
        "draft: Write a first draft.",
        "check: Look for mistakes.",
        "judge",
        "polish: Polish the text.",
        "count",
    }
    operators = {name: found.operators[i] for name, i in place.items()}
    assert operators == {"problem": PROBLEM, "draft": "write_draft", "check": "check", "judge": "judge",
                         "polish": "Polisher", "count": "count"}  # fmt: skip
    kinds = dict(zip(found.edges, found.edge_types, strict=True))
    assert kinds[place["problem"], place["draft"]] == "control"
    assert kinds[place["judge"], place["draft"]] == kinds[place["judge"], place["polish"]] == "conditional"
    assert len(found.edges) == 7
    assert not any(found.conditional)  # no step is passed by: judge only sends back, or on
    assert found.models[place["draft"]] == "ollama:qwen"
    assert set(found.models) == {"ollama:qwen", ""}


def test_compiled_or_not_is_one_workflow(graph: StateGraph[Text]) -> None:
    compiled = graph.compile(name="essay")
    assert workflow_of_graph(compiled) == workflow_of_graph(graph, name="essay")


def test_a_step_that_a_decision_passes_by_is_conditional_and_sub_graphs_are_opened() -> None:
    inner = StateGraph(Text)
    inner.add_node("think", write_draft)
    inner.add_edge(START, "think")
    outer = StateGraph(Text)
    outer.add_node("inner", inner.compile())
    outer.add_node("check", check)
    outer.add_edge(START, "inner")
    outer.add_conditional_edges("inner", lambda state: END, {"again": "check", "done": END})
    found = workflow_of_graph(outer, name="nested")
    assert found.conditional == tuple(text.startswith("check") for text in found.nodes)
    assert "inner:think: Write a first draft." in found.nodes


def test_long_docstrings_are_cut() -> None:
    def step(state: Text) -> Any: ...

    step.__doc__ = "a" * 10_000
    made = StateGraph(Text)
    made.add_node("step", step)
    made.add_edge(START, "step")
    assert len(workflow_of_graph(made).nodes[1]) == MAX_WORDS + len("step: ")


def chain(length: int, *, back: bool = False) -> StateGraph[Text]:
    made = StateGraph(Text)
    for i in range(length):
        made.add_node(f"n{i}", write_draft)
        made.add_edge(f"n{i - 1}" if i else START, f"n{i}")
    if back:
        made.add_edge(f"n{length - 1}", "n0")
    return made


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        ("a graph", "has neither"),
        (StateGraph(Text), "does not compile"),
        (chain(3, back=True), "needs a conditional edge"),
        (chain(MAX_NODES), f"at most {MAX_NODES:,} nodes"),
    ],
)
def test_what_is_no_workflow_is_refused(graph: Any, word: str) -> None:
    with pytest.raises(LogFault, match=word):
        workflow_of_graph(graph)


def test_models_name_steps() -> None:
    with pytest.raises(LogFault, match="'plan' is none; steps: n0"):
        workflow_of_graph(chain(1), models={"plan": "m"})
