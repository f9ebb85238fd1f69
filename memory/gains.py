"""Lessons of configurations that ran beside the default on fresh seeds: what is better or worse for sure.

A study's best trial is chosen for its luck as well as its merit; runs on fresh seeds are not. They are no trials, so
nothing but the study itself can compute this evidence anew.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from .claims import claim
from .errors import as_faults
from .lessons import sentence, short
from .note import Evidence, Kind, Note, PastTrial, stable_id
from .store import Store
from .task import Task
from .wording import MOST_OF_CONFIG, cut

TAG = "confirmed"


@dataclass(frozen=True)
class Gain:
    """By how much a trial's configuration beat the default's on fresh seeds: a mean of pairs with its 95 % interval.

    In the metric's unit; above 0 is better, whatever its direction.
    """

    mean: float
    low: float
    high: float
    seeds: int
    value: float  # the configuration's mean on these seeds


@as_faults()
def learn_gain(store: Store, task: Task, trial: str, default: str, gain: Gain) -> None:
    """Keep a sure gain or loss as a lesson, or bring the one in line that is kept; else nothing is written.

    Args:
        trial, default: ids of the trials whose configurations ran; equal ones teach nothing.

    Raises:
        MemoryFileError: the memory cannot be written.
    """
    rows = store.trials(task.id)
    known = {row.id: row for row in rows}
    better, usual = known.get(trial), known.get(default)
    if better is None or usual is None or better.config == usual.config:
        return
    if math.isfinite(gain.low) and math.isfinite(gain.high):  # one pair bounds nothing
        note = _note(task, better, usual, gain)
        claim(store, note, lambda now: _worded(task, better, usual, gain.seeds, now), rows)


def _note(task: Task, better: PastTrial, usual: PastTrial, gain: Gain) -> Note:
    evidence = Evidence(
        trials=(usual.id, better.id),
        metric=task.metric,
        direction=task.direction,
        best=gain.value,
        config=better.config,
        effect=gain.mean,
        low=gain.low,
        high=gain.high,
        diagnosis=better.diagnosis,
    )
    configs = json.dumps([better.config, usual.config], sort_keys=True)
    return Note(
        id=stable_id(Kind.LESSON, task.id, TAG, configs),
        kind=Kind.LESSON,
        content=_worded(task, better, usual, gain.seeds, evidence),
        keywords=(task.metric, "default"),
        tags=(TAG,),
        context=f"run again on fresh seeds beside the default{task.data_words}",
        task=task.id,
        study=better.study,
        evidence=evidence,
    )


def _worded(task: Task, better: PastTrial, usual: PastTrial, seeds: int, evidence: Evidence) -> str:
    changed = {name: value for name, value in better.config.items() if usual.config.get(name) != value}
    what = cut(", ".join(f"{cut(name)}={short(value)}" for name, value in changed.items()), MOST_OF_CONFIG)
    way = "beat" if (evidence.effect or 0) > 0 else "fell behind"
    return sentence(task, f"{what} {way} the default's {cut(task.metric)}", evidence, f"{seeds} fresh seeds")
