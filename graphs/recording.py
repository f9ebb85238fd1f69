"""The node that takes an outcome into the study and the memory, and the executed workflow into the predictor's log."""

from __future__ import annotations

from dataclasses import asdict

from ..agents.prompts import prompt_hashes
from ..predictor.records import WorkflowRecord, record_of
from ..predictor.study_logs import tuning_task
from ..predictor.workflow import WORKFLOWS, Node, Workflow
from ..trials.records import Trial
from .accounts import improved, so_far
from .events import TrialFinished
from .outcomes import read_outcome
from .parts import Parts
from .state import State, Update

FACTS = ("best_before", "noise", "scale", "index", "budget_left", "choice_probability", "turn", "skips", "audit",
         "audit_rate", "model_share", "model", "tokens", "model_seconds", "decisions", "model_failures",
         "repairs")  # fmt: skip


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
        missing = "ran" in trial.extra and _task_id(parts, trial) not in logged
        # An earlier run may have had a workflow of its own that this one does not know.
        if missing and _workflow(parts, trial) is not None:
            parts.log.append(_line(parts, trial))


def _line(parts: Parts, trial: Trial) -> WorkflowRecord:
    study, workflow, ran = parts.study, _workflow(parts, trial), list(trial.extra["ran"])
    assert workflow is not None  # it has just run, or was asked for
    return record_of(
        workflow,
        ran,
        task=tuning_task(study.metric, study.direction, study.name),
        task_id=_task_id(parts, trial),
        label=improved(trial, study.direction.sign),
        value=trial.value,
        direction=study.direction.value,
        state=trial.state.value,
        cause=None if trial.failure is None else trial.failure.cause.value,
        source=trial.source,
        attempt=trial.attempt,
        revisions=max(0, sum(map(ran.count, ("plan", "explore"))) - 1),
        fell_back=workflow.uses_model and "take" in ran,
        seconds=trial.seconds,
        money=None,  # nobody measures it yet
        energy=None if trial.energy is None else asdict(trial.energy),  # of training
        **{fact: trial.extra.get(fact) for fact in FACTS},
    )


def _workflow(parts: Parts, trial: Trial) -> Workflow | None:
    """The workflow that a trial had, bound to the model that it had; None where it is not known any more."""
    name, model = str(trial.extra.get("workflow")), str(trial.extra.get("model", "none"))
    workflow = parts.workflows.get(name) or WORKFLOWS.get(name)
    if workflow is None or not set(trial.extra["ran"]) <= {node.id for node in workflow.nodes}:
        return None
    return workflow.bound("" if model == "none" else model, prompt_hashes())


def _task_id(parts: Parts, trial: Trial) -> str:
    return f"{parts.study.name}/{trial.number}"
