"""Our own file of logs: one line a pair, with FLORA's keys and ours, so that nothing of the logs is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .flora import gather_lines
from .gathering import Gathering
from .lines import Faults, OnProgress
from .log_line import our_line
from .logs import Logs
from .writing import write_lines


def write_logs(logs: Logs, path: Path) -> int:
    """Write all pairs to one file, whole or not at all; workflows and tasks of no pair are left out.

    Returns:
        The number of lines.
    """
    return write_lines(path, _lines(logs))


def read_logs(path: Path, *, faults: Faults | None = None, on_progress: OnProgress | None = None) -> Logs:
    """Read such a file, or any file with FLORA's keys.

    Args:
        faults: takes what is passed over; without it the first bad line raises.

    Raises:
        LogFault: a line is bad and nobody takes faults.
    """
    gathering = Gathering(Faults(strict=True) if faults is None else faults)
    gather_lines(path, gathering, on_progress=on_progress)
    return gathering.logs()


def _lines(logs: Logs) -> Iterator[dict[str, Any]]:
    columns = (logs.workflow, logs.task, logs.runs, logs.successes, logs.costs)
    for w, t, runs, successes, costs in zip(*(column.tolist() for column in columns), strict=True):
        yield our_line((logs.workflows[w], logs.tasks[t], runs, successes), costs)
