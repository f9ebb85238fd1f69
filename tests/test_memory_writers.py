"""Several processes write to one memory, and some are killed: nothing that a call has returned is ever lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luthier.memory.note import Kind, Note, stable_id
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.testing_notes import found

KILLS = 50
LONGEST = 0.15  # seconds until a kill: some twenty notes, each with every kind of change
WRITERS = 4
WRITES = 500  # of each writer
TARGET = Path(__file__).with_name("memory_target.py")


class Target:
    """A writing process, ready for tasks."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(TARGET)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, do: str, path: Path, name: str, count: int) -> None:
        """Give it a task, once it is ready for one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._process.stdin.write(json.dumps({"do": do, "path": str(path), "name": name, "count": count}) + "\n")
        self._process.stdin.flush()

    def end(self) -> list[str]:
        """Wait until it has worked through its task; its answers."""
        answers = self._process.communicate(timeout=120)[0].split()
        assert (self._process.returncode, answers.pop()) == (0, "done")
        return answers

    def kill(self) -> list[str]:
        """End it wherever it is; what it had answered."""
        self._process.kill()
        answers = self._process.communicate()[0].splitlines(keepends=True)
        assert self._process.returncode == -signal.SIGKILL
        return [line.strip() for line in answers if line.endswith("\n")]


@pytest.fixture
def start() -> Iterator[Callable[[], Target]]:
    """Starts processes, and ends those that are left."""
    made: list[Target] = []

    def begin() -> Target:
        made.append(Target())
        return made[-1]

    yield begin
    for target in made:
        if target._process.poll() is None:
            target.kill()


def run_together(start: Callable[[], Target], do: str, path: Path, count: int, writers: int) -> list[list[str]]:
    targets = [start() for _ in range(writers)]
    for number, target in enumerate(targets):
        target.start(do, path, f"w{number}", count)
    return [target.end() for target in targets]


@pytest.mark.parametrize("attempt", range(10))
def test_a_memory_that_several_make_at_once_is_none_of_something_else(attempt: int, tmp_path: Path) -> None:
    """Who looks while another writes the tables must not see a file with tables that nobody has signed."""
    together = threading.Barrier(8)

    def made(_: int) -> bool:
        together.wait()
        SQLiteStore(tmp_path / "memory.db").close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(made, range(8)))


def test_writers_wait_for_each_other_and_lose_nothing(start: Callable[[], Target], tmp_path: Path) -> None:
    path = tmp_path / "memory.db"  # made by all of them at once
    answers = run_together(start, "add", path, WRITES, WRITERS)
    expected = {stable_id(Kind.LESSON, f"w{w}", number) for w in range(WRITERS) for number in range(WRITES)}
    store = SQLiteStore(path)
    assert {name for some in answers for name in some} == {one.id for one in store.notes()} == expected
    assert len(store.journal(10_000)) == len(expected)
    assert len(store.matching("plankton", 10_000)) == len(expected)
    assert store.check() == []
    store.close()


def test_of_two_writers_of_one_note_the_late_one_retries_and_nothing_is_lost(
    start: Callable[[], Target], tmp_path: Path
) -> None:
    path, one = tmp_path / "memory.db", Note(id="lesson-abcdef", kind=Kind.LESSON, content="begun")
    store = SQLiteStore(path)
    store.add([one])
    run_together(start, "evolve", path, 60, 2)
    words = store.get(one.id).content.split()
    assert (words.count("w0"), words.count("w1"), len(words)) == (60, 60, 121)
    assert [revision.revision for revision in store.revisions(one.id)] == list(range(121))
    assert (found(store, "w0"), store.check()) == ([one.id], [])
    store.close()


@pytest.mark.slow
def test_kills_lose_nothing_that_was_committed_and_leave_no_half_change(
    start: Callable[[], Target], tmp_path: Path
) -> None:
    rng, target, midst = random.Random(7), start(), 0
    committed: dict[str, list[Note]] = {}
    for kill in range(KILLS):
        path = tmp_path / f"{kill // 5}.db"  # some kills fall into the making of the file
        target.start("mix", path, f"k{kill}", 10_000)
        following = start()  # its imports take their time while this one writes
        time.sleep(rng.uniform(0.0, LONGEST))
        answers = target.kill()
        store = SQLiteStore(path)
        assert store.check() == []
        if kill % 5 == 0:
            committed = {}
        committed |= {name: store.revisions(name) for name in answers}
        for name, before in committed.items():
            assert store.revisions(name)[: len(before)] == before
        midst += bool(answers)
        store.close()
        target = following
    assert midst > KILLS / 3  # not only while the file was being made
