"""What the gates decided in a study, and what became of it: the facts from which `skipping.py` estimates.

A candidate that gate 2 refuses is skipped, and another one is asked for; but a share of those refused, drawn by lot,
runs all the same. These audits tell what the skipped ones would have brought. Facts that cannot be read are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..trials.records import Cause, Direction, Trial
from .gain import NO_MODEL, credit_of, finite, gain_of, spent

MAX_SKIPS = 5  # a trial; then the most hopeful of all that were refused runs, so an audit stands for no skip
CAP = 1.0  # scales (interquartile ranges of the values before) that one gain counts for at most


@dataclass(frozen=True)
class Ran:
    """A trial that ran. Its gain is capped at `CAP`."""

    study: str
    gain: float  # over the best before it, above noise, in units of the scale; 0 where it failed or was stopped
    seconds: float  # of training


@dataclass(frozen=True)
class Audit(Ran):
    """A candidate that gate 2 refused, and that ran all the same because the lot fell on it."""

    rate: float  # the probability with which it was to run, above 0
    expected: float  # seconds that the gate expected; without that the mean of the study's trials
    first: bool  # whether nothing had been skipped in its trial before
    joules: float | None = None  # measured; None where nobody did

    @property
    def weight(self) -> float:
        """How many skipped candidates it stands for: refused by the same lot, and not run."""
        return (1 - self.rate) / self.rate


@dataclass(frozen=True)
class Skip:
    """A candidate that gate 2 refused and that did not run."""

    study: str
    expected: float  # as of an audit


@dataclass(frozen=True)
class Turn:
    """A finished trial whose workflow gate 1 drew, where a model could have got it."""

    study: str
    gain: float | None  # None where there was nothing to beat
    model: bool  # whether its workflow asks a model
    asks: float | None  # the probability that one of those that do was drawn; None where the trial does not tell
    tokens: float
    model_seconds: float


@dataclass(frozen=True)
class Facts:
    """Of one study, or of many put together."""

    audits: tuple[Audit, ...] = ()
    skips: tuple[Skip, ...] = ()
    instead: tuple[Ran, ...] = ()  # what ran in the trials in which something was skipped
    turns: tuple[Turn, ...] = ()

    def __add__(self, other: Facts) -> Facts:
        """Both together."""
        return Facts(
            self.audits + other.audits,
            self.skips + other.skips,
            self.instead + other.instead,
            self.turns + other.turns,
        )


def facts_of(trials: Sequence[Trial], direction: Direction, study: str = "") -> Facts:
    """What the gates did in a study; nothing of a study without gates, or from before them."""
    ended = [trial for trial in trials if trial.finished]
    usual = _usual_seconds(ended)
    skipping = [trial for trial in ended if _skips(trial)]
    return Facts(
        tuple(audits_of(ended, direction, study)),
        tuple(Skip(study, _expected(skip, usual)) for trial in skipping for skip in _skips(trial)),
        tuple(Ran(study, *_brought(trial, direction)) for trial in skipping if _judges(trial, direction)),
        tuple(_turns(ended, direction, study)),
    )


def audits_of(trials: Sequence[Trial], direction: Direction, study: str = "") -> list[Audit]:
    """The audits among finished trials. One that was interrupted, or had nothing to beat, says nothing."""
    usual = _usual_seconds(trials)
    found = []
    for trial in trials:
        refused, rate = trial.extra.get("audit"), finite(trial.extra.get("audit_rate"))
        before = len(_skips(trial))
        if not isinstance(refused, Mapping) or rate is None or not 0 < rate <= 1 or before >= MAX_SKIPS:
            continue
        if _judges(trial, direction):
            joules = None if trial.energy is None else spent(trial.energy.joules)
            brought = _brought(trial, direction)
            found.append(Audit(study, *brought, rate, _expected(refused, usual), before == 0, joules))
    return found


def _turns(trials: Sequence[Trial], direction: Direction, study: str) -> Iterator[Turn]:
    for trial in trials:
        drawn = trial.extra.get("turn")
        probability = finite(drawn.get("probability")) if isinstance(drawn, Mapping) else None
        if probability is None or not 0 < probability < 1:
            continue  # nothing was chosen
        asks = _asks(drawn)
        if asks == 0:
            continue  # the model was resting, or its tokens were used up
        gained = gain_of(trial, direction)
        yield Turn(
            study,
            None if gained is None else min(gained, CAP),
            credit_of(trial).model != NO_MODEL,
            asks,
            spent(trial.extra.get("tokens")) or 0.0,
            spent(trial.extra.get("model_seconds")) or 0.0,
        )


def _asks(drawn: object) -> float | None:
    """The probability that the turn went to a model, whichever of its workflows."""
    arms = drawn.get("arms") if isinstance(drawn, Mapping) else None
    if not isinstance(arms, list | tuple) or not all(isinstance(arm, Mapping) for arm in arms):
        return None
    shares = [finite(arm.get("probability")) for arm in arms if arm.get("model") != NO_MODEL]
    known = [share for share in shares if share is not None and 0 <= share <= 1]
    return min(sum(known), 1.0) if arms and len(known) == len(shares) else None


def _judges(trial: Trial, direction: Direction) -> bool:
    """Whether a finished trial says what its configuration is worth."""
    cause = trial.extra.get("cause") if trial.failure is None else trial.failure.cause  # a log line has it among facts
    return trial.finished and cause != Cause.INTERRUPTED and gain_of(trial, direction) is not None


def _brought(trial: Trial, direction: Direction) -> tuple[float, float]:
    """Gain and seconds."""
    return min(gain_of(trial, direction) or 0.0, CAP), spent(trial.seconds) or 0.0


def _skips(trial: Trial) -> list[Mapping[str, Any]]:
    listed = trial.extra.get("skips")
    return [skip for skip in listed if isinstance(skip, Mapping)] if isinstance(listed, list | tuple) else []


def _expected(skip: Mapping[str, Any], usual: float) -> float:
    seconds = spent(skip.get("seconds"))
    return usual if seconds is None else seconds


def _usual_seconds(trials: Sequence[Trial]) -> float:
    seconds = [spent(trial.seconds) or 0.0 for trial in trials if trial.finished]
    return sum(seconds) / len(seconds) if seconds else 0.0
