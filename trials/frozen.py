"""Trials as rows of Optuna's storage, and back. Pure: attributes in, records out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .energy import Energy
from .records import Candidate, Cause, Failure, Outcome, State, Trajectory, Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# Attributes of an Optuna trial; each is written as one value, so that a kill leaves it whole or absent.
START = "luthier:start"
ATTEMPT = "luthier:attempt"
OUTCOME = "luthier:outcome"


def start_attributes(candidate: Candidate, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What is known when a trial begins."""
    start = {"config": dict(candidate.config), "source": candidate.source, "reason": candidate.reason}
    return {**start, "extra": dict(extra)}


def outcome_attributes(outcome: Outcome, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What is known when a trial ends."""
    failure = outcome.failure
    return {
        "state": outcome.state.value,
        "value": outcome.value,
        "metrics": dict(outcome.metrics),
        "steps": list(outcome.trajectory.steps),
        "curves": {name: list(values) for name, values in outcome.trajectory.metrics.items()},
        "failure": None if failure is None else [failure.cause.value, failure.detail],
        "seconds": outcome.seconds,
        "isolation": outcome.isolation,
        "energy": None if outcome.energy is None else [outcome.energy.joules, outcome.energy.measured_by],
        "extra": dict(extra),
    }


def outcome_from(found: Mapping[str, Any]) -> Outcome:
    """The outcome that `outcome_attributes` wrote."""
    failure, energy = found["failure"], found.get("energy")  # older ones have none
    return Outcome(
        state=State(found["state"]),
        value=found["value"],
        metrics=found["metrics"],
        trajectory=Trajectory(tuple(found["steps"]), {n: tuple(v) for n, v in found["curves"].items()}),
        failure=None if failure is None else Failure(Cause(failure[0]), failure[1]),
        seconds=found["seconds"],
        isolation=found["isolation"],
        energy=None if energy is None else Energy(*energy),
    )


def to_trial(row: FrozenTrial) -> Trial:
    """A row as a record. Rows that another program wrote have their parameters and value, and no more."""
    start = row.user_attrs.get(START, {})
    begun = Trial(
        number=row.number,
        config=start.get("config", row.params),
        state=State.RUNNING,
        source=start.get("source", ""),
        reason=start.get("reason", ""),
        attempt=int(row.user_attrs.get(ATTEMPT, 0)),
        extra=start.get("extra", {}),
    )
    return _ended(begun, row) if row.state.is_finished() else begun


def _ended(begun: Trial, row: FrozenTrial) -> Trial:
    found = row.user_attrs.get(OUTCOME)
    if found is None:
        state = {"COMPLETE": State.COMPLETE, "PRUNED": State.PRUNED}.get(row.state.name, State.FAILED)
        return Trial(begun.number, begun.config, state, row.values[0] if row.values else None)
    outcome = outcome_from(found)
    return Trial(
        number=begun.number,
        config=begun.config,
        state=outcome.state,
        value=outcome.value,
        metrics=outcome.metrics,
        trajectory=outcome.trajectory,
        failure=outcome.failure,
        seconds=outcome.seconds,
        source=begun.source,
        reason=begun.reason,
        attempt=begun.attempt,
        isolation=outcome.isolation,
        energy=outcome.energy,
        extra=found["extra"],
    )
