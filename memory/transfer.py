"""The transfer advisor: candidates from what past studies with the same hyperparameters showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..trials.records import Candidate, Config, Direction, Trial
from ..trials.sampling import is_new, observed
from ..trials.search import Judge, search
from ..trials.space import Space
from .past import KnownTasks, OwnTrials, Past, PastStudy, points_of, read_past, usable

FIRST = 3  # trials, a default among them, before this study's own values count
LIMIT = 30  # trials; beyond them a study knows itself better than its likes do
UNLIKE = 0.5  # probability that a study has nothing to do with the past ones, from which the advisor is silent
UNLIKE_SAME = 0.9  # the same for a study of this very task: only what has changed makes it unlike
REPEATED = 0.25  # of the quartiles' distance: by how much a repeated configuration's value may differ at the median
STALL, OTHERS = 5, 3  # trials without a new best, after which every third turn is left to the other advisors
CHANGED = "as this study's trials show, it has little to do with the past ones"


class TransferAdvisor:
    """Advises from past studies, the most alike first; silent where they have nothing to say.

    A past study counts where its configurations lie in this study's space; names are what makes hyperparameters the
    same. The first candidates are configurations tried there: the best of this very task, then those that would have
    served the past studies best as a whole. Later ones follow this study's own values too, among which earlier ones of
    this very task count where no other task is known. It is silent when its trials say that the past has nothing to do
    with it, and from the start where several past studies say nothing of each other. Where several hardly tell of their
    own left-out trials, a search between them is blind, and this study's values do not show whether it is like them:
    it goes on with what was tried there, and leaves turns to others once that stalls.
    """

    name = "transfer"

    def __init__(self, studies: Sequence[PastStudy]) -> None:
        self._studies = tuple(studies)
        self.silence = ""
        self._past = lru_cache(maxsize=4)(lambda hashed: read_past(self._studies, hashed.space))

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates; none without a usable past study, and none beyond `LIMIT` trials."""
        self.silence = ""
        if len(trials) >= LIMIT or (past := self._past(_Hashed(space))) is None:
            return []
        known = observed(trials, direction)
        if len(trials) < FIRST or len(known) < 2:
            found = _first(space, trials, past)
            if found or past.tasks is not None:
                return found[:n]
        if past.tasks is not None and not past.tasks.tells:
            return [] if _stalled(trials, known, direction) else _first(space, trials, past)[:n]
        rng = np.random.default_rng(seed)
        word = _word(past, _Seen.of(space, known, direction), rng)
        if word is None:
            self.silence = CHANGED
            return []
        return _searched(space, trials, past, word, rng)[:n]

    def usable(self, space: Space) -> list[PastStudy]:
        """The past studies that count in this space, whatever they say of each other."""
        return usable(self._studies, space)

    def left_aside(self, space: Space) -> list[PastStudy]:
        """The usable past studies that it does not look at: other tasks that go different ways."""
        past = self._past(_Hashed(space))
        known = past is not None and past.tasks is not None
        return [] if known else [study for study in self.usable(space) if not study.same]


@dataclass(frozen=True)
class _Seen:
    """What is known of this task."""

    configs: tuple[Config, ...]
    points: np.ndarray  # shape (n, d)
    values: np.ndarray  # higher is better, shape (n,)

    @classmethod
    def of(cls, space: Space, known: Sequence[tuple[Trial, float]], direction: Direction) -> _Seen:
        configs = tuple(trial.config for trial, _ in known)
        return cls(configs, points_of(space, configs), direction.sign * np.array([value for _, value in known]))

    def after(self, own: OwnTrials) -> _Seen:
        """With earlier trials before them."""
        points = np.vstack([own.points, self.points]) if self.configs else own.points
        return _Seen((*own.configs, *self.configs), points, np.concatenate([own.values, self.values]))


@dataclass(frozen=True)
class _Word:
    """What judges configurations, of which trials, and whose word it is."""

    judge: Judge
    seen: _Seen
    whose: str


def _first(space: Space, trials: Sequence[Trial], past: Past) -> list[Candidate]:
    """Configurations that were tried before: this task's best, then what adds most to those of this study."""
    tried = [trial.config for trial in trials]
    own = [] if past.own is None else [c for c in past.own.configs[:1] if is_new(space, c, set(map(space.key, tried)))]
    found = [Candidate(config, TransferAdvisor.name, "the best of earlier studies of this very task") for config in own]
    if past.tasks is None:
        return found
    reason = f"{_studies(past.tasks)} would have done best with it"
    return found + [Candidate(c, TransferAdvisor.name, reason) for c in _adding(space, [*tried, *own], past.tasks)]


def _adding(space: Space, tried: Sequence[Config], tasks: KnownTasks) -> list[Config]:
    """The past studies' best configurations that are new, those first that add most to what was tried."""
    from .prior import Portfolio

    seen = {space.key(config) for config in tried}
    fresh = list({space.key(c): c for c in tasks.best if is_new(space, c, seen)}.values())
    if not fresh:
        return []
    worth = Portfolio(tasks.surrogates, points_of(space, tried)).expected_improvement(points_of(space, fresh))
    return [fresh[i] for i in np.argsort(-worth, kind="stable")]


def _word(past: Past, seen: _Seen, rng: np.random.Generator) -> _Word | None:
    """What the past and this study say together; None where the one has little to do with the other."""
    from ..trials.surrogate import Surrogate
    from .prior import Transfer

    unlike = UNLIKE if past.own is None else UNLIKE_SAME
    if past.tasks is not None:
        guesses = Transfer(past.tasks.surrogates, seen.points, seen.values, rng)
        return None if guesses.unlike >= unlike else _Word(guesses, seen, _studies(past.tasks))
    assert past.own is not None
    told = len(seen.configs) >= FIRST and Transfer(past.own.surrogate, seen.points, seen.values, rng).unlike >= unlike
    if told and not _as_before(past.own, seen):
        return None
    all_seen = seen.after(past.own)
    judge = Surrogate(all_seen.points, all_seen.values, rng)
    return _Word(judge, all_seen, f"{len(past.own.configs)} earlier trials of this very task")


def _as_before(own: OwnTrials, seen: _Seen) -> bool:
    """Whether two or more configurations, as the default and the best, that ran in an earlier study and again in this
    one came out about the same."""
    earlier, now = np.nonzero((own.points[:, None] == seen.points[None]).all(axis=2))
    if len(now) < 2:
        return False
    spread = float(np.subtract(*np.percentile(own.values, [75, 25])))
    return bool(np.median(np.abs(seen.values[now] - own.values[earlier])) <= REPEATED * spread)


def _searched(
    space: Space, trials: Sequence[Trial], past: Past, word: _Word, rng: np.random.Generator
) -> list[Candidate]:
    best = space.to_unit(word.seen.configs[int(np.argmax(word.seen.values))])
    barred = {space.key(config) for config in (*(trial.config for trial in trials), *word.seen.configs)}
    found = search(space, word.judge, best, barred, rng, past.tasks.best if past.tasks else ())
    these = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
    reason = f"{word.whose} and {these} of this one expect the most improvement here"
    return [Candidate(config, TransferAdvisor.name, reason) for config in found]


def _stalled(trials: Sequence[Trial], known: Sequence[tuple[Trial, float]], direction: Direction) -> bool:
    """Whether it is the turn of the other advisors: after `STALL` trials without a new best, each third one."""
    best = max(known, key=lambda row: direction.sign * row[1])[0]
    since = len(trials) - 1 - list(trials).index(best)
    return since >= STALL and (since - STALL) % OTHERS == 0


def _studies(tasks: KnownTasks) -> str:
    count = tasks.surrogates.count
    return "a past study" if count == 1 else f"{count} past studies as a whole"


@dataclass(frozen=True, eq=False)
class _Hashed:
    """A space as a key: two are equal when they say the same."""

    space: Space

    def __hash__(self) -> int:
        return hash(repr(self.space))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and repr(self.space) == repr(other.space)
