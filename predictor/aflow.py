"""AFlow's archive of workflow runs (arXiv 2410.10762), as prepared in FLORA's schema.

A folder with `workflows.jsonl.gz`, `tasks.jsonl.gz` and `cells.csv.gz`, where a cell is one workflow on one task with
its number of runs and successes. Figures from here are "AFlow logs, FLORA schema", never "FLORA-Bench".
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from .errors import LogFault
from .gathering import Gathering
from .graph_import import PROBLEM
from .lines import Faults, OnProgress, at, in_words, read_lines, read_rows
from .logs import LoggedWorkflow, Logs, Task

FILES = ("workflows.jsonl.gz", "tasks.jsonl.gz", "cells.csv.gz")
MODEL = "gpt-4o-mini"  # inferred: the archive does not record which model ran
DOMAINS = {  # FLORA-Bench's grouping of the suites
    "HumanEval": "Coding", "MBPP": "Coding", "GSM8K": "Math", "GSM8K-abl": "Math", "MATH": "Math",
    "HotpotQA": "Reason",
}  # fmt: skip


class _Workflow(BaseModel):
    workflow_id: int
    suite: str
    round: int | None = None
    parent_round: int | None = None
    modification: str | None = None
    nodes: dict[str, str]
    ops: list[str]
    conditional: list[bool]
    edge_index: list[tuple[int, int]]
    edge_type: list[str]


class _Task(BaseModel):
    task_id: int
    suite: str
    question: str
    context: str = ""


_Row = TypeVar("_Row", _Workflow, _Task)


class _Cell(BaseModel):
    workflow_id: int
    task_id: int
    n_runs: int
    n_success: int
    split_pair: str = ""


def read_aflow(
    folder: Path, *, everything: bool = False, faults: Faults | None = None, on_progress: OnProgress | None = None
) -> Logs:
    """Read the archive's cells: of each the question, not the paragraphs it is asked on, is the task's text.

    Workflows and tasks are called like `GSM8K/860`, the suite and the archive's number. `GSM8K-abl`, AFlow's
    ablation without operators, is a suite of workflows; its tasks are those of `GSM8K`.

    Args:
        everything: also the cells without splits, those on AFlow's test tasks.
        faults: takes what is passed over; without it the first bad line raises.

    Raises:
        LogFault: a file is missing, or a line is bad and nobody takes faults.
    """
    faults = Faults(strict=True) if faults is None else faults
    for name in FILES:
        if not (folder / name).is_file():
            raise LogFault(f"{folder}: AFlow's archive has the files {', '.join(FILES)}, but {name} is missing")
    workflows = _workflows(folder / FILES[0], faults)
    tasks = {
        name: Task(f"{row.suite}/{name}", row.suite, row.question, row.context)
        for name, (_, row) in _once(folder / FILES[1], _Task, "task", faults).items()
    }
    gathering = Gathering(faults)
    path = folder / FILES[2]
    for line, cell in _cells(path, faults, on_progress):
        if not (everything or cell.split_pair):
            faults.left["cells without splits, on AFlow's test tasks"] += 1
            continue
        workflow, task = workflows.get(cell.workflow_id), tasks.get(cell.task_id)
        if workflow is None or task is None:
            missing = f"workflow {cell.workflow_id}" if workflow is None else f"task {cell.task_id}"
            faults.add(at(path, line), f"a cell needs its workflow and its task, but {missing} is not there")
        else:
            gathering.add(at(path, line), workflow, task, cell.n_runs, cell.n_success)
    return gathering.logs()


def _once(path: Path, model: type[_Row], what: str, faults: Faults) -> dict[int, tuple[int, _Row]]:
    """The rows of a file by their ids, with their lines; one whose id came before is a fault."""
    rows: dict[int, tuple[int, _Row]] = {}
    for line, row in read_rows(path, model, faults):
        name = getattr(row, f"{what}_id")
        if name in rows:
            faults.add(at(path, line), f"an id must stand for one {what}, but {name} came before")
        else:
            rows[name] = (line, row)
    return rows


def _workflows(path: Path, faults: Faults) -> dict[int, LoggedWorkflow]:
    rows = _once(path, _Workflow, "workflow", faults)
    ids = {(row.suite, row.round): f"{row.suite}/{row.workflow_id}" for _, row in rows.values()}
    found = {}
    for line, row in rows.values():
        try:
            found[row.workflow_id] = _workflow(row, ids)
        except ValueError as error:
            faults.add(at(path, line), error)
    return found


def _workflow(row: _Workflow, ids: dict[tuple[str, int | None], str]) -> LoggedWorkflow:
    return LoggedWorkflow(
        id=f"{row.suite}/{row.workflow_id}",
        suite=row.suite,
        nodes=tuple(row.nodes.values()),
        edges=tuple(row.edge_index),
        operators=tuple(row.ops),
        # The node of the problem stands for the input and asks nobody; all others do.
        models=tuple("" if operator == PROBLEM else MODEL for operator in row.ops),
        edge_types=tuple(row.edge_type),
        conditional=tuple(row.conditional),
        parent="" if row.parent_round is None else ids.get((row.suite, row.parent_round), ""),
        change=row.modification or "",
        round=row.round,
    )


def _cells(path: Path, faults: Faults, on_progress: OnProgress | None) -> Iterator[tuple[int, _Cell]]:
    lines = read_lines(path, faults, on_progress)
    _, head = next(lines, (1, ""))
    names = next(csv.reader([head]), [])
    for line, text in lines:
        try:
            yield line, _Cell.model_validate(dict(zip(names, next(csv.reader([text])), strict=False)))
        except ValidationError as error:
            faults.add(at(path, line), in_words(error))
