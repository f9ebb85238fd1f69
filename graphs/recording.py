"""The node that takes an outcome into the study and the memory, and the executed workflow into the predictor's log."""

from __future__ import annotations

from ..predictor.records import WorkflowRecord, record_of
from ..predictor.workflow import Node, workflow_named
from ..trials.records import Trial
from .accounts import improved, so_far
from .events import TrialFinished
from .outcomes import read_outcome
from .parts import Parts
from .state import State, Update

FACTS = ("best_before", "noise", "scale", "index", "budget_left", "choice_probability", "model_share", "model",
         "tokens", "model_seconds", "decisions", "model_failures", "repairs")  # fmt: skip


def record_node(state: State, parts: Parts, node: Node) -> Update:
    """Finish the trial with the outcome in its folder; a finished one stays as it is and is not logged again."""
    study, number = parts.study, state["number"]
    running = study.running(number)
    if running is None:
        return {}
    outcome = read_outcome(study.trial_folder(number), state["attempt"])
    assert outcome is not None  # `run` leaves one, or raises
    extra = so_far(state)
    trial = study.finish(number, outcome, **{**extra, "ran": [*extra["ran"], node.id]})
    parts.log.append(_line(parts, trial))
    parts.remember()
    parts.tell(TrialFinished(trial))
    return {}


def mend_log(parts: Parts) -> None:
    """Log the trials that a kill finished but did not log."""
    logged = {record.task_id for record in parts.log}
    for trial in parts.trials:
        if "ran" in trial.extra and _task_id(parts, trial) not in logged:
            parts.log.append(_line(parts, trial))


def _line(parts: Parts, trial: Trial) -> WorkflowRecord:
    study = parts.study
    name = str(trial.extra["workflow"])
    workflow = parts.workflow if name == parts.workflow.name else workflow_named(name)
    return record_of(
        workflow,
        trial.extra["ran"],
        task=f"tune {study.metric} ({study.direction}) of {study.name}",
        task_id=_task_id(parts, trial),
        label=improved(trial, study.direction.sign),
        value=trial.value,
        state=trial.state.value,
        source=trial.source,
        attempt=trial.attempt,
        seconds=trial.seconds,
        **{fact: trial.extra.get(fact) for fact in FACTS},
    )


def _task_id(parts: Parts, trial: Trial) -> str:
    return f"{parts.study.name}/{trial.number}"
