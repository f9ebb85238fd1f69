"""What a trial's `extra` records: the raw facts from which gain and labels are derived later (design, section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trials.records import State as TrialState
from ..trials.records import Trial, best_trial
from .budgets import left
from .parts import Parts
from .state import Saying, State, Turn


def at_begin(parts: Parts, state: State) -> dict[str, Any]:
    """The facts at the moment of the decision.

    `scale` is the interquartile range of all values so far, `noise` the standard deviation of equal runs; both in
    units of the metric, None where unknown. `choice_probability` is the one with which the workflow got the turn,
    `model_share` how likely the model, or a draw, found its choice. `skips` are the candidates that gate 2 refused
    before; `audit` is what it said against this one, where it runs all the same.
    """
    best = best_trial(parts.trials, parts.study.direction)
    return {
        "best_before": None if best is None else best.value,
        "scale": _spread(parts.trials),
        "noise": parts.context().noise.deviation,
        "index": state["number"],
        "budget_left": left(parts.used, parts.budget),
        "choice_probability": state["turn"]["probability"],
        "turn": dict(state["turn"]),
        "skips": list(state.get("skips", [])),
        "audit": state.get("audit"),
        "audit_rate": parts.gates.audits,
        "model_share": state["choice"]["share"],
        "workflow": state["turn"]["workflow"],
        "model": state["turn"]["model"],
        **so_far(state),
    }


def so_far(
    state: State, *, repairs: list[dict[str, str]] | None = None, said: list[Saying] | None = None
) -> dict[str, Any]:
    """What grows while a trial goes on: who ran, who said what, what it cost; with what is just being added."""
    return {
        "ran": list(state.get("ran", [])),
        "agents": [*state.get("said", []), *(said or [])],
        "tokens": state.get("tokens", 0),
        "model_seconds": round(state.get("model_seconds", 0.0), 3),
        "decisions": state.get("decisions", 0),
        "model_failures": list(state.get("failures", [])),
        "repairs": [*state.get("repairs", []), *(repairs or [])],
    }


def resumed(trial: Trial, attempt: int, turn: Turn) -> State:
    """The state of a trial that was begun before: it goes on at `run` with the configuration it had."""
    extra = trial.extra
    return State(
        number=trial.number,
        attempt=attempt,
        workflow=turn["workflow"],
        turn=turn,
        choice={
            "config": dict(trial.config),
            "source": trial.source,
            "reason": trial.reason,
            "share": extra.get("model_share"),
        },
        ran=list(extra.get("ran", [])),
        said=list(extra.get("agents", [])),
        tokens=int(extra.get("tokens", 0)),
        model_seconds=float(extra.get("model_seconds", 0.0)),
        decisions=int(extra.get("decisions", 0)),
        failures=list(extra.get("model_failures", [])),
        repairs=list(extra.get("repairs", [])),
    )


def improved(trial: Trial, sign: int) -> int | None:
    """FLORA's label: 1 where the trial beat the best before it by more than the noise; None with nothing to beat."""
    best, noise = trial.extra.get("best_before"), trial.extra.get("noise") or 0.0
    if best is None:
        return None
    complete = trial.state is TrialState.COMPLETE and trial.value is not None
    return int(complete and sign * ((trial.value or 0.0) - best) > noise)


def _spread(trials: list[Trial]) -> float | None:
    values = [t.value for t in trials if t.state is TrialState.COMPLETE and t.value is not None]
    if len(values) < 2:
        return None
    low, high = np.percentile(values, [25, 75])
    return float(high - low)
