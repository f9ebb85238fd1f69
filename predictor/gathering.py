"""Puts logged runs together: each workflow and each task once, repeats of a pair added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np

from .errors import LogFault
from .lines import Faults
from .logs import COSTS, LoggedWorkflow, Logs, Task

MAX_NODES = 1_000  # 70 times the largest graph of AFlow's archive; each text takes the embedder about 10 ms
MAX_EDGES = 10_000  # ten a node
MAX_RUNS = 1_000_000_000  # of a line; nine billion such lines still add up in 64 bits
_Amounts = Sequence[float]  # one of each of COSTS
_Counts = dict[tuple[str, str], tuple[int, int, _Amounts]]  # runs, successes and costs by the ids of workflow and task
UNKNOWN = (float("nan"),) * len(COSTS)


class Gathering:
    """Takes runs in any order and makes `Logs` of them. What contradicts an earlier run is a fault."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._workflows: dict[str, LoggedWorkflow] = {}
        self._tasks: dict[str, Task] = {}
        self._parts: dict[str, _Counts] = {}

    def add(
        self,
        place: str,
        workflow: LoggedWorkflow,
        task: Task,
        runs: int,
        successes: int,
        *,
        part: str = "",
        costs: _Amounts = UNKNOWN,
    ) -> None:
        """Add the runs of a pair.

        Args:
            place: file and line, for messages.
            part: of the log, such as `train`.
            costs: of these runs, NaN where unknown, which makes the sum of the pair unknown.
        """
        try:
            check_counts(runs, successes)
            self._check_workflow(workflow)
            self._check_task(task)
        except LogFault as fault:
            self.faults.add(place, fault)
            return
        self._workflows.setdefault(workflow.id, workflow)
        self._tasks.setdefault(task.id, task)
        _count(self._parts.setdefault(part, {}), (workflow.id, task.id), runs, successes, costs)

    def _check_workflow(self, workflow: LoggedWorkflow) -> None:
        known = self._workflows.get(workflow.id)
        if known is None:
            check_graph(workflow)
            return
        if known != workflow and known.graph_key != workflow.graph_key:
            rule = f"an id must stand for one workflow, but {workflow.id!r} came before with another graph"
            raise LogFault(f"{rule}; give it an id of its own")
        if known.suite != workflow.suite:
            raise LogFault(_two_suites("workflow", workflow.id, known.suite, workflow.suite))

    def _check_task(self, task: Task) -> None:
        known = self._tasks.get(task.id, task)
        if (known.text, known.context) != (task.text, task.context):
            rule = f"an id must stand for one task, but {task.id!r} came before with another text"
            raise LogFault(f"{rule}; give it an id of its own")
        if known.suite != task.suite:
            rule = _two_suites("task", task.id, known.suite, task.suite)
            raise LogFault(f"{rule}, or name the suite that it is from in `task_suite`")

    def logs(self) -> Logs:
        """All that was taken, pairs in the order in which they first came."""
        together: _Counts = {}
        for counts in self._parts.values():
            for pair, counted in counts.items():
                _count(together, pair, *counted)
        return self._logs(together)

    def parts(self) -> dict[str, Logs]:
        """What was taken by part; places in workflows and tasks mean the same in all."""
        return {part: self._logs(counts) for part, counts in self._parts.items()}

    def _logs(self, counts: Mapping[tuple[str, str], tuple[int, int, _Amounts]]) -> Logs:
        w = {name: i for i, name in enumerate(self._workflows)}
        t = {name: i for i, name in enumerate(self._tasks)}
        counted = np.array([(runs, successes) for runs, successes, _ in counts.values()], int).reshape(-1, 2)
        return Logs(
            tuple(self._workflows.values()),
            tuple(self._tasks.values()),
            np.array([w[workflow] for workflow, _ in counts], int),
            np.array([t[task] for _, task in counts], int),
            runs=counted[:, 0],
            successes=counted[:, 1],
            costs=np.array([costs for _, _, costs in counts.values()], float).reshape(-1, len(COSTS)),
        )


def _two_suites(what: str, name: str, before: str, now: str) -> str:
    rule = f"an id must stand for one {what} of one suite, but {name!r} came before in {before!r} and is now in {now!r}"
    return f"{rule}; give it an id of its own"


def _count(counts: _Counts, pair: tuple[str, str], runs: int, successes: int, costs: _Amounts) -> None:
    had = counts.get(pair, (0, 0, (0.0,) * len(COSTS)))
    summed = tuple(one + other for one, other in zip(had[2], costs, strict=True))
    counts[pair] = (had[0] + runs, had[1] + successes, summed)


def check_counts(runs: int, successes: int) -> None:
    """Raises LogFault when successes lie outside 0 to runs, or there is no run, or more than anybody can run."""
    if not 1 <= runs <= MAX_RUNS:
        raise LogFault(f"a pair needs 1 to {MAX_RUNS:,} runs, but has {runs}; drop it, or correct the count")
    if not 0 <= successes <= runs:
        raise LogFault(f"a label must lie in 0 to {runs}, the number of runs, but is {successes}; correct it")


def check_graph(workflow: LoggedWorkflow) -> None:
    """Check what a log may hold beyond what a `LoggedWorkflow` checks itself.

    Raises:
        LogFault: too many nodes or edges, or a cycle that no decision can leave.
    """
    check_size(len(workflow.nodes), len(workflow.edges))
    firm = [e for e, kind in zip(workflow.edges, workflow.edge_types, strict=True) if kind != "conditional"]
    if circle := _cycle(firm):
        steps = " -> ".join(map(str, circle))
        rule = f"a cycle needs a conditional edge that can leave it, but {steps} has none"
        raise LogFault(f"{rule}; remove an edge, or name the types of edges in `edge_type`")


def check_size(nodes: int, edges: int) -> None:
    """Raises LogFault when a graph has more nodes or edges than a workflow can have."""
    for what, count, most in (("nodes", nodes, MAX_NODES), ("edges", edges, MAX_EDGES)):
        if count > most:
            raise LogFault(f"a workflow may have at most {most:,} {what}, but this has {count:,}; split or drop it")


def _cycle(edges: Sequence[tuple[int, int]]) -> list[int]:
    graph: nx.DiGraph[int] = nx.DiGraph(edges)
    if nx.is_directed_acyclic_graph(graph):
        return []
    found = nx.find_cycle(graph)
    return [found[0][0], *(edge[1] for edge in found)]
