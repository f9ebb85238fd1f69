"""Luthier's own studies as logs: the `workflows.jsonl` of one study folder, or of many below a folder.

A trial is a task of its own, since what is worth trying changes with every trial: its text says what is tuned, its
context the facts at that moment. The label is the record's own: whether the trial beat the best before it by more than
the noise; in lines of `benchmarks/both_arms.py` whether it gained more than the advisors' trial would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..trials.energy import Energy
from ..trials.records import Direction, State, Trial
from .errors import LogFault
from .gain import finite
from .gathering import Gathering
from .lines import Faults, OnProgress, at, in_words, read_rows
from .log_line import LogLine, Run, costs_of, run_of
from .logs import COSTS, LoggedWorkflow, Logs, Task
from .records import WorkflowLog, WorkflowRecord, described
from .workflow import Workflow

FILE = "workflows.jsonl"
SUITE = "tuning"
_GRAPH = ("workflow_id", "nodes", "edge_index", "edge_type", "operators", "models", "decoding")  # of a record
_NO_TASK = {"task_id": "", "task": "", "label": 0, "suite": SUITE}
NO_LABEL = "trials without a label: nothing stood there to be beaten"


def study_files(path: Path) -> list[Path]:
    """The file itself, or those of the study folders in a folder and its sub-folders, two deep."""
    if path.is_file():
        return [path]
    return [file for deep in ("", "*/", "*/*/") for file in sorted(path.glob(f"{deep}{FILE}"))]


def read_studies(
    path: Path, *, executed: bool = False, faults: Faults | None = None, on_progress: OnProgress | None = None
) -> Logs:
    """Read what studies logged.

    Args:
        path: a `workflows.jsonl`, a study folder, or a folder of such folders.
        executed: the graphs that really ran, instead of those that were planned. They show how a trial went (a repair
            means a crash), so they describe, but must not be learnt from to predict.
        faults: takes what is passed over; without it the first bad line raises.

    Raises:
        LogFault: there is no such file, or a line is bad and nobody takes faults.
    """
    faults = Faults(strict=True) if faults is None else faults
    files = study_files(path)
    if not files:
        raise LogFault(f"{path}: a study folder holds {FILE}, but none is here or two folders below; check the path")
    gathering = Gathering(faults)
    for file in files:
        # Studies of different folders may bear one name.
        before = f"{file.parent.relative_to(path)}/" if len(files) > 1 else ""
        for number, record in read_rows(file, WorkflowRecord, faults, on_progress):
            if record.label is None and not _counts(record):
                faults.left[NO_LABEL] += 1
                continue
            try:
                line = _line(record, executed=executed)
                gathering.add(at(file, number), *_run(line, record, before), costs=costs_of(line))
            except ValueError as error:
                faults.add(at(file, number), in_words(error))
    return gathering.logs()


def logs_beside(folder: Path) -> list[Path]:
    """The logs of the other studies in a study's folder of studies."""
    files = sorted(file for file in folder.parent.glob(f"*/{FILE}") if file.is_file())
    return [file for file in files if file.parent.resolve() != folder.resolve()]


def logged_trials(file: Path) -> tuple[Direction, list[Trial]]:
    """The trials of one study as far as its log tells of them: no configurations, but the facts at each decision.

    Lines that cannot be read are passed over.
    """
    records = list(WorkflowLog(file))
    told = [(record.model_extra or {}).get("direction") for record in records]
    direction = next((Direction(one) for one in told if one in tuple(Direction)), Direction.MINIMIZE)
    return direction, [_trial(record) for record in records]


def as_planned(workflow: Workflow) -> LoggedWorkflow:
    """A workflow as its trials are logged, so that what was learnt from them can be asked about it.

    Args:
        workflow: bound to its model.
    """
    return run_of(LogLine.model_validate({**described(workflow), **_NO_TASK}))[0]


def tuning_task(metric: str, direction: str, name: str) -> str:
    """The text of a study as a task."""
    return f"tune {metric} ({direction}) of {name}"


def task_of(record: WorkflowRecord) -> Task:
    """What a trial is as a task; only what was known before it ran is read."""
    return Task(str(record.task_id), SUITE, record.task, ", ".join(_facts(record)))


def _line(record: WorkflowRecord, *, executed: bool) -> LogLine:
    # A record from before plans were logged has only what ran.
    ran = {name: getattr(record, name) for name in _GRAPH}
    told = {**_NO_TASK, "label": record.label, **_extra(record, COSTS), **_counts(record)}
    return LogLine.model_validate({**ran, **({} if executed else record.planned), **told})


def _run(line: LogLine, record: WorkflowRecord, before: str) -> Run:
    workflow, _, runs, successes = run_of(line)
    task = task_of(record)
    return workflow, replace(task, id=f"{before}{task.id}"), runs, successes


def _counts(record: WorkflowRecord) -> dict[str, Any]:
    """The record's own counts, where it has them: what was tried from one state has ties, which are half a success."""
    return _extra(record, ("runs", "successes"))


def _extra(record: WorkflowRecord, names: Sequence[str]) -> dict[str, Any]:
    """Facts that a record has no field for, where they are there."""
    return {name: value for name, value in (record.model_extra or {}).items() if name in names}


def _trial(record: WorkflowRecord) -> Trial:
    facts = record.model_dump()
    complete = facts.get("state") == State.COMPLETE and record.value is not None
    return Trial(
        number=record.index or 0,
        config={},
        state=State.COMPLETE if complete else State.FAILED,
        value=record.value if complete else None,
        seconds=finite(facts.get("seconds")) or 0.0,
        source=str(facts.get("source", "")),
        energy=_energy(facts.get("energy")),
        extra={**facts, "workflow": str(record.workflow_id).partition("/")[0]},
    )


def _energy(logged: object) -> Energy | None:
    if not isinstance(logged, Mapping) or (joules := finite(logged.get("joules"))) is None:
        return None
    return Energy(joules, str(logged.get("measured_by")))


def _facts(record: WorkflowRecord) -> Iterator[str]:
    if record.index is not None:
        yield f"trial {record.index}"
    for name, value in (("best so far", record.best_before), ("noise", record.noise), ("scale", record.scale)):
        if value is not None:
            yield f"{name} {value:.4g}"
    for name, amount in (record.budget_left or {}).items():
        yield f"{amount:g} {name} left"
