"""Whom a study has reason to trust: what came of the turns of each model and workflow, and of each maker's candidates.

Choosing is credited apart from making: a candidate's maker is the advisor that proposed it, its chooser the workflow
that picked it. Turns that were drawn are weighted by the inverse of their probability; those that a rule gave (a fixed
workflow, or a study from before there were draws) count alike and are told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .predictor.arms import Turn
from .predictor.gain import CHANCE, NO_MODEL, Credit, credit_of, spent
from .predictor.study_logs import logged_trials, logs_beside
from .predictor.turns import turns_of
from .predictor.weighting import Difference, Mean, difference, weighted_mean
from .trials.records import Direction, Trial
from .trials.study import Study


@dataclass(frozen=True)
class Carried:
    """A finished trial with its turn and its credit."""

    turn: Turn
    credit: Credit
    tokens: int

    @property
    def drawn(self) -> bool:
        """Whether another workflow could have had the turn."""
        return 0 < self.turn.probability < 1


@dataclass(frozen=True)
class Row:
    """What came of some turns. Gain is a turn's, in scales; seconds are a turn's too."""

    name: str
    turns: int
    share: float  # of all turns
    wins: int  # turns with a gain
    gain: float | None  # None where nothing stood there to be beaten
    low: float | None
    high: float | None
    drawn: bool  # whether gain is of drawn turns and weighted
    seconds: float  # of training
    model_seconds: float
    tokens: int  # of all these turns


@dataclass(frozen=True)
class Chooser:
    """A model, or what asks none, with its workflows."""

    model: str
    pooled: Row
    workflows: tuple[Row, ...]
    decided: int  # turns in which what ran is the model's own choice
    against_chance: Difference  # its gain a turn minus that of a random chooser
    chance_turns: int  # of the random chooser, drawn


@dataclass(frozen=True)
class Maker:
    """Who made candidates that ran, and who chose them."""

    row: Row
    chosen: dict[str, int]  # by "model", "chance" or "order" (the best advisor's, when nobody chooses)


@dataclass(frozen=True)
class Trust:
    """The account of one study or of several."""

    studies: list[str]
    turns: int
    drawn: int  # of them, drawn rather than given by a rule
    choosers: tuple[Chooser, ...]
    makers: tuple[Maker, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return asdict(self)


def trust_of(study: Study, *, beside: bool = False) -> Trust:
    """The account of a study.

    Args:
        beside: of all studies in the same folder, pooled. Those others are read from their logs.
    """
    carried = _carried(study.finished, study.direction, study.folder.name)
    studies = [study.folder.name]
    for file in logs_beside(study.folder) if beside else ():
        direction, trials = logged_trials(file)
        carried += _carried(trials, direction, file.parent.name)
        studies.append(file.parent.name)
    return account(carried, studies)


def _carried(trials: Sequence[Trial], direction: Direction, study: str) -> list[Carried]:
    done = [t for t in trials if t.finished]
    turns = turns_of(done, direction, study=study)
    return [Carried(x, credit_of(t), int(spent(t.extra.get("tokens")) or 0)) for x, t in zip(turns, done, strict=True)]


def account(carried: Sequence[Carried], studies: Sequence[str]) -> Trust:
    """The account of turns. Trials that had nothing to beat, such as each study's first, are left out."""
    counted = [c for c in carried if c.turn.gain is not None]
    row = _rows(counted)
    models = _names(counted, lambda c: c.turn.model)
    makers = _names(counted, lambda c: c.credit.maker)
    return Trust(
        list(studies),
        len(counted),
        sum(c.drawn for c in counted),
        tuple(_chooser(model, counted, row) for model in sorted(models, key=lambda m: m == NO_MODEL)),
        tuple(_maker(maker, counted, row) for maker in makers),
    )


RowOf = Callable[[str, Sequence[Carried]], Row]


def _rows(counted: Sequence[Carried]) -> RowOf:
    floor = _deviation(counted)

    def row(name: str, some: Sequence[Carried]) -> Row:
        drawn = any(c.drawn for c in some)
        mean = _mean([c for c in some if c.drawn] if drawn else some, floor)
        n = max(len(some), 1)
        return Row(
            name=name,
            turns=len(some),
            share=len(some) / max(len(counted), 1),
            wins=sum((c.turn.gain or 0.0) > 0 for c in some),
            gain=None if mean is None else mean.value,
            low=None if mean is None else mean.low,
            high=None if mean is None else mean.high,
            drawn=drawn,
            seconds=sum(c.turn.seconds for c in some) / n,
            model_seconds=sum(c.turn.model_seconds for c in some) / n,
            tokens=sum(c.tokens for c in some),
        )

    return row


def _mean(some: Sequence[Carried], floor: float) -> Mean | None:
    return weighted_mean(_gains(some), np.array([c.turn.probability for c in some], dtype=float), floor)


def _deviation(some: Sequence[Carried]) -> float:
    return float(np.std(_gains(some))) if some else 0.0


def _gains(some: Sequence[Carried]) -> np.ndarray:
    return np.array([c.turn.gain for c in some], dtype=float)


def _chooser(model: str, counted: Sequence[Carried], row: RowOf) -> Chooser:
    own = [c for c in counted if c.turn.model == model]
    names = _names(own, lambda c: c.turn.workflow)
    drawn = [c for c in counted if c.drawn and c.turn.decided]
    chance = [c for c in drawn if c.turn.workflow == CHANCE]
    floor = _deviation(drawn)
    asks = model != NO_MODEL
    mine = _mean([c for c in drawn if asks and c.turn.model == model], floor)
    return Chooser(
        model,
        row(model, own),
        tuple(row(name, [c for c in own if c.turn.workflow == name]) for name in names),
        sum(c.credit.chose for c in own),
        difference(mine, _mean(chance, floor)),
        len(chance),
    )


def _maker(maker: str, counted: Sequence[Carried], row: RowOf) -> Maker:
    made = [c for c in counted if c.credit.maker == maker]
    # Which candidates run is no draw of their makers, so these means are plain ones.
    plain = [Carried(_certain(c.turn), c.credit, c.tokens) for c in made]
    return Maker(row(maker, plain), dict(Counter(_chosen_by(c) for c in made)))


def _certain(turn: Turn) -> Turn:
    return Turn(turn.workflow, turn.model, turn.gain, turn.seconds, turn.model_seconds, 1.0, turn.index, turn.study)


def _chosen_by(carried: Carried) -> str:
    if carried.credit.chose:
        return "model"
    return CHANCE if carried.credit.drew else "order"


def _names(some: Sequence[Carried], name: Callable[[Carried], str]) -> list[str]:
    """The different names, the most frequent first."""
    return [key for key, _ in Counter(map(name, some)).most_common()]
