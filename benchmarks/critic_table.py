"""Every step of the walks as a row: the numbers of the step alone and merged with the one before, and what came of it.

A step is worth its trial when its value beats the best one before it by more than the noise. Merged with the step
before, it starts where that one started: what is known is what was known then, and what is to beat is the best from
before both (node compression, arXiv 2503.13551, section 3). No row knows anything of its own trial or of a later one.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from critic_worlds import Offer, Walk

from luthier.predictor.step_features import FEATURES, Stand
from luthier.predictor.step_places import Places
from luthier.trials.records import best_trial

EARLIEST = 2  # the first trial with a step before it


@dataclass(frozen=True)
class Rows:
    """Steps; every array has one entry a step."""

    alone: np.ndarray  # (n, features): the step from where the study stands
    merged: np.ndarray  # (n, features): the latest step and this one as one, from where the study stood before
    worth: np.ndarray  # (n,) bool: it beat the best before it
    worth_both: np.ndarray  # (n,) bool: it beat the best from before the latest trial
    gain: np.ndarray  # (n,) over the best before it, in units of the noise; never negative
    walk: np.ndarray  # (n,) the walk's id
    suite: np.ndarray
    task: np.ndarray
    tuner: np.ndarray
    index: np.ndarray  # (n,) the trial's number
    source: np.ndarray
    taken: np.ndarray  # (n,) bool: it really ran

    def __len__(self) -> int:
        return len(self.worth)

    def take(self, rows: np.ndarray) -> Self:
        """Some of the rows, by a mask or by places."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Self:
        """All rows of some parts."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def column(self, name: str, merged: bool = False) -> np.ndarray:
        """One of the features, shape (n,)."""
        return (self.merged if merged else self.alone)[:, FEATURES.index(name)]

    @property
    def mends(self) -> np.ndarray:
        """Whether the latest trial came out badly and the step goes on from there: see `step_features.MENDS`."""
        return self.column("mends") > 0


def rows_of(walk: Walk) -> Rows | None:
    """The steps of a walk from its third trial on; None where there is none with a value to beat."""
    found: list[tuple[Any, ...]] = []
    before: Stand | None = None
    places = Places(walk.space)
    for number in range(1, len(walk.trials)):
        stand = Stand(walk.space, walk.trials[:number], walk.direction, walk.metric, places)
        if number >= EARLIEST and before is not None and before.best is not None and stand.best is not None:
            ran = walk.trials[number]
            options = [(Offer(ran.config, ran.value, ran.source), True)]
            options += [(o, False) for o in walk.offers.get(number, [])]
            for offer, taken in options:
                gains = [gain(walk, offer, s) for s in (stand, before)]
                found.append(
                    (stand.features(offer.config), before.features(offer.config), gains[0] > 1, gains[1] > 1, gains[0],
                     walk.id, walk.suite, walk.task, walk.tuner, number, offer.source, taken)
                )  # fmt: skip
        before = stand
    return None if not found else Rows(*(np.array(column) for column in zip(*found, strict=True)))


def gain(walk: Walk, offer: Offer, stand: Stand) -> float:
    """By how much an offer beats the best trial of a state, in units of the noise; never negative."""
    best = best_trial(stand.trials, walk.direction)
    if offer.value is None or best is None or best.value is None:
        return 0.0
    return max(walk.direction.gain(offer.value, best.value), 0.0) / walk.noise


def table(walks: Sequence[Walk], jobs: int = 1) -> Rows:
    """The rows of all walks."""
    if jobs == 1:
        parts = [rows_of(w) for w in walks]
    else:
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            parts = pool.map(rows_of, walks, chunksize=4)
    return Rows.join([p for p in parts if p is not None])


def kept(walks: Sequence[Walk], file: Path | None, jobs: int = 1) -> Rows:
    """The rows of all walks, from a file of an earlier call where the walks and features are the same."""
    mark = "\n".join([*FEATURES, *sorted(w.id for w in walks)])
    if file is not None and file.exists():
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["mark"]) == mark:
                return Rows(*(stored[f.name] for f in fields(Rows)))
    found = table(walks, jobs)
    if file is not None:
        np.savez_compressed(file, mark=mark, **{f.name: getattr(found, f.name) for f in fields(Rows)})
    return found
