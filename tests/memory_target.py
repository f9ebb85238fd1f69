"""A process that writes to a memory, for `test_memory_writers.py` to start several of, and to kill.

Each line of JSON on standard input is a task: {"do": "add" | "evolve" | "mix", "path": ..., "name": ..., "count": ...}.
Answers are lines: the id of each note once the call that wrote it has returned, then "done".
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path

import numpy as np

from luthier.memory.errors import Conflict
from luthier.memory.note import Author, Kind, Link, LinkType, Note, Proposal, stable_id
from luthier.memory.sqlite_store import SQLiteStore

MODEL = Author(by="model", name="tiny")


def add(store: SQLiteStore, name: str, count: int) -> None:
    """Single writes."""
    for number in range(count):
        one = Note(id=stable_id(Kind.LESSON, name, number), kind=Kind.LESSON, content=f"plankton {name} {number}")
        print(*store.add([one]), flush=True)


def evolve(store: SQLiteStore, name: str, count: int) -> None:
    """Append a word to one note, again after each conflict."""
    written = 0
    while written < count:
        (one,) = store.notes()
        words = f"{one.content} {name}"
        with contextlib.suppress(Conflict):
            store.evolve([Proposal(note=one.id, revision=one.revision, author=MODEL, content=words)])
            written += 1


def mix(store: SQLiteStore, name: str, count: int) -> None:
    """Every kind of change, so that a kill may fall into any."""
    rng = random.Random(name)
    ids: list[str] = []
    for number in range(count):
        one = Note(id=stable_id(Kind.LESSON, name, number), kind=Kind.LESSON, content=f"plankton {number} " * 50)
        links = [Link(source=one.id, target=other, type=LinkType.SIMILAR) for other in ids[-3:]]
        ids += store.add([one], links)
        print(one.id, flush=True)
        store.put_vectors("m", {(one.id, 0): np.ones(384, np.float32)})
        chosen = store.get(rng.choice(ids))
        store.evolve([Proposal(note=chosen.id, revision=chosen.revision, author=MODEL, content=f"krill {number}")])
        if number % 3 == 1:
            store.forget(rng.choice(ids))
        elif number % 3 == 2:
            store.undo()


def main() -> None:
    """Work through the tasks."""
    print("ready", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        store = SQLiteStore(Path(told["path"]))
        {"add": add, "evolve": evolve, "mix": mix}[told["do"]](store, told["name"], told["count"])
        store.close()
        print("done", flush=True)


if __name__ == "__main__":
    main()
