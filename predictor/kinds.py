"""Suites of a kind: those whose workflows do something alike. Tuning is another kind than answering questions."""

from __future__ import annotations

from collections import Counter

import networkx as nx

from .logs import Pairs


def apart(pairs: Pairs) -> tuple[str, ...]:
    """The suites of tasks and workflows that have nothing in common with those that most pairs are of, sorted.

    In common is a task, or an operator of a workflow, also by way of a third suite; an unknown operator is one too.
    """
    common: nx.Graph[tuple[str, str]] = nx.Graph()  # suites and what is done there: (kind, name)
    for w, suite in {(int(w), pairs.tasks[t].suite) for w, t in zip(pairs.workflow, pairs.task, strict=True)}:
        workflow = pairs.workflows[w]
        does = [("does", operator) for operator in workflow.operators]
        common.add_edges_from((("suite", suite), other) for other in (("suite", workflow.suite), *does))
    count = Counter(("suite", pairs.tasks[t].suite) for t in pairs.task)
    kinds = [set(kind) for kind in nx.connected_components(common)]
    most = max(kinds, key=lambda kind: (sum(count[name] for name in kind), min(kind)), default=set())
    return tuple(sorted(name for what, name in set(common) - most if what == "suite"))
