"""What past studies say in a new one's space: tasks as surrogates, and earlier trials of this very task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..trials.records import Config, Direction
from ..trials.search import encoded
from ..trials.space import Space

if TYPE_CHECKING:
    from .prior import PastTasks

LEAST = 5  # usable trials of a past task, below which it is left out
MOST = 50  # past tasks; the ones given first
SEVERAL = 5  # past tasks, from which they are judged as a whole
APART = 0.5  # of what a past task tells of itself, below which others tell so little of it that all go different ways
TELLS = 0.3  # Kendall's tau, what a past task's trials tell of each other, below which a search between them is blind
BEST = 10  # configurations of each past task that the first candidates are chosen from, and where the search looks too
OWN_BEST, OWN_REST = 20, 50  # earlier trials of this very task that are looked at: the best, and of the others evenly

_Rows = tuple[list[Config], np.ndarray]  # configurations in the space, and their values, shape (n,)


@dataclass(frozen=True, eq=False)
class PastStudy:
    """What was tried in another task. Equal only to itself, so that it can be a key."""

    name: str
    direction: Direction
    configs: tuple[Config, ...]
    values: tuple[float | None, ...]  # of `configs`; None where the trial failed
    same: bool = False  # an earlier study of the very task: its values compare with this study's


@dataclass(frozen=True)
class KnownTasks:
    """Past studies of other tasks, and of this very task among them."""

    surrogates: PastTasks
    best: tuple[Config, ...]  # of each task
    tells: bool  # whether trials tell enough of each other for a search between them


@dataclass(frozen=True)
class OwnTrials:
    """Earlier trials of this very task, the best first."""

    configs: tuple[Config, ...]
    points: np.ndarray  # encoded, shape (n, d)
    values: np.ndarray  # higher is better, shape (n,)

    @cached_property
    def surrogate(self) -> PastTasks:
        """Them as a task of its own, to tell whether the task is still what it was."""
        from .prior import PastTasks

        return PastTasks([self.points], [self.values])


@dataclass(frozen=True)
class Past:
    """What a study can start from. Beside other tasks the very task is best seen as one more of them; alone, its
    earlier trials count like the study's own (docs/benchmarks.md)."""

    tasks: KnownTasks | None  # None where there is no other task
    own: OwnTrials | None


def usable(studies: Sequence[PastStudy], space: Space) -> list[PastStudy]:
    """The past studies that count in this space, whatever they say of each other."""
    kept = ((study, inside(study, space)[1]) for study in studies)
    return [study for study, values in kept if len(values) >= LEAST and np.ptp(values) > 0][:MOST]


def read_past(studies: Sequence[PastStudy], space: Space) -> Past | None:
    """What usable studies say; None where there is none, or they go different ways."""
    known = usable(studies, space)
    rows = [inside(study, space) for study in known]
    own = next((_own(*row, space) for study, row in zip(known, rows, strict=True) if study.same), None)
    tasks = _tasks(rows, [row for study, row in zip(known, rows, strict=True) if not study.same], space)
    return None if tasks is None and own is None else Past(tasks, own)


def inside(study: PastStudy, space: Space) -> _Rows:
    """The configurations of a past study that lie in `space`, and their values, higher is better, shape (n,).

    A hyperparameter that the space does not have is left out; a failed trial counts as the worst that finished.
    """
    finished = [v for v in study.values if v is not None and math.isfinite(v)]
    if not finished:
        return [], np.array([])
    worst = study.direction.worst(finished)
    rows = [
        (config, worst if value is None or not math.isfinite(value) else value)
        for given, value in zip(study.configs, study.values, strict=True)
        if space.contains(config := {name: given[name] for name in space if name in given})
    ]
    return [config for config, _ in rows], study.direction.sign * np.array([value for _, value in rows])


def points_of(space: Space, configs: Sequence[Config]) -> np.ndarray:
    """Encoded, of shape (n, d)."""
    return np.array([encoded(space, config) for config in configs])


def _tasks(rows: Sequence[_Rows], others: Sequence[_Rows], space: Space) -> KnownTasks | None:
    """All tasks as one model; None where `others`, without this very task, are none or go different ways."""
    from .agreement import agreement

    if not others:
        return None
    surrogates = _surrogates(others, space)
    alike = agreement(surrogates) if len(others) >= SEVERAL else None
    if alike is not None and alike.surely_below(APART):
        return None
    best = [configs[i] for configs, values in rows for i in np.argsort(-values, kind="stable")[:BEST]]
    if len(rows) > len(others):  # this very task is tried between, not over again
        return KnownTasks(_surrogates(rows, space), tuple(best), tells=True)
    return KnownTasks(surrogates, tuple(best), tells=alike is None or alike.itself >= TELLS)


def _surrogates(rows: Sequence[_Rows], space: Space) -> PastTasks:
    from .prior import PastTasks  # scikit-learn takes a second to import

    return PastTasks([points_of(space, configs) for configs, _ in rows], [values for _, values in rows])


def _own(configs: Sequence[Config], values: np.ndarray, space: Space) -> OwnTrials:
    ranked = np.argsort(-values, kind="stable")
    rest = ranked[OWN_BEST:]
    evenly = rest[np.linspace(0, len(rest) - 1, min(len(rest), OWN_REST)).round().astype(int)] if len(rest) else rest
    kept = [*ranked[:OWN_BEST], *evenly]
    chosen = tuple(configs[i] for i in kept)
    return OwnTrials(chosen, points_of(space, chosen), values[kept])
