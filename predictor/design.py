"""From pairs of workflow and task to the columns of the mixed model: who is who, and what features say of each.

Everything is fitted on the training rows: which suites, graphs and models exist, the scale of each feature and the
directions in which texts vary most. Features of tasks speak against their suite's mean, alike in every suite. (Weights
of its own for each suite learn its noise: it has some 30 to 100 tasks.) Features of workflows speak for each suite by
itself. Directions of texts speak once more, alike in every suite and against the mean of all; what is counted does not,
as an operator or a length means another thing in another suite. A suite, graph or model that training has not seen has
zeros, so that the prior speaks for it, and the features over all suites. "All" are those of one kind (`kinds.py`): a
suite apart has weights of its own, and no part in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from . import encoding
from .encoding import Encoder
from .kinds import apart
from .logs import LoggedWorkflow, Pairs, Task
from .mixed import Block
from .scaling import Scaling, within_suites

SUITE_VARIANCE = 9.0  # of a suite's level, squared logits: success rates from 5 to 95 % are all usual
LEVEL_VARIANCE = 9.0  # of the level of all suites
AXES = 20  # directions of a text that are kept
EVERYWHERE = "*"  # the scope of texts that speak alike in every suite, against the mean of all
WITHIN = "~"  # of features that do so against their suite's mean
TASK_PARTS = ("surface", "text", "context")
WORKFLOW_PARTS = ("structure", "lineage", "prompts")
NEARNESS = "nearness"  # one more column of `surface`: alone, it could not tell how large its weight may be
TEXTS = ("text", "context", "prompts")
PARTS = (*TASK_PARTS, NEARNESS, *WORKFLOW_PARTS, "models")
DEFAULT = frozenset(PARTS) - {"lineage"}
HEAVY = frozenset({"structure", "lineage", "prompts"})  # features that may name a plainly broken workflow


@dataclass
class Design:
    """The columns. `fit` makes it, `columns` applies it."""

    encoder: Encoder
    parts: frozenset[str] = DEFAULT
    suites: tuple[str, ...] = ()
    graphs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    task_keys: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()  # suites of another kind than most, which no feature is shared with
    groups: tuple[str, ...] = ()  # suites of tasks, each with its own spread of difficulty
    group: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # (k,) of each known task
    scalings: dict[tuple[str, str], Scaling] = field(default_factory=dict)  # by part and scope: a suite, or the above
    axes: int = AXES

    def fit(self, pairs: Pairs) -> Design:
        """Learn what exists and how it is scaled."""
        workflows = [pairs.workflows[i] for i in np.unique(pairs.workflow)]
        tasks = [pairs.tasks[i] for i in np.unique(pairs.task)]
        self.suites = tuple(sorted(set(pairs.suite.tolist())))
        self.graphs = tuple(sorted({w.graph_key for w in workflows}))
        self.models = encoding.vocabulary([w.models for w in workflows])
        self.operators = encoding.vocabulary([w.operators for w in workflows])
        of = {key_of(task): task.suite for task in tasks}
        self.task_keys, self.groups = tuple(sorted(of)), tuple(sorted(set(of.values())))
        self.group = np.array([self.groups.index(of[key]) for key in self.task_keys], int)
        self.scalings, self.apart = {}, apart(pairs)
        for part in sorted(self.parts & {*TASK_PARTS, *WORKFLOW_PARTS}):
            items: Sequence[Any] = tasks if part in TASK_PARTS else workflows
            suites = sorted({item.suite for item in items})
            scopes = [WITHIN, *(set(self.apart) & set(suites))] if part in TASK_PARTS else suites
            across = part in TEXTS and len(set(suites) - set(self.apart)) > 1
            for scope in [*sorted(scopes), *([EVERYWHERE] if across else [])]:
                self._scale(part, scope, [item for item in items if self.inside(scope, item.suite)])
        return self

    def inside(self, scope: str, suite: str) -> bool:
        """Whether the weights of a scope are for a suite's features."""
        return scope == suite or (scope in (WITHIN, EVERYWHERE) and suite not in self.apart)

    def _scale(self, part: str, scope: str, items: Sequence[Any]) -> None:
        features = self._features(part, items)
        if len(items) < 3 or not features.size or not features.any():
            return
        scale = partial(Scaling.principal, axes=self.axes) if part in TEXTS else Scaling.standard
        found = within_suites(scale, features, [i.suite for i in items]) if scope == WITHIN else scale(features)
        if found.axes.any():
            self.scalings[part, scope] = found

    def _features(self, part: str, items: Sequence[Any]) -> np.ndarray:
        made: dict[str, Callable[[Sequence[Any]], np.ndarray]] = {
            "surface": self._surface,
            "text": self.encoder.tasks,
            "context": lambda tasks: self.encoder.texts([task.context for task in tasks]),
            "structure": self._structure,
            "lineage": encoding.lineage,
            "prompts": self.encoder.prompts,
        }
        return made[part](items)

    def _surface(self, tasks: Sequence[Task]) -> np.ndarray:
        shown = encoding.surface(tasks)
        return np.hstack([shown, self.encoder.nearness(tasks)]) if NEARNESS in self.parts else shown

    def _structure(self, workflows: Sequence[LoggedWorkflow]) -> np.ndarray:
        named = encoding.counts([w.operators for w in workflows], self.operators)
        return np.hstack([encoding.structure(workflows), named, named > 0])

    def blocks(self) -> list[Block]:
        """The blocks in the order of the columns."""
        found, at = list[Block](), 0
        for name, width in self._widths():
            fixed = {"level": LEVEL_VARIANCE, "suite": SUITE_VARIANCE}.get(name)
            heavy = name == "workflow" or name.split(":")[0] in HEAVY
            found.append(Block(name, np.arange(at, at + width), fixed, heavy))
            at += width
        return found

    def _widths(self) -> list[tuple[str, int]]:
        models = len(self.models) if "models" in self.parts and len(self.models) > 1 else 0
        scaled = [(f"{part}:{scope}", scaling.axes.shape[1]) for (part, scope), scaling in self.scalings.items()]
        return [("level", 1), ("suite", len(self.suites)), ("workflow", len(self.graphs)), ("model", models), *scaled]

    def columns(self, pairs: Pairs) -> sp.csr_matrix:
        """Shape (n, d), d the sum of the blocks' widths."""
        widths = dict(self._widths())
        blocks = [
            sp.csr_matrix(np.ones((len(pairs), 1))),
            _one_hot([_place(self.suites, suite) for suite in pairs.suite], widths["suite"]),
            _shares([[w.graph_key] for w in pairs.workflows], self.graphs)[pairs.workflow],
        ]
        if widths["model"]:
            blocks.append(_shares([w.models for w in pairs.workflows], self.models)[pairs.workflow])
        for part in dict.fromkeys(part for part, _ in self.scalings):
            blocks += self._scaled(part, pairs)
        return sp.hstack(blocks, format="csr")

    def _scaled(self, part: str, pairs: Pairs) -> list[sp.csr_matrix]:
        """The columns of one part, scope by scope, zeros outside a scope; what is asked for is read once."""
        items: Sequence[Any] = pairs.tasks if part in TASK_PARTS else pairs.workflows
        asked, place = np.unique(pairs.task if part in TASK_PARTS else pairs.workflow, return_inverse=True)
        features, suites = self._features(part, [items[i] for i in asked]), [items[i].suite for i in asked]
        found = list[sp.csr_matrix]()
        for (name, scope), scaling in self.scalings.items():
            if name == part:
                inside = np.array([self.inside(scope, suite) for suite in suites], bool)
                found.append(sp.csr_matrix(np.where(inside[:, None], scaling(features, suites), 0.0))[place])
        return found

    def tasks(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair the place of its task and of the task's group, -1 where unseen; shapes (n,), int."""
        known = {key: i for i, key in enumerate(self.task_keys)}
        task = np.array([known.get(key_of(task), -1) for task in pairs.tasks], int)
        group = np.array([_place(self.groups, task.suite) for task in pairs.tasks], int)
        return task[pairs.task], group[pairs.task]

    def unseen(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Whether each pair's suite and graph are new; shapes (n,), bool."""
        graphs = np.array([_place(self.graphs, w.graph_key) < 0 for w in pairs.workflows], bool)
        return ~np.isin(pairs.suite, self.suites), graphs[pairs.workflow]


def key_of(task: Task) -> str:
    """What a task is known by: its suite and its id there."""
    return f"{task.suite}\n{task.id}"


def _place(known: tuple[str, ...], name: str) -> int:
    return known.index(name) if name in known else -1


def _shares(bags: Sequence[Sequence[str]], known: tuple[str, ...]) -> sp.csr_matrix:
    """The share of each known name among the named of each bag; shape (len(bags), len(known))."""
    counted = [[name for name in bag if name] for bag in bags]
    rows = np.array([[bag.count(name) / max(len(bag), 1) for name in known] for bag in counted], float)
    return sp.csr_matrix(rows.reshape(len(bags), len(known)))


def _one_hot(places: Sequence[int], width: int) -> sp.csr_matrix:
    at = np.array(places, int)
    rows = np.flatnonzero(at >= 0)
    return sp.csr_matrix((np.ones(len(rows)), (rows, at[rows])), shape=(len(at), width))
