"""Process trees as Linux's /proc shows them, and the record that finds them again after a crash of ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
RECORD = "run.json"  # in the trial's folder while it runs
MARK = "LUTHIER_RUN"  # environment variable by which a run's processes are found, wherever they moved
END_SECONDS = 10.0  # a process that outlives SIGKILL for longer hangs in the kernel
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` holds: the first process, told from a later one of the same id by its start time."""

    mark: str
    pid: int | None = None
    started: int | None = None  # clock ticks since boot

    def write(self, folder: Path) -> None:
        """Write it to the trial's folder, whole or not at all."""
        part = folder / f"{RECORD}.part"
        part.write_text(json.dumps(asdict(self)))
        part.replace(folder / RECORD)

    @classmethod
    def read(cls, folder: Path) -> RunRecord | None:
        """The record of a folder, None when there is none that can be read."""
        try:
            data = json.loads((folder / RECORD).read_text())
            return cls(str(data["mark"]), data.get("pid"), data.get("started"))
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextlib.contextmanager
def recorded(folder: Path, mark: str) -> Iterator[Callable[[int], None]]:
    """Keep a record in the folder while the body runs; it calls what it is given with the first process's id."""
    # Written before the start too: a kill between the start and the record would lose the trial's processes.
    RunRecord(mark).write(folder)
    try:
        yield lambda pid: RunRecord(mark, pid, start_time(pid)).write(folder)
    finally:
        (folder / RECORD).unlink(missing_ok=True)


def end_recorded(folder: Path) -> list[int]:
    """End what an earlier Luthier, killed, left running for this trial; the ids of what was ended.

    A recorded id counts only with its recorded start time, since ids are given again. What has left that process's
    tree is found by the mark in its environment.
    """
    record = RunRecord.read(folder)
    if record is None:
        return []
    ended = end_marked(record.mark)
    if record.pid and record.started is not None and start_time(record.pid) == record.started:
        ended += end_tree(record.pid)
    (folder / RECORD).unlink(missing_ok=True)
    return sorted(set(ended))


def end_marked(mark: str) -> list[int]:
    """End every process that carries a run's mark, and their descendants; the ids of what was ended."""
    return _end(lambda: [pid for marked in _marked(mark) for pid in (marked, *descendants(marked))])


def end_tree(pid: int) -> list[int]:
    """End a process and all its descendants; the ids of what was ended."""
    return _end(lambda: [pid, *descendants(pid)] if alive(pid) else descendants(pid))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or a zombie."""
    stat = _stat(pid)
    return None if stat is None or stat[0] in "ZX" else int(stat[19])


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return start_time(pid) is not None


def descendants(pid: int) -> list[int]:
    """The ids of all processes below `pid`, zombies left out."""
    children: dict[int, list[int]] = {}
    for other in _pids():
        stat = _stat(other)
        if stat is not None and stat[0] not in "ZX":
            children.setdefault(int(stat[1]), []).append(other)
    found = list(children.get(pid, ()))
    for child in found:
        found += children.get(child, ())
    return found


def resident_bytes(pid: int, limit: int) -> int:
    """Memory of a process and its descendants, in bytes.

    Pages that several of them share are counted for each, which is quick; only a sum above `limit` is counted again
    with shared pages split (PSS), which takes the kernel milliseconds a gigabyte.
    """
    tree = [pid, *_children(pid)]
    quick = sum(_resident(p) for p in tree)
    return quick if quick <= limit else sum(_proportional(p) for p in tree)


def oom_kills() -> int | None:
    """How often the kernel's out-of-memory killer struck since boot; None where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in (PROC / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def more_kills(before: int | None) -> bool:
    """Whether the kernel's out-of-memory killer may have struck since `oom_kills` said `before`."""
    after = oom_kills()
    return after is None or before is None or after > before


def _end(find: Callable[[], list[int]]) -> list[int]:
    ended: list[int] = []
    deadline = time.monotonic() + END_SECONDS
    # Again and again, since a process may start another between our look and our kill.
    while (pids := [p for p in find() if p != os.getpid()]) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended += pids
        time.sleep(0.002)
    return sorted(set(ended))


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208 - a hundred times a second
    except OSError:
        return []


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third, the state, on."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            # The second field, the program's name in brackets, may hold spaces and brackets itself.
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return None


def _children(pid: int) -> list[int]:
    """All descendants by the kernel's own lists: quick, but a child that is just starting may be missing."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as above
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            found += [int(child) for child in children]
    return found + [below for child in found for below in _children(child)]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return _resident(pid)
    return 0


def _marked(mark: str) -> list[int]:
    needle = f"{MARK}={mark}".encode()
    return [pid for pid in _pids() if needle in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - as above
            return file.read().split(b"\0")
    except OSError:
        return []
