"""Suites of a kind: those whose workflows do something alike. Tuning is another kind than answering questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .logs import Pairs

_Name = tuple[str, str]  # what it is, and how it is called


def apart(pairs: Pairs) -> tuple[str, ...]:
    """The suites of tasks and workflows that have nothing in common with those that most pairs are of, sorted.

    In common is a task, or an operator of a workflow, also by way of a third suite; an unknown operator is one too.
    """
    leader: dict[_Name, _Name] = {}
    for w, suite in {(int(w), pairs.tasks[t].suite) for w, t in zip(pairs.workflow, pairs.task, strict=True)}:
        workflow, first = pairs.workflows[w], ("suite", suite)
        for name in (first, ("suite", workflow.suite), *(("does", operator) for operator in workflow.operators)):
            one, other = sorted((_lead(leader, first), _lead(leader, name)))
            leader[other] = leader[one] = one
    if not leader:
        return ()
    count = Counter(_lead(leader, ("suite", pairs.tasks[t].suite)) for t in pairs.task)
    most = max(count, key=lambda kind: (count[kind], kind))
    return tuple(sorted(name for what, name in leader if what == "suite" and _lead(leader, (what, name)) != most))


def _lead(leader: Mapping[_Name, _Name], name: _Name) -> _Name:
    while leader.get(name, name) != name:
        name = leader[name]
    return name
