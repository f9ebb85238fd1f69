"""What a running study tells whoever listens. Frozen values: a listener can keep, print or send them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..trials.records import Candidate, Trial


class StopReason(StrEnum):
    """Why a study stopped; programs read it."""

    TRIALS = "trials"  # the budget of trials is used up
    HOURS = "hours"
    TOKENS = "tokens"
    FAILURES = "failures"
    EXHAUSTED = "exhausted"  # every configuration of the space has been tried
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class StudyStarted:
    """The loop begins or goes on. `done` trials are finished already."""

    done: int
    trials: int
    model: str
    workflow: str


@dataclass(frozen=True)
class TrialStarted:
    """A candidate is about to run. `number` is None for an extra run of trial 0 that measures noise."""

    number: int | None
    candidate: Candidate
    attempt: int = 0


@dataclass(frozen=True)
class Said:
    """An agent or advisor explains itself."""

    number: int
    role: str
    text: str


@dataclass(frozen=True)
class Reported:
    """A running trial reported metrics."""

    number: int
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrialFinished:
    """A trial is finished and recorded."""

    trial: Trial


@dataclass(frozen=True)
class NoiseMeasured:
    """An extra run of trial 0 gave this value."""

    value: float | None


@dataclass(frozen=True)
class Warned:
    """Something the user should know, told once."""

    text: str


@dataclass(frozen=True)
class Stopped:
    """The loop ended."""

    reason: StopReason


Event = StudyStarted | TrialStarted | Said | Reported | TrialFinished | NoiseMeasured | Warned | Stopped
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener of whoever does not care."""
