"""Logged runs as the predictor learns from them: which workflow did what on which task, and how often it succeeded.

A `Logs` holds each workflow and each task once and refers to them by place. Where it came from (FLORA's files, AFlow's
runs, a LangGraph graph, Luthier's own `workflows.jsonl`) no longer shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

COSTS = ("tokens", "seconds", "energy", "money")  # of all runs of a pair; energy in joules, money as the log has it


@dataclass(frozen=True)
class LoggedWorkflow:
    """A workflow as a log knows it: a directed graph of steps. All tuples over nodes have one entry a node.

    Raises:
        ValueError: no node, tuples of different lengths, or an edge to a node that is not there.
    """

    id: str
    suite: str  # the benchmark that it was made for, "" where none is named
    nodes: tuple[str, ...]  # what each step is told: prompts, or words on what it does
    edges: tuple[tuple[int, int], ...] = ()
    operators: tuple[str, ...] = ()  # "" where unknown
    models: tuple[str, ...] = ()  # "" where unknown, or where no model is asked
    edge_types: tuple[str, ...] = ()  # "data", "control" or "conditional", one an edge
    conditional: tuple[bool, ...] = ()  # whether a step may be skipped
    decoding: tuple[str, ...] = ()  # how tokens are drawn, as JSON; "" where unknown, or where no model is asked
    parent: str = ""  # id of the workflow that it was made from
    change: str = ""  # what was changed against the parent, in words
    round: int | None = None  # place in the search that made it, from 1

    def __post_init__(self) -> None:
        count = len(self.nodes)
        if not count:
            raise ValueError(f"workflow {self.id!r} needs at least one node; an empty graph says nothing")
        blank = {"operators": "", "models": "", "conditional": False, "decoding": ""}
        for name, empty in blank.items():
            given = getattr(self, name)
            if not given:
                object.__setattr__(self, name, (empty,) * count)
            elif len(given) != count:
                raise ValueError(
                    f"workflow {self.id!r} has {count} nodes, so it needs {count} {name}, not {len(given)}"
                )
        if not self.edge_types:
            object.__setattr__(self, "edge_types", ("data",) * len(self.edges))
        elif len(self.edge_types) != len(self.edges):
            raise ValueError(f"workflow {self.id!r} has {len(self.edges)} edges but {len(self.edge_types)} edge types")
        for edge in self.edges:
            if not all(0 <= end < count for end in edge):
                raise ValueError(f"workflow {self.id!r} has an edge {list(edge)}, but its nodes are 0 to {count - 1}")

    @cached_property
    def graph_key(self) -> str:
        """Equal for equal graphs: nodes with their words, operators and models, and edges, whatever id they go by.

        Decoding is no part of it: no log so far has two workflows that differ in nothing else.
        """
        shape = [
            self.nodes,
            self.operators,
            self.models,
            self.conditional,
            sorted(zip(self.edges, self.edge_types, strict=True)),
        ]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Task:
    """What a workflow was run on."""

    id: str
    suite: str
    text: str
    context: str = ""  # what is read beside the text, such as the paragraphs of a question


@dataclass(frozen=True)
class Pairs:
    """Workflows and tasks put together, without what came of it: what a prediction is asked for.

    Raises:
        ValueError: arrays of different lengths, or a place outside.
    """

    workflows: tuple[LoggedWorkflow, ...]
    tasks: tuple[Task, ...]
    workflow: np.ndarray  # (n,) int, places in `workflows`
    task: np.ndarray  # (n,) int, places in `tasks`

    def __post_init__(self) -> None:
        for name, known in (("workflow", self.workflows), ("task", self.tasks)):
            places = getattr(self, name)
            if places.shape != self.workflow.shape:
                raise ValueError(
                    f"`workflow` and `task` need one length, but have {self.workflow.shape} and {places.shape}"
                )
            if len(places) and (places.min() < 0 or places.max() >= len(known)):
                raise ValueError(f"places in `{name}` must lie in 0 to {len(known) - 1}")

    def __len__(self) -> int:
        return len(self.workflow)

    @cached_property
    def suite(self) -> np.ndarray:
        """Of each pair, the workflow's, else the task's; shape (n,), str."""
        return np.array(
            [self.workflows[w].suite or self.tasks[t].suite for w, t in zip(self.workflow, self.task, strict=True)], str
        )

    @cached_property
    def graph(self) -> np.ndarray:
        """Of each pair, a number that is equal for equal graphs; shape (n,), int."""
        keys = {key: i for i, key in enumerate(sorted({w.graph_key for w in self.workflows}))}
        return np.asarray(np.array([keys[w.graph_key] for w in self.workflows], int)[self.workflow])

    @classmethod
    def all_of(cls, workflows: Sequence[LoggedWorkflow], tasks: Sequence[Task]) -> Pairs:
        """Every workflow with every task, workflow by workflow."""
        w, t = np.meshgrid(np.arange(len(workflows)), np.arange(len(tasks)), indexing="ij")
        return cls(tuple(workflows), tuple(tasks), w.ravel(), t.ravel())


@dataclass(frozen=True)
class Logs(Pairs):
    """Pairs with their outcomes. `take` keeps workflows and tasks, so that places mean the same in every part.

    Raises:
        ValueError: as `Pairs`; a count of runs below 1, or successes outside 0 to runs.
    """

    runs: np.ndarray = field(kw_only=True)  # (n,) int, at least 1
    successes: np.ndarray = field(kw_only=True)  # (n,) int, 0 to runs
    costs: np.ndarray = field(kw_only=True, default_factory=lambda: np.zeros(0))  # (n, COSTS) float, NaN where unknown

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.costs.size:
            object.__setattr__(self, "costs", np.full((len(self), len(COSTS)), np.nan))
        if self.costs.shape != (len(self), len(COSTS)):
            raise ValueError(f"`costs` needs shape {(len(self), len(COSTS))}, but has {self.costs.shape}")
        if not self.runs.shape == self.successes.shape == self.workflow.shape:
            shapes = [self.runs.shape, self.successes.shape]
            raise ValueError(f"`runs` and `successes` need shape {self.workflow.shape}, but have {shapes}")
        if (self.runs < 1).any() or (self.successes < 0).any() or (self.successes > self.runs).any():
            raise ValueError("each pair needs at least 1 run and 0 to that many successes")

    @property
    def frequency(self) -> np.ndarray:
        """The share of runs that succeeded; shape (n,)."""
        return np.asarray(self.successes / self.runs)

    @property
    def label(self) -> np.ndarray:
        """1 where at least half of the runs succeeded, as FLORA-Bench's majority; shape (n,), int."""
        return (2 * self.successes >= self.runs).astype(int)

    def take(self, rows: np.ndarray) -> Logs:
        """The part at these rows, places or a mask of shape (n,); workflows and tasks stay as they are."""
        return Logs(
            self.workflows,
            self.tasks,
            self.workflow[rows],
            self.task[rows],
            runs=self.runs[rows],
            successes=self.successes[rows],
            costs=self.costs[rows],
        )
