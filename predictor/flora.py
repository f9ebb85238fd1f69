"""FLORA-Bench's files (arXiv 2503.11301): `datasets_checkpoints/<Domain>/{train,val,test}.jsonl`, one line a pair.

A domain may come in parts (`train_1`, `train_2`), and any file gzipped. Several lines of a pair add up to its runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from .errors import LogFault
from .gathering import Gathering
from .lines import Faults, OnProgress, at, read_rows
from .log_line import LogLine, costs_of, flora_line, run_of
from .logs import LoggedWorkflow, Logs
from .shape import without_loops
from .writing import write_lines

ROOT = "datasets_checkpoints"
PARTS = ("train", "val", "test")
DIGITS = 18  # of a number that a tensor can hold
NO_DOMAIN = "Logs"  # the folder of pairs that belong to no suite
_FILE = re.compile(r"(train|val|test)(_\d+)?\.jsonl(\.gz)?", re.ASCII)
_FOLDER = re.compile(r"[\w-][\w .-]*")


def read_flora(path: Path, *, faults: Faults | None = None, on_progress: OnProgress | None = None) -> Logs:
    """Read a domain's folder, or all domains below a folder; ids then begin with the domain.

    Args:
        faults: takes what is passed over; without it the first bad line raises.

    Raises:
        LogFault: there is no such file, or a line is bad and nobody takes faults.
    """
    return _read(path, faults, on_progress).logs()


def read_flora_parts(
    path: Path, *, faults: Faults | None = None, on_progress: OnProgress | None = None
) -> dict[str, Logs]:
    """As `read_flora`, by `train`, `val` and `test`, with the same workflows and tasks in each."""
    return _read(path, faults, on_progress).parts()


def flora_files(path: Path) -> list[Path]:
    """FLORA's files in a folder, its sub-folders, or its `datasets_checkpoints`; training first in each domain."""
    found: list[Path] = []
    for folder in (path, path / ROOT):
        domains = [folder, *sorted(f for f in folder.iterdir() if f.is_dir())] if folder.is_dir() else []
        found += [file for domain in domains for file in _files(domain)]
    return found


def part_of(file: Path) -> str:
    """`train`, `val` or `test`, by the file's name; empty for another name."""
    named = _FILE.fullmatch(file.name)
    return named[1] if named else ""


def domain_of(file: Path) -> str:
    """The domain of a file of FLORA's, which is its folder's name; empty for a file of another name."""
    return file.resolve().parent.name if part_of(file) else ""


def write_flora(
    logs: Logs,
    folder: Path,
    *,
    parts: Sequence[str] | None = None,
    domains: Mapping[str, str] = MappingProxyType({}),
    compress: bool = False,
) -> list[Path]:
    """Write logs so that FLORA's own code trains on them. The label is the majority of a pair's runs.

    FLORA's graphs have no loops: a conditional edge that goes back is left out.

    Args:
        parts: of each pair, `train`, `val` or `test`; by default 80, 10 and 10 %, drawn by the ids.
        domains: the folder for a suite; by default its own name.

    Returns:
        The files.

    Raises:
        LogFault: a domain is no name of a folder, a part is none of FLORA's, or a file is there already: FLORA's code
            keeps what it made of a file beside it, and would not notice another one.
    """
    shares = drawn_parts(logs) if parts is None else list(parts)
    suites = [domains.get(suite, suite) or NO_DOMAIN for suite in logs.suite.tolist()]
    _check_names(suites, shares, len(logs))
    graphs = [_forward(workflow) for workflow in logs.workflows]
    written = []
    for domain in sorted(set(suites)):
        rows = [i for i, suite in enumerate(suites) if suite == domain]
        w = _numbers({int(logs.workflow[i]): logs.workflows[logs.workflow[i]].id for i in rows})
        t = _numbers({int(logs.task[i]): logs.tasks[logs.task[i]].id for i in rows})
        for part in PARTS:
            file = folder / domain / f"{part}.jsonl{'.gz' if compress else ''}"
            if file.exists():
                raise LogFault(f"{file}: a file for FLORA must be new, but this is there; choose another folder")
            lines = (
                flora_line(graphs[a], logs.tasks[b], int(logs.label[i]), (w[a], t[b]))
                for i in rows
                for a, b in [(int(logs.workflow[i]), int(logs.task[i]))]
                if shares[i] == part
            )
            write_lines(file, lines)
            written.append(file)
    return written


def drawn_parts(logs: Logs) -> list[str]:
    """A part for each pair, the same whenever it is drawn: 80 % train, 10 % val, 10 % test."""
    found = []
    for w, t in zip(logs.workflow.tolist(), logs.task.tolist(), strict=True):
        name = f"{logs.workflows[w].id}\n{logs.tasks[t].id}".encode("utf-8", "replace")
        tenth = int.from_bytes(hashlib.sha256(name).digest()[:4]) % 10
        found.append(PARTS[max(0, tenth - 7)])
    return found


def _read(path: Path, faults: Faults | None, on_progress: OnProgress | None) -> Gathering:
    faults = Faults(strict=True) if faults is None else faults
    files = flora_files(path)
    if not files:
        raise LogFault(f"{path}: FLORA's layout is <Domain>/{{train,val,test}}.jsonl, but no such file is there")
    gathering = Gathering(faults)
    for file in files:
        gather_lines(file, gathering, domain=domain_of(file), on_progress=on_progress)
    return gathering


def gather_lines(file: Path, gathering: Gathering, *, domain: str = "", on_progress: OnProgress | None = None) -> None:
    """Add the lines of a file, FLORA's or ours; bad ones go to the gathering's faults."""
    for number, line in read_rows(file, LogLine, gathering.faults, on_progress):
        try:
            run = run_of(line, domain)
        except ValueError as error:
            gathering.faults.add(at(file, number), error)
        else:
            gathering.add(at(file, number), *run, part=part_of(file), costs=costs_of(line))


def _files(folder: Path) -> list[Path]:
    """Of each part the whole file where it is there, else its pieces; a plain one before its gzipped twin."""
    named: dict[str, dict[str, Path]] = {part: {} for part in PARTS}
    for file in sorted(folder.iterdir()):
        if (match := _FILE.fullmatch(file.name)) and file.is_file():
            named[match[1]].setdefault(match[2] or "", file)
    return [
        file
        for pieces in named.values()
        for number, file in sorted(pieces.items(), key=lambda piece: int(piece[0][1:] or 0))
        if not number or "" not in pieces
    ]


def _check_names(domains: Sequence[str], parts: Sequence[str], count: int) -> None:
    for domain in set(domains):
        if not _FOLDER.fullmatch(domain):
            what = "rename the suite in the logs, or name a folder for it with `domains`"
            raise LogFault(f"a domain must be a name of a folder, but is {domain!r}; {what}")
    if len(parts) != count or not set(parts) <= set(PARTS):
        odd = ", ".join(sorted(set(parts) - set(PARTS))) or f"{len(parts)} for {count} pairs"
        raise LogFault(f"each pair needs one part of {', '.join(PARTS)}, but got {odd}")


def _forward(workflow: LoggedWorkflow) -> LoggedWorkflow:
    """The workflow without its loops, and without the types of its edges, for which FLORA has no key."""
    return replace(workflow, edges=tuple(without_loops(workflow.edges, workflow.edge_types)), edge_types=())


def _numbers(ids: Mapping[int, str]) -> dict[int, int]:
    """Ids as numbers, since FLORA's code makes tensors of them: those after the last slash, else counted from 0."""
    last = [name.rpartition("/")[2] for name in ids.values()]
    plain = all(name.isascii() and name.isdigit() and len(name) <= DIGITS for name in last)
    found = list(map(int, last)) if plain else []
    return dict(zip(ids, found if len(set(found)) == len(ids) else range(len(ids)), strict=True))
