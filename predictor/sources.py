"""One door for every kind of log: what it is shows from the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import aflow, flora, study_logs
from .errors import LogFault
from .flora import domain_of, gather_lines
from .gathering import Gathering
from .lines import Faults, OnProgress
from .logs import Logs

_Reader = Callable[[Path, Faults, OnProgress | None], Logs]
_LINES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Imported:
    """What a source held."""

    kind: str
    logs: Logs
    problems: tuple[str, ...]  # the first faults, each with its file and line
    skipped: int  # lines that were passed over for a fault
    left: dict[str, int]  # lines that rightly stayed out, by reason


def read_source(path: Path, on_progress: OnProgress | None = None) -> Imported:
    """Read a folder or a file of logs: AFlow's archive, FLORA's layout, Luthier's studies, or lines with FLORA's keys.

    A bad line costs that line alone.

    Args:
        on_progress: takes bytes read and bytes in all, file by file.

    Raises:
        LogFault: nothing is there, it is of no known kind, or not one line of it can be used.
    """
    if not path.exists():
        raise LogFault(f"{path}: a source must be a file or a folder, but nothing is there; check the path")
    kind, reader = _kind(path)
    faults = Faults()
    logs = reader(path, faults, on_progress)
    if not len(logs):
        raise LogFault(_nothing(path, kind, faults))
    return Imported(kind, logs, tuple(faults.shown), faults.count, dict(faults.left))


def _kind(path: Path) -> tuple[str, _Reader]:
    if path.is_dir():
        if any((path / name).is_file() for name in aflow.FILES):
            return "AFlow's archive", lambda p, f, on: aflow.read_aflow(p, faults=f, on_progress=on)
        if flora.flora_files(path):
            return "FLORA's layout", lambda p, f, on: flora.read_flora(p, faults=f, on_progress=on)
        if study_logs.study_files(path):
            return "studies of Luthier", _studies
        if _line_files(path):
            return "a folder of lines", _lines
        raise LogFault(f"{path}: {_KNOWN}, but this folder holds none of them; check the path")
    if path.is_file() and path.name == study_logs.FILE:
        return "a study of Luthier", _studies
    if path.is_file() and path.name.endswith(_LINES):
        return "a file of lines", _lines
    raise LogFault(f"{path}: {_KNOWN}, but this file is none of them; check the path")


_KNOWN = (
    "a source is AFlow's archive, FLORA's <Domain>/{train,val,test}.jsonl, a study folder with workflows.jsonl, or "
    "files that end in .jsonl or .jsonl.gz"
)


def _studies(path: Path, faults: Faults, on_progress: OnProgress | None) -> Logs:
    return study_logs.read_studies(path, faults=faults, on_progress=on_progress)


def _lines(path: Path, faults: Faults, on_progress: OnProgress | None) -> Logs:
    gathering = Gathering(faults)
    for file in _line_files(path) if path.is_dir() else [path]:
        gather_lines(file, gathering, domain=domain_of(file), on_progress=on_progress)
    return gathering.logs()


def _line_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.name.endswith(_LINES) and not f.name.startswith(".") and f.is_file())


def _nothing(path: Path, kind: str, faults: Faults) -> str:
    """Why a source gave nothing, with the first reason."""
    first = f"the first of {faults.count:,} bad lines is {faults.shown[0]}" if faults.shown else ""
    reasons = [*filter(None, [first]), *(f"{count:,} {what}" for what, count in faults.left.items())]
    rule = f"{path}: {kind} must have at least one run to learn from, but has none"
    return f"{rule}; {'; '.join(reasons) or 'it is empty'}"
