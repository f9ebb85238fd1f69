"""What a trial's `extra` records: the raw facts from which gain and labels are derived later (design, section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trials.records import State as TrialState
from ..trials.records import Trial, best_trial
from .budgets import left
from .parts import Parts
from .state import Saying, State


def at_begin(parts: Parts, state: State) -> dict[str, Any]:
    """The facts at the moment of the decision.

    `scale` is the interquartile range of all values so far, `noise` the standard deviation of equal runs; both in
    units of the metric, None where unknown. The turn is given by a rule, so `choice_probability`, the probability
    that this source got it, is 1; `model_share` is how likely the model found its choice.
    """
    best = best_trial(parts.trials, parts.study.direction)
    return {
        "best_before": None if best is None else best.value,
        "scale": _spread(parts.trials),
        "noise": parts.context().noise.deviation,
        "index": state["number"],
        "budget_left": left(parts.used, parts.budget),
        "choice_probability": 1.0,
        "model_share": state["choice"]["share"],
        "workflow": parts.workflow.name,
        "model": "none" if parts.caller is None else parts.caller.name,
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


def resumed(trial: Trial, number: int, attempt: int, workflow: str) -> State:
    """The state of a trial that was begun before: it goes on at `run` with the configuration it had."""
    extra = trial.extra
    return State(
        number=number,
        attempt=attempt,
        workflow=workflow,
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
