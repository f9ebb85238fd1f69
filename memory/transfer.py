"""The transfer advisor: candidates from what past tasks with the same hyperparameters showed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..trials.records import Candidate, Config, Direction, Trial
from ..trials.sampling import is_new, observed
from ..trials.search import Judge, encoded, search
from ..trials.space import Space

if TYPE_CHECKING:
    from .prior import PastTasks

FIRST = 3  # trials, a default among them, before this study's own values count
LIMIT = 30  # trials; beyond them a study knows itself better than its likes do
LEAST = 5  # usable trials of a past task, below which it is left out
MOST = 50  # past tasks; the ones given first
UNLIKE = 0.5  # probability that a study has nothing to do with the past ones, from which the advisor is silent
UNLIKE_SAME = 0.9  # the same where a study of this very task is among them: only what has changed makes it unlike
SEVERAL = 5  # past tasks, from which they are judged as a whole
APART = 0.5  # of what a past task tells of itself, below which others tell so little of it that all go different ways
TELLS = 0.3  # Kendall's tau, what a past task's trials tell of each other, below which a search between them is blind
STALL, OTHERS = 5, 3  # trials without a new best, after which every third turn is left to the other advisors
BEST = 10  # configurations of each past task that the first candidates are chosen from, and where the search looks too


@dataclass(frozen=True, eq=False)
class PastStudy:
    """What was tried in another task. Equal only to itself, so that it can be a key."""

    name: str
    direction: Direction
    configs: tuple[Config, ...]
    values: tuple[float | None, ...]  # of `configs`; None where the trial failed
    same: bool = False  # an earlier study of the very task: what was best there is tried first


class TransferAdvisor:
    """Advises from past studies, the most alike first; silent where they have nothing to say.

    A past study counts where its configurations lie in this study's space; names are what makes hyperparameters the
    same. The first candidates are configurations tried there: the best of this very task, then those that would have
    served the past studies best as a whole. Later ones follow this study's own values too. It is silent when these say
    that the past has nothing to do with it, and from the start where several past studies say nothing of each other.
    Where several hardly tell of their own left-out trials, a search between them is blind, and this study's values do
    not show whether it is like them: it goes on with what was tried there, and leaves turns to others once that stalls.
    """

    name = "transfer"

    def __init__(self, studies: Sequence[PastStudy]) -> None:
        self._studies = tuple(studies)
        self.silence = ""
        self._past = lru_cache(maxsize=4)(self._read)

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates; none without a usable past study, and none beyond `LIMIT` trials."""
        self.silence = ""
        if len(trials) >= LIMIT or (past := self._past(_Hashed(space))) is None:
            return []
        known = observed(trials, direction)
        if len(trials) < FIRST or len(known) < 2:
            return self._first(space, trials, past)[:n]
        if not past.tells:
            return [] if _stalled(trials, known, direction) else self._first(space, trials, past)[:n]
        from .prior import Transfer

        rng = np.random.default_rng(seed)
        values = direction.sign * np.array([value for _, value in known])
        model = Transfer(past.tasks, _encoded(space, [trial.config for trial, _ in known]), values, rng)
        if model.unlike >= (UNLIKE if past.own is None else UNLIKE_SAME):
            self.silence = "as this study's trials show, it has little to do with the past ones"
            return []
        whose = f"{_studies(past.tasks.count)} and {len(trials)} trials of this one"
        best = space.to_unit(known[int(np.argmax(values))][0].config)
        found = search(space, model, best, {space.key(trial.config) for trial in trials}, rng, past.best)
        return [Candidate(c, self.name, f"{whose} expect the most improvement here") for c in found[:n]]

    def _first(self, space: Space, trials: Sequence[Trial], past: _Past) -> list[Candidate]:
        """Configurations that were tried before: this task's best, then what adds most to those of this study."""
        from .prior import Portfolio

        ranked = _tried(space, trials, past, Portfolio(past.tasks, _encoded(space, [t.config for t in trials])))
        ranked.sort(key=lambda config: config != past.own)
        own = "the best of earlier studies of this very task"
        whole = f"{_studies(past.tasks.count)} would have done best with it"
        return [Candidate(config, self.name, own if config == past.own else whole) for config in ranked]

    def usable(self, space: Space) -> list[PastStudy]:
        """The past studies that count in this space, whatever they say of each other."""
        kept = ((study, inside(study, space)[1]) for study in self._studies)
        return [study for study, values in kept if len(values) >= LEAST and np.ptp(values) > 0][:MOST]

    def speaks(self, space: Space) -> bool:
        """Whether there are past studies that count, and they do not go different ways or one is of this very task."""
        return self._past(_Hashed(space)) is not None

    def _read(self, hashed: _Hashed) -> _Past | None:
        """The past studies that this space can use, as one model; None when none is, or they go different ways."""
        from .agreement import agreement
        from .prior import PastTasks  # scikit-learn takes a second to import

        kept = [inside(study, hashed.space) for study in self.usable(hashed.space)]
        if not kept:
            return None
        best = [[configs[i] for i in np.argsort(-values, kind="stable")[:BEST]] for configs, values in kept]
        own = next((b[0] for study, b in zip(self.usable(hashed.space), best, strict=True) if study.same), None)
        tasks = PastTasks([_encoded(hashed.space, configs) for configs, _ in kept], [values for _, values in kept])
        alike = agreement(tasks) if own is None and tasks.count >= SEVERAL else None
        if alike is not None and alike.surely_below(APART):
            return None
        tells = alike is None or alike.itself >= TELLS
        return _Past(tasks, tuple(config for one in best for config in one), own, tells)


@dataclass(frozen=True)
class _Past:
    tasks: PastTasks
    best: tuple[Config, ...]  # of each study
    own: Config | None  # the best of this very task
    tells: bool  # whether trials tell enough of each other for a search between them


@dataclass(frozen=True, eq=False)
class _Hashed:
    """A space as a key: two are equal when they say the same."""

    space: Space

    def __hash__(self) -> int:
        return hash(repr(self.space))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and repr(self.space) == repr(other.space)


def inside(study: PastStudy, space: Space) -> tuple[list[Config], np.ndarray]:
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


def _stalled(trials: Sequence[Trial], known: Sequence[tuple[Trial, float]], direction: Direction) -> bool:
    """Whether it is the turn of the other advisors: after `STALL` trials without a new best, each third one."""
    best = max(known, key=lambda row: direction.sign * row[1])[0]
    since = len(trials) - 1 - list(trials).index(best)
    return since >= STALL and (since - STALL) % OTHERS == 0


def _tried(space: Space, trials: Sequence[Trial], past: _Past, judge: Judge) -> list[Config]:
    """The past studies' best configurations that are new here, the most promising first."""
    seen = {space.key(trial.config) for trial in trials}
    fresh = list({space.key(c): c for c in past.best if is_new(space, c, seen)}.values())
    if not fresh:
        return []
    worth = judge.expected_improvement(_encoded(space, fresh))
    return [fresh[i] for i in np.argsort(-worth, kind="stable")]


def _encoded(space: Space, configs: Sequence[Config]) -> np.ndarray:
    """Of shape (n, d)."""
    return np.array([encoded(space, config) for config in configs])


def _studies(count: int) -> str:
    return "a past study" if count == 1 else f"{count} past studies as a whole"
