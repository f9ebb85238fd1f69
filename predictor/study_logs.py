"""Luthier's own studies as logs: the `workflows.jsonl` of one study folder, or of many below a folder.

A trial is a task of its own, since what is worth trying changes with every trial: its text says what is tuned, its
context the facts at that moment. The label is the record's own, whether the trial beat the best before it by more than
the noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .errors import LogFault
from .gathering import Gathering
from .lines import Faults, OnProgress, at, read_rows
from .log_line import LogLine, run_of
from .logs import Logs
from .records import WorkflowRecord

FILE = "workflows.jsonl"
SUITE = "tuning"
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
            if record.label is None:
                faults.left[NO_LABEL] += 1
                continue
            try:
                gathering.add(at(file, number), *run_of(_line(record, before, executed=executed)))
            except ValueError as error:
                faults.add(at(file, number), error)
    return gathering.logs()


def _line(record: WorkflowRecord, before: str, *, executed: bool) -> LogLine:
    # A record from before plans were logged has only what ran.
    graph = {} if executed else record.planned
    ran = {name: getattr(record, name) for name in ("workflow_id", "nodes", "edge_index", "edge_type", "operators",
                                                    "models")}  # fmt: skip
    return LogLine.model_validate(
        {
            **{**ran, **graph},
            "task_id": f"{before}{record.task_id}",
            "task": record.task,
            "context": ", ".join(_facts(record)),
            "label": record.label,
            "suite": SUITE,
        }
    )


def _facts(record: WorkflowRecord) -> Iterator[str]:
    """What was known when the trial began, in words."""
    if record.index is not None:
        yield f"trial {record.index}"
    for name, value in (("best so far", record.best_before), ("noise", record.noise), ("scale", record.scale)):
        if value is not None:
            yield f"{name} {value:.4g}"
    for name, amount in (record.budget_left or {}).items():
        yield f"{amount:g} {name} left"
