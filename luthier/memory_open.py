"""The memory as its commands open it: none is made by looking, and a wrong word gets a near one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from .consoles import open_console
from .memory.errors import MemoryFileError, NoteMissing
from .memory.note import Kind, Note
from .memory.place import memory_path
from .memory.retrieval import embed_missing
from .memory.sqlite_store import SQLiteStore
from .memory.store import Filter, Store
from .memory.task import Task
from .trials.errors import InputError

if TYPE_CHECKING:
    from .models.embedder import Embedder

NEAR = 0.5  # likeness of a mistyped id to one that exists; ids of one kind are alike in 0.3 already


@contextmanager
def opened(given: Path | None) -> Iterator[SQLiteStore]:
    """The memory at a path, or the usual one.

    Raises:
        MemoryFileError: there is none, or the file is none.
    """
    path = memory_path(given)
    if not path.exists():
        raise MemoryFileError(f"no memory yet at {path}; luthier tune makes one")
    store = SQLiteStore(path)
    try:
        yield store
    finally:
        store.close()


def revisions_of(store: Store, note: str) -> list[Note]:
    """Every revision of a note.

    Raises:
        NoteMissing: an unknown id, with the near one.
    """
    try:
        return store.revisions(note)
    except NoteMissing as error:
        near = get_close_matches(note, [one.id for one in store.notes()], n=1, cutoff=NEAR)
        hint = f"did you mean {near[0]!r}?" if near else "`luthier memory list` names all"
        raise NoteMissing(f"an id must be that of a note, but there is no {note!r}; {hint}") from error


def task_of(store: Store, note: str) -> Task:
    """The task of a note.

    Raises:
        NoteMissing: an unknown id.
        InputError: a note that is no task, or one whose words cannot be read as a task any more.
    """
    last = revisions_of(store, note)[-1]
    if last.kind is not Kind.TASK:
        raise InputError(f"the id must be that of a task, but {note} is a {last.kind}; `list --kind task` names them")
    if (task := Task.read(last)) is None:
        raise InputError(f"{note} cannot be read as a task, since its words were changed; `luthier memory undo` helps")
    return task


def filter_of(store: Store, kind: str | None, task: str | None) -> Filter:
    """The filter of two options.

    Raises:
        InputError: an unknown kind, or a task that is none.
        NoteMissing: an unknown task.
    """
    if task is not None and (found := revisions_of(store, task)[-1].kind) is not Kind.TASK:
        raise InputError(f"--task must be the id of a task, but {task} is a {found}; `list --kind task` names them")
    return Filter(kinds=() if kind is None else (_kind(kind),), tasks=() if task is None else (task,))


def searched(store: Store, kind: str | None, task: str | None) -> Filter:
    """The filter of a search.

    Raises:
        InputError: as `filter_of`, or for trials alone, which no search finds.
        NoteMissing: an unknown task.
    """
    where = filter_of(store, kind, task)
    if where.kinds == (Kind.TRIAL,):
        raise InputError(
            "a search must be for other kinds: trials are rows, which are not searched by words or meaning; "
            "`luthier memory trials TASK` lists those of a task, `luthier memory show ID` shows one"
        )
    return where


def embedder_for(store: SQLiteStore) -> Embedder | None:
    """What searches by meaning, with every note embedded; None, and a line on standard error, where it is not here.

    Raises:
        ModelSpecError: LUTHIER_EMBEDDER names what is no embedder.
    """
    from .models.embedder import memory_embedder, named_embedder
    from .models.errors import ModelError, ModelSpecError

    try:
        embedder = memory_embedder()
        if embedder is not None:
            _embed(store, embedder)
        return embedder
    except (ModelSpecError, ModelError) as error:
        if isinstance(error, ModelSpecError) and named_embedder():
            raise
        print(f"searching by words alone, not by meaning: {error}", file=sys.stderr)
        return None


def nothing(store: SQLiteStore, otherwise: str) -> str:
    """What to say where nothing was found: that the memory holds nothing at all, or `otherwise`."""
    return otherwise if store.count() else f"the memory at {store.path} is empty; luthier tune fills it"


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        names = [kind.value for kind in Kind]
        near = get_close_matches(text, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"a kind is {', '.join(names[:-1])} or {names[-1]}, but got {text!r}{hint}") from None


def _embed(store: SQLiteStore, embedder: Embedder) -> None:
    console = open_console(stderr=True)
    with console.status("embedding new notes ...") as status:
        embed_missing(store, embedder, lambda done: status.update(f"embedding new notes: {done:,} done"))
        store.index(embedder.name, lambda done: status.update(f"indexing new notes: {done:,} done"))
