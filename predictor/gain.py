"""What a finished trial gained, from the raw facts that it keeps (design, section 4): derived anew, never stored.

Gain is the improvement over the best before it, above the noise, in units of the scale, between 0 and `CAP`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..trials.records import Direction, State, Trial
from .workflow import WORKFLOWS

CAP = 3.0  # scales; one leap from a default that hardly trains must not decide for good who is trusted
UNKNOWN_SCALE = 1.0  # the gain of a win where no spread of values is known yet: it is the spread, by lack of another
ADVISORS = "advisors"  # the workflow that every other is measured against: the advisors alone
CHANCE = "chance"  # the workflow that draws among the candidates that a planner would choose among
MOST_SPENT = 1e15  # seconds, tokens or joules: more in one trial is a damaged line, and would drown all others
NO_MODEL = "none"  # the model of a workflow that asks none


def gain_of(trial: Trial, direction: Direction) -> float | None:
    """The gain of a finished trial, from its value and `Trial.extra`; None where there was nothing to beat.

    Facts may be missing, not finite or of another type, as in a study of another version: one that cannot be read
    counts as unknown. It never raises.
    """
    complete = trial.state is State.COMPLETE
    facts = trial.extra
    return gain(
        trial.value if complete else None,
        facts.get("best_before"),
        noise=facts.get("noise"),
        scale=facts.get("scale"),
        direction=direction,
    )


def gain(value: object, best_before: object, *, noise: object, scale: object, direction: Direction) -> float | None:
    """The improvement above noise in units of the scale.

    A failed trial (no value), a stopped one and a worse one gain 0. Unknown noise counts as none. Where the scale is
    unknown or 0 (fewer than two values yet, or all alike), a win gains `UNKNOWN_SCALE`.

    Args:
        value: None, or anything that is no finite number, for a trial that brought none.
        best_before: as `value`; then there was nothing to beat, and the gain is None.
        noise: standard deviation of equal runs, in units of the metric.
        scale: interquartile range of the values before, in units of the metric.
    """
    best, found = finite(best_before), finite(value)
    if best is None:
        return None
    if found is None:
        return 0.0
    above = direction.gain(found, best) - max(finite(noise) or 0.0, 0.0)
    if not above > 0:
        return 0.0
    unit = finite(scale) or 0.0
    return min(above / unit, CAP) if unit > 0 else UNKNOWN_SCALE


@dataclass(frozen=True)
class Credit:
    """Whom a trial is credited to. Making a candidate and choosing it are two things."""

    maker: str  # the advisor that made the candidate; the model where it proposed a configuration of its own
    workflow: str  # that carried the trial
    model: str  # bound to the workflow; "none" where it asks none
    decided: bool  # whether the model decided anything
    chose: bool  # whether what ran is the model's choice; without it the advisors decided, whatever the workflow
    drew: bool  # whether a lot picked what ran, among several candidates


def credit_of(trial: Trial) -> Credit:
    """Who made and who chose a trial's configuration, from `source` and `Trial.extra`.

    In a study from before turns, the workflow and the model stand in `extra` themselves.
    """
    facts = trial.extra
    turn = facts.get("turn")
    turn = turn if isinstance(turn, Mapping) else {}
    workflow = _word(turn.get("workflow")) or _word(facts.get("workflow")) or ADVISORS
    model = _word(turn.get("model")) or _word(facts.get("model")) or NO_MODEL
    # Studies from before turns name the user's model even where the workflow asks none.
    if workflow in WORKFLOWS and not WORKFLOWS[workflow].uses_model:
        model = NO_MODEL
    decided = model != NO_MODEL and _decided(facts)
    maker = model if trial.source == "planner" else trial.source or "unknown"
    picked = "take" not in _listed(facts.get("ran"))  # else the best advisor's candidate ran
    return Credit(maker, workflow, model, decided, chose=decided and picked, drew=workflow == CHANCE and picked)


def _decided(facts: Mapping[str, Any]) -> bool:
    """Whether the model decided anything; a study that does not say counts as one in which it did."""
    decisions = finite(facts.get("decisions", 1))
    return decisions is None or decisions > 0


def finite(value: object) -> float | None:
    """A fact as a number; None where it is missing, no number or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer beyond every float
        return None
    return found if math.isfinite(found) else None


def spent(value: object) -> float | None:
    """A fact as an amount of seconds, tokens or joules; None where it is missing or cannot be true."""
    found = finite(value)
    return found if found is not None and 0 <= found <= MOST_SPENT else None


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []
