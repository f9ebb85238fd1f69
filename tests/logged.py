"""Logs for tests: a small one, and any one that hypothesis thinks of."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from luthier.predictor.logs import COSTS, LoggedWorkflow, Logs, Task

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SUITES = st.sampled_from(("", "GSM8K", "Math AF"))


def line(**changes: Any) -> dict[str, Any]:
    """A line of FLORA's, with changes; a None leaves the key out."""
    flora = {"workflow_id": 1, "task_id": 7, "task": "2 + 2?", "nodes": {"0": "problem", "1": "Solve it."},
             "edge_index": [[0, 1]], "label": True}  # fmt: skip
    return {key: value for key, value in {**flora, **changes}.items() if value is not None}


@st.composite
def workflows(draw: st.DrawFn, name: str) -> LoggedWorkflow:
    """Any workflow whose loops a decision can leave."""
    nodes = draw(st.lists(TEXTS, min_size=1, max_size=5))
    ends = st.integers(0, len(nodes) - 1)
    edges = tuple(draw(st.lists(st.tuples(ends, ends), max_size=6)))
    types = tuple(draw(st.sampled_from(("data", "control"))) if a < b else "conditional" for a, b in edges)
    each = {"min_size": len(nodes), "max_size": len(nodes)}
    return LoggedWorkflow(
        id=name,
        suite=draw(SUITES),
        nodes=tuple(nodes),
        edges=edges,
        operators=tuple(draw(st.lists(TEXTS, **each))),
        models=tuple(draw(st.lists(TEXTS, **each))),
        edge_types=types,
        conditional=tuple(draw(st.lists(st.booleans(), **each))),
        decoding=tuple(draw(st.lists(st.sampled_from(("", '{"temperature": 0.5, "top_p": 1}')), **each))),
        parent=draw(TEXTS),
        change=draw(TEXTS),
        round=draw(st.none() | st.integers(1, 99)),
    )


@st.composite
def any_logs(draw: st.DrawFn) -> Logs:
    """Any logs in which each workflow and task has a pair, numbered as they first come."""
    made = [draw(workflows(f"{draw(TEXTS)}/{i}")) for i in range(draw(st.integers(1, 3)))]
    tasks = [Task(f"{draw(TEXTS)}/{i}", draw(SUITES), draw(TEXTS), draw(TEXTS)) for i in range(draw(st.integers(1, 3)))]
    rest = draw(st.sets(st.tuples(st.integers(0, len(made) - 1), st.integers(0, len(tasks) - 1)), max_size=5))
    first = [(min(i, len(made) - 1), min(i, len(tasks) - 1)) for i in range(max(len(made), len(tasks)))]
    pairs = np.array(list(dict.fromkeys([*first, *sorted(rest)])), int)
    runs = np.array(draw(st.lists(st.integers(1, 9), min_size=len(pairs), max_size=len(pairs))), int)
    successes = np.array([draw(st.integers(0, int(n))) for n in runs], int)
    amounts = st.sampled_from((np.nan, 0.0, 7.0, 2.5))
    costs = np.array([draw(st.tuples(*[amounts] * len(COSTS))) for _ in runs])
    return Logs(tuple(made), tuple(tasks), pairs[:, 0], pairs[:, 1], runs=runs, successes=successes, costs=costs)


def as_data(logs: Logs) -> list[Any]:
    """All that logs hold, to be compared."""
    places = [logs.workflow.tolist(), logs.task.tolist(), logs.runs.tolist(), logs.successes.tolist()]
    return [logs.workflows, logs.tasks, *places, np.nan_to_num(logs.costs, nan=-1).tolist()]
