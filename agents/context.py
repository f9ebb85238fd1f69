"""The context: all that agents read about a study, as one value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ..trials.records import Direction, Value


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class TrialRow(_Frozen):
    """One trial in the words of its diagnosis."""

    number: int
    config: dict[str, Value]
    value: float | None
    state: str
    verdict: str
    evidence: str
    source: str


class Effect(_Frozen):
    """What the trials say about one hyperparameter. `strength` lies in [-1, 1]; its sign is the direction of gain."""

    name: str
    strength: float
    p_value: float  # of the strength being chance; 1 with too few trials
    trials: int
    text: str
    certain: bool  # False reads "unknown"


class Noise(_Frozen):
    """The noise floor: the spread of equal configurations. `deviation` is in units of the metric."""

    deviation: float | None
    runs: int
    text: str


class Comparison(_Frozen):
    """The latest trial against another: what changed and what it did. `gain` is positive when the latest is better."""

    against: int
    changes: list[str]
    gain: float | None
    text: str


class Context(_Frozen):
    """What the summarizer makes of all trials so far."""

    study: str
    metric: str
    direction: Direction
    finished: int
    best: TrialRow | None
    default: TrialRow | None
    latest: TrialRow | None
    against_best: Comparison | None
    against_before: Comparison | None
    rows: list[TrialRow]  # the best and the latest, most useful first
    effects: list[Effect]  # strongest first
    failures: list[TrialRow]
    avoid: list[str]
    unexplored: list[str]
    noise: Noise
    budget: dict[str, float]
    space: dict[str, str]  # name -> range in a few characters
    recalled: list[str] = []  # lessons of past studies, the most useful first
