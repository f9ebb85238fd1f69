"""Pairs as rows of numbers for plain classifiers: what tasks and workflows are, and how they did before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from .encoding import Encoder, counts, lineage, structure, surface, vocabulary
from .logs import Logs, Pairs
from .splits import folds

TASK_AXES, PROMPT_AXES = 16, 8  # principal axes kept of the embedded task texts and prompts
PRIOR_RUNS = 2.0  # a rate is shrunk to its suite's mean as if that had been seen in so many runs
INNER_FOLDS = 5


class Axes:
    """The principal axes of some vectors, as many as there are up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._mean, self._axes = np.zeros(0), np.zeros((0, 0))

    def fit(self, vectors: np.ndarray) -> Self:
        """Learn from vectors of shape (n, d)."""
        self._mean = vectors.mean(0)
        _, size, axes = np.linalg.svd(vectors - self._mean, full_matrices=False)
        axes = axes[size > 1e-6 * max(size.max(initial=0), 1e-6)][: self._limit]
        signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)]) if len(axes) else np.ones(0)
        self._axes = axes * signs[:, None]  # else a sign is luck
        return self

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """The place along each axis; shape (n, axes)."""
        return np.asarray((vectors - self._mean) @ self._axes.T, float)


@dataclass(frozen=True)
class Rates:
    """How the task and the workflow of each of n pairs did elsewhere, against their suite's mean."""

    suite: np.ndarray  # (n,) logit of the suite's rate
    task: np.ndarray  # (n,) logit of the task's rate minus the suite's; 0 where unknown
    workflow: np.ndarray  # (n,)
    task_known: np.ndarray  # (n,) bool
    workflow_known: np.ndarray  # (n,) bool

    def of(self, task: bool, workflow: bool) -> np.ndarray:
        """The columns that may be looked at."""
        return np.column_stack([self.suite, *([self.task] if task else []), *([self.workflow] if workflow else [])])


class Features:
    """Learns from training pairs how to describe any pair: axes, vocabularies, suites and past rates."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._task_axes, self._prompt_axes = Axes(TASK_AXES), Axes(PROMPT_AXES)
        self._operators: tuple[str, ...] = ()
        self._models: tuple[str, ...] = ()
        self._logs: Logs | None = None
        self.suites: set[str] = set()

    def fit(self, logs: Logs) -> Self:
        """Look at the pairs of `logs` only, not at workflows and tasks that stand in none of them."""
        tasks = [logs.tasks[t] for t in np.unique(logs.task)]
        workflows = [logs.workflows[w] for w in np.unique(logs.workflow)]
        self._task_axes.fit(self._encoder.tasks(tasks))
        self._prompt_axes.fit(self._encoder.prompts(workflows))
        self._operators = vocabulary([w.operators for w in workflows])
        self._models = vocabulary([w.models for w in workflows])
        self.suites = set(map(str, logs.suite))
        self._logs = logs
        return self

    def content(self, pairs: Pairs) -> np.ndarray:
        """What shows of a pair before any run of it; shape (n, columns)."""
        t, task = np.unique(pairs.task, return_inverse=True)
        w, workflow = np.unique(pairs.workflow, return_inverse=True)
        tasks, workflows = [pairs.tasks[i] for i in t], [pairs.workflows[i] for i in w]
        of_task = np.hstack([surface(tasks), self._task_axes(self._encoder.tasks(tasks))])
        of_workflow = np.hstack(
            [
                structure(workflows),
                lineage(workflows),
                counts([w.operators for w in workflows], self._operators),
                counts([w.models for w in workflows], self._models),
                self._prompt_axes(self._encoder.prompts(workflows)),
            ]
        )
        suites = pairs.suite[:, None] == np.array(sorted(self.suites), str)
        return np.hstack([suites, of_task[task], of_workflow[workflow]])

    def rates(self, pairs: Pairs) -> Rates:
        """Past rates by all training pairs; for pairs that were not trained on."""
        assert self._logs is not None
        return rates_of(self._logs, pairs)

    def past(self, logs: Logs) -> Rates:
        """Past rates of the training pairs themselves, each by the folds that it is not in."""
        if len(logs) < 2:
            return rates_of(logs.take(np.zeros(0, int)), logs)
        fold, columns = folds(logs, "pair", INNER_FOLDS), np.zeros((5, len(logs)))
        for held in np.unique(fold):
            rows = fold == held
            found = rates_of(logs.take(~rows), logs.take(rows))
            columns[:, rows] = [found.suite, found.task, found.workflow, found.task_known, found.workflow_known]
        return Rates(columns[0], columns[1], columns[2], columns[3] > 0, columns[4] > 0)


def rates_of(past: Logs, pairs: Pairs) -> Rates:
    """What `past` says of the suites, tasks and workflows of `pairs`."""
    overall = (past.successes.sum() + 0.5) / (past.runs.sum() + 1)
    suite, _ = _shrunk(past, list(past.suite), list(pairs.suite), np.full(len(pairs), overall))
    task, task_known = _shrunk(past, task_keys(past), task_keys(pairs), suite)
    workflow, workflow_known = _shrunk(past, workflow_keys(past), workflow_keys(pairs), suite)
    base = logit(suite)
    return Rates(base, logit(task) - base, logit(workflow) - base, task_known, workflow_known)


def _shrunk(
    past: Logs, keys: Sequence[Hashable], asked: Sequence[Hashable], prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rate under each key that is asked for, shrunk to its prior, and whether the key is known."""
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    place = np.array([number[key] for key in keys], int)
    won = np.append(np.bincount(place, past.successes, len(number)), 0.0)
    ran = np.append(np.bincount(place, past.runs, len(number)), 0.0)
    at = np.array([number.get(key, len(number)) for key in asked], int)
    return (won[at] + PRIOR_RUNS * prior) / (ran[at] + PRIOR_RUNS), at < len(number)


def task_keys(pairs: Pairs) -> list[Hashable]:
    """What says which task it is, of each pair."""
    return [(pairs.tasks[t].suite, pairs.tasks[t].id) for t in pairs.task]


def workflow_keys(pairs: Pairs) -> list[Hashable]:
    """What says which workflow it is, of each pair."""
    return [pairs.workflows[w].graph_key for w in pairs.workflow]


def logit(rate: np.ndarray) -> np.ndarray:
    """log(p / (1 - p))."""
    return np.asarray(np.log(rate) - np.log1p(-rate))
