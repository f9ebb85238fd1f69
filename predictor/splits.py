"""Ways to hold runs back, from the easiest question to the hardest: a pair, a task, a workflow or a whole suite unseen.

What must not be on both sides goes into one fold: equal graphs and equal tasks, whatever their ids; suites that share
tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .logs import Logs, Pairs, Task

FOLDS = 5


def folds(pairs: Pairs, split: str, count: int = FOLDS, seed: int = 0) -> np.ndarray:
    """The fold of each pair. The same content gets the same fold, wherever it stands in the log.

    Args:
        pairs: n of them.
        split: `pair` (by suite, each suite over all folds), `task` and `workflow` (each suite family over all folds)
            or `suite` (one family a fold; `count` does not matter).
        count: folds, at least 2.
        seed: of the shuffle.

    Returns:
        Shape (n,), int from 0.

    Raises:
        ValueError: an unknown split, or fewer than 2 folds.
    """
    if split not in SPLITS:
        raise ValueError(f"a split must be one of {', '.join(SPLITS)}, but got {split!r}")
    if count < 2:
        raise ValueError(f"a split needs at least 2 folds, but got {count}")
    family = families(pairs)
    if split == "suite":
        return np.unique(family, return_inverse=True)[1].astype(int)
    strata = pairs.suite if split == "pair" else family
    return _deal(SPLITS[split](pairs), list(strata), count, seed)


def families(pairs: Pairs) -> np.ndarray:
    """Of each pair, the first name of all suites that share tasks with its own; shape (n,), str."""
    leader = {str(suite): str(suite) for suite in pairs.suite}

    def lead(suite: str) -> str:
        while leader[suite] != suite:
            suite = leader[suite]
        return suite

    seen: dict[Hashable, str] = {}
    for task, suite in zip(_tasks(pairs), map(str, pairs.suite), strict=True):
        one, other = sorted((lead(seen.setdefault(task, suite)), lead(suite)))
        leader[other] = one
    return np.array([lead(str(suite)) for suite in pairs.suite], str)


def split_rows(logs: Logs, fold: np.ndarray, held: int) -> tuple[Logs, Logs]:
    """What to train on and what to test on when one fold is held back."""
    return logs.take(fold != held), logs.take(fold == held)


def _pairs(pairs: Pairs) -> list[Hashable]:
    return list(zip(_graphs(pairs), _tasks(pairs), strict=True))


def _tasks(pairs: Pairs) -> list[Hashable]:
    """The same for tasks of one text and context: the first of the names that they go by."""
    held = [pairs.tasks[t] for t in pairs.task]
    name: dict[Hashable, tuple[str, str]] = {}
    for task in held:
        name[_content(task)] = min(name.get(_content(task), (task.suite, task.id)), (task.suite, task.id))
    return [name[_content(task)] for task in held]


def _content(task: Task) -> tuple[str, ...]:
    """What a task says; its own name where it says nothing."""
    return (task.text, task.context) if task.text or task.context else ("", task.suite, task.id)


def _graphs(pairs: Pairs) -> list[Hashable]:
    return [pairs.workflows[w].graph_key for w in pairs.workflow]


def _deal(groups: Sequence[Hashable], strata: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Shuffle the groups of each stratum and deal them out in turn; a group belongs to the first of its strata."""
    stratum: dict[Hashable, str] = {}
    for group, name in zip(groups, strata, strict=True):
        stratum[group] = min(stratum.get(group, name), name)
    rng, dealt, place = np.random.default_rng(seed), 0, {}
    for name in sorted(set(stratum.values())):
        members = sorted((group for group in stratum if stratum[group] == name), key=repr)
        for i in rng.permutation(len(members)):
            place[members[i]] = dealt % count
            dealt += 1
    return np.array([place[group] for group in groups], int)


SPLITS: Mapping[str, Callable[[Pairs], list[Hashable]]] = MappingProxyType(
    {"pair": _pairs, "task": _tasks, "workflow": _graphs, "suite": _tasks}
)
QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "pair": "a known workflow on a known task that it was not run on",
        "task": "a known workflow on a new task",
        "workflow": "a new workflow on a known task",
        "suite": "workflows and tasks of a new suite; it abstains there, so these are its guesses",
    }
)
