"""Taking an outcome into the study, and the executed workflow into the predictor's log."""

from __future__ import annotations

import json
from typing import Any

from ..predictor.workflow import record_of
from ..trials.records import Trial
from .events import TrialFinished
from .outcomes import read_outcome
from .parts import Parts
from .state import State

LOG = "workflows.jsonl"


def record(parts: Parts, number: int, state: State) -> None:
    """Finish trial `number` from its folder; a finished one stays as it is and is not logged again."""
    study = parts.study
    running = study.running(number)
    if running is None:
        return
    kept = read_outcome(study.trial_folder(number), running.attempt)
    assert kept is not None  # `run` leaves one, or raises
    outcome, notes = kept
    trial = study.finish(number, outcome, **notes, **_spent(parts))
    _log(parts, trial, state)
    parts.tell(TrialFinished(trial))


def _spent(parts: Parts) -> dict[str, Any]:
    """Tokens and seconds of the model since the trial began."""
    if parts.caller is None:
        return {"tokens": 0, "model_seconds": 0.0}
    tokens, seconds = parts.caller.tokens, parts.caller.seconds
    spent = {"tokens": tokens - parts.tokens_before, "model_seconds": round(seconds - parts.seconds_before, 3)}
    parts.tokens_before, parts.seconds_before = tokens, seconds
    return spent


def _log(parts: Parts, trial: Trial, state: State) -> None:
    study = parts.study
    names = ("best_before", "noise", "scale", "index", "budget_left", "choice_probability", "model", "tokens")
    facts = {name: trial.extra.get(name) for name in (*names, "model_seconds")}
    line = record_of(
        parts.workflow,
        task=f"tune {study.metric} ({study.direction}) of {study.name}",
        task_id=f"{study.name}/{trial.number}",
        ran=[*state.get("ran", []), "record"],
        value=trial.value,
        state=trial.state.value,
        source=trial.source,
        seconds=trial.seconds,
        **facts,
    )
    with (study.folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
