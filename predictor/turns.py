"""Gate 1: which workflow carries the next trial. Thompson sampling on gain per cost (Thompson 1933).

A workflow is worth its gain relative to the average turn at the same stage of a study (`posterior.py`), over its cost
relative to the advisors'. In its first turns a model is welcome, so that it can show itself; then it has to prove that
it gains more, and ties go to the advisors (`arms.py`). A floor of exploration stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..trials.records import Direction, Trial
from .arms import Arm, Turn, bars, controlled, costs, groups_of, prior_ratios, reference, welcomes
from .gain import CHANCE, NO_MODEL, credit_of, finite, gain_of, spent
from .posterior import Evidence, believed, counted, moved, pooled

__all__ = ["Arm", "Drawn", "Estimate", "Turn", "draw_turn", "turns_of"]

PAST = 0.8  # weight of a turn of another study: tasks differ
EXPLORE = 0.05  # share of turns that go to any arm, whatever was seen
EACH = 6  # draws of the posterior whose mean decides a turn: an arm that is likely worse gets fewer turns than by one
TRANSFER, GIVEN = "transfer", 3  # the memory's advisor; before this index its candidate runs without a choice
MIDDLE = 1.2816  # deviations to each side of the middle 80 % of a normal distribution
DRAWS = 4_000  # such means; their shares are the policy, so the recorded probability has no error


@dataclass(frozen=True)
class Estimate:
    """What is believed of an arm before a draw."""

    workflow: str
    model: str
    turns: float  # that are evidence, those of other studies discounted
    ratio: float  # its model's gain over that of an average turn at the same stage: geometric mean of the posterior
    low: float  # the ends of the middle 80 % of the posterior
    high: float
    cost: float  # of a turn, training and model, over the advisors'
    welcome: float  # from 1 for a model's first turn to 0
    probability: float  # of getting the turn

    def record(self) -> dict[str, Any]:
        """What the trial keeps of it; all but the probability to four digits."""
        believed = {name: float(f"{getattr(self, name):.4g}") for name in ("ratio", "low", "high", "cost")}
        return {"workflow": self.workflow, "model": self.model, "probability": self.probability, **believed}


@dataclass(frozen=True)
class Drawn:
    """Who gets the turn. `probability` is exact: the arm was drawn with it."""

    arm: Arm
    probability: float
    random: bool  # whether the floor of exploration gave it
    estimates: tuple[Estimate, ...]  # one an arm, in their order
    reason: str

    def record(self) -> dict[str, Any]:
        """What the trial keeps of it, under `turn`."""
        return {
            "workflow": self.arm.workflow,
            "model": self.arm.model,
            "probability": self.probability,
            "random": self.random,
            "reason": self.reason,
            "arms": [one.record() for one in self.estimates],
        }


def turns_of(trials: Sequence[Trial], direction: Direction, *, study: str = "") -> list[Turn]:
    """The finished trials of a study as turns, in their order. It never raises on a fact that it cannot read."""
    return [_turn(trial, direction, study) for trial in trials if trial.finished]


def draw_turn(
    arms: Sequence[Arm],
    turns: Sequence[Turn],
    *,
    seed: int,
    index: int | None = None,
    past: Sequence[Turn] = (),
    discount: float = PAST,
) -> Drawn:
    """Draw the workflow that carries the next trial; equal arguments give equal draws.

    Args:
        arms: different ones; `advisors`, else the first, is what the others are measured against.
        turns: of this study.
        index: of the next trial; without it the one after the last turn.
        past: turns of other studies, each with its `study`.
        discount: what a turn of another study counts, 0 to 1.

    Raises:
        ValueError: without any arm.
    """
    if not arms:
        raise ValueError("a turn needs at least one arm, but there is none; give at least Arm('advisors')")
    rng = np.random.default_rng(seed)
    now = index if index is not None else 1 + max((t.index for t in turns), default=0)
    weighted = [(t, 1.0) for t in turns] + [(t, discount) for t in past]
    shares, believed_of = _policy(arms, turns, weighted, now, rng)
    probability = (1 - EXPLORE) * shares + EXPLORE / len(arms)
    random = bool(rng.random() < EXPLORE)
    place = int(rng.choice(len(arms), p=None if random else shares))
    estimates = tuple(map(_estimate, arms, believed_of.tolist(), probability.tolist()))
    return Drawn(arms[place], float(probability[place]), random, estimates, _reason(estimates, place, random, arms))


def _policy(
    arms: Sequence[Arm],
    turns: Sequence[Turn],
    weighted: Sequence[tuple[Turn, float]],
    now: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The share of each arm before the floor, shape (arms,), and what an `Estimate` says of it, (arms, 6)."""
    evidence, groups, base = _evidence(arms, weighted), groups_of(arms), reference(arms)
    prior = prior_ratios(arms, base)
    had, exposed = counted(evidence, now, len(arms))
    mean, deviation = believed(pooled(had, groups), pooled(exposed, groups), prior)
    cost, welcome = costs(arms, turns, weighted), welcomes(arms, weighted)
    against = bars(np.hypot(deviation, deviation[base]), cost, welcome, base)
    own, unsure = believed(had, exposed, moved(prior, had, exposed, groups))
    luck = rng.standard_normal((2, DRAWS, len(arms))) / EACH**0.5
    shares = _shares(own - np.log(cost) + unsure * luck[0], mean - against + deviation * luck[1], groups)
    seen = np.bincount(evidence.arm, evidence.weight, len(arms))
    ends = np.exp(mean + np.outer([0.0, -MIDDLE, MIDDLE], deviation))
    return controlled(arms, shares), np.column_stack([seen, *ends, cost, welcome])


def _estimate(arm: Arm, row: Sequence[float], probability: float) -> Estimate:
    turns, ratio, low, high, cost, welcome = row
    return Estimate(arm.workflow, arm.model, turns, ratio, low, high, cost, welcome, probability)


def _turn(trial: Trial, direction: Direction, study: str) -> Turn:
    credit, facts = credit_of(trial), trial.extra
    turn = facts.get("turn")
    drawn = turn.get("probability") if isinstance(turn, dict) else facts.get("choice_probability")
    probability, index = finite(drawn), finite(facts.get("index"))
    number = trial.number if index is None else int(index)
    # What past studies did best with is tried first, whoever has the turn.
    given = trial.source == TRANSFER and number < GIVEN
    idle = credit.model != NO_MODEL and not credit.decided and not facts.get("model_failures")
    alone = credit.workflow == CHANCE and not credit.drew  # one candidate is no draw
    return Turn(
        workflow=credit.workflow,
        model=credit.model,
        gain=gain_of(trial, direction),
        seconds=spent(trial.seconds) or 0.0,
        model_seconds=spent(facts.get("model_seconds")) or 0.0,
        probability=probability if probability is not None and 0 < probability < 1 else 1.0,
        index=number,
        study=study,
        decided=not (given or idle or alone),
    )


def _evidence(arms: Sequence[Arm], weighted: Sequence[tuple[Turn, float]]) -> Evidence:
    places = {(arm.workflow, arm.model): i for i, arm in enumerate(arms)}
    used = [(t, w) for t, w in weighted if t.compares and (t.workflow, t.model) in places]
    studies = {name: i for i, name in enumerate(dict.fromkeys(t.study for t, _ in used))}
    return Evidence(
        arm=np.array([places[t.workflow, t.model] for t, _ in used], dtype=int),
        study=np.array([studies[t.study] for t, _ in used], dtype=int),
        gain=np.array([t.gain for t, _ in used], dtype=float),
        index=np.array([max(t.index, 1) for t, _ in used], dtype=float),
        weight=np.array([w for _, w in used], dtype=float),
    )


def _shares(inside: np.ndarray, between: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How often each arm is the best, shape (arms,).

    Models are compared by all that they showed, and the workflows of one by draws of their own, so that a model neither
    gains by having many nor has to prove each of them.

    Args:
        inside, between: draws for the comparison within a group and of the groups' best, shape (draws, arms).
    """
    draws, names = np.arange(len(inside)), np.unique(groups)
    best = np.stack([np.where(groups == g, inside, -np.inf).argmax(axis=1) for g in names], axis=1)  # (draws, groups)
    winner = np.take_along_axis(between, best, axis=1).argmax(axis=1)
    return np.bincount(best[draws, winner], minlength=len(groups)) / len(draws)


def _reason(estimates: Sequence[Estimate], place: int, random: bool, arms: Sequence[Arm]) -> str:
    """One sentence that a person understands."""
    mine, base = estimates[place], reference(arms)
    if len(estimates) == 1:
        return "there is no other workflow"
    if random:
        return "drawn by lot, so that every workflow is seen now and then"
    if mine.workflow == CHANCE:
        return "a draw among the candidates instead of a choice, to tell choosing from luck"
    if place != base and mine.welcome > 0.5:
        seen = sum(e.turns for e in estimates if e.model == mine.model)
        return f"{mine.model} has had few turns that tell anything ({seen:.0f}), so it may show what it can"
    if place != base:
        return _compared(mine, estimates[base])
    other = max((e for i, e in enumerate(estimates) if i != base), key=lambda e: e.probability)
    if other.welcome > 0.5 and other.probability > EXPLORE:
        return f"the draw fell to the advisors; {other.model} may still show what it can"
    return f"{_compared(other, mine)}: too little, or too unsure"


def _compared(arm: Estimate, base: Estimate) -> str:
    name = arm.workflow if arm.model == NO_MODEL else arm.model
    times, cost = arm.ratio / base.ratio, arm.cost / base.cost
    return f"{name} seems to gain {times:.1f} times as much as the advisors at {cost:.1f} times the cost"
