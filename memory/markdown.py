"""The memory as a folder of Markdown, a file `KIND/ID.md` for each note, which Obsidian and its like can read.

Sub-folders keep thousands of trials apart from the lessons; `[[ID]]` finds a note in any of them, and so does the
import: a file may be moved within the folder, but not renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import ImportFault, NoteMissing
from .foreign import Progress, silent
from .note import Author, Kind, Link, LinkType, Note, PastTrial, Proposal
from .note_file import NoteFile, from_text, to_text
from .recomputing import correct
from .store import Filter, Store

IMPORT = Author(by="code", name="import")
_ANY = Filter()


@dataclass(frozen=True)
class ImportedNotes:
    """What an import did."""

    files: int
    added: tuple[str, ...]  # ids that are new in the memory
    differing: tuple[str, ...]  # ids whose note was here with other words, which stay
    corrected: tuple[str, ...] = ()  # of those added, ids whose evidence was not what its trials say


def export_notes(store: Store, folder: Path, where: Filter = _ANY, on_progress: Progress = silent) -> int:
    """Write the notes that pass the filter to a folder; how many files.

    The latest revisions only, without their numbers: who imports them gets no history. With the notes go those that
    they need to be read in again: their tasks, the trials of their evidence, and what they are derived from, forgotten
    ones too (marked as such). Links are kept where both ends are there. Vectors are made anew where they are missing.

    Raises:
        ImportFault: the folder has Markdown that this export does not write over: a note that is in it no more.
        OSError: the folder cannot be written.
    """
    files = {folder / file.note.kind / f"{file.note.id}.md": file for file in _files(store, where)}
    for path in _markdown_in(folder):
        if path not in files:
            raise ImportFault(
                f"a folder of an export must hold nothing else, but {path} is no note of this export; "
                "delete it or choose another folder"
            )
    for parent in {folder, *(path.parent for path in files)}:
        parent.mkdir(parents=True, exist_ok=True)
    for done, (path, file) in enumerate(files.items(), 1):
        path.write_bytes(to_text(file).encode())
        on_progress(done, len(files))
    return len(files)


def import_notes(store: Store, folder: Path, on_progress: Progress = silent) -> ImportedNotes:
    """Add the notes, links and trial rows of a folder as one change. What the memory has, stays as it is, also what was
    forgotten; what was undone comes back.

    Evidence is computed anew from its trials where code can (`recomputing.py`), and is a revision of its own where that
    is not what the file says. What code cannot compute is taken as it is. Words that another author has put over
    evidence since, the forgotten, and what was recalled since, are revisions of their own too.

    Raises:
        ImportFault: naming the file: it is no note, has another name than its id, or names a note that is not there.
        Refused: evidence from trials that the memory knows to be recalled.
    """
    files = _read(folder, on_progress)
    _resolve(store, files)
    notes = {file.note.id: file for file in files.values()}
    cited = {trial for file in notes.values() for trial in _trials(file.note)}
    first = [_before_evolving(file.note, cited) for file in notes.values()]
    here = {name for name in notes if _has(store, name)}
    rows = [file.row for file in notes.values() if file.row is not None and _takes_row(store, file.note.id, here)]
    with store.together(f"import {folder.resolve().name}"):
        added = store.add(first, [link for file in notes.values() for link in file.links], rows)
        _evolve(store, [file.note for file, one in zip(notes.values(), first, strict=True) if one is not file.note])
        corrected = [name for name in added if correct(store, store.get(name))]
        for name in added:
            if notes[name].forgotten:
                store.forget(name)
    differing = [name for name in sorted(here) if _words(store.get(name)) != _words(notes[name].note)]
    return ImportedNotes(len(files), tuple(added), tuple(differing), tuple(corrected))


def _files(store: Store, where: Filter) -> Iterator[NoteFile]:
    shown = {note.id: note for note in store.notes(where)}
    notes = _closed(store, shown)
    listed = {note.id for note in store.notes()} if len(notes) > len(shown) else shown.keys()
    links: dict[str, list[Link]] = {name: [] for name in notes}
    for link in store.links(notes):
        if link.source in notes and link.target in notes:
            links[link.source].append(link)
    rows = _rows(store, notes.values())
    for name, note in notes.items():
        if note.revision:
            note = note.model_copy(update={"time": store.revisions(name)[0].time})
        yield NoteFile(note, tuple(links[name]), rows.get(name), name not in listed)


def _closed(store: Store, shown: dict[str, Note]) -> dict[str, Note]:
    """The notes, and what they need: without the task and the trials no import can take them, and without what they
    are derived from the leakage guard would let through what it hides."""
    notes, new = dict(shown), list(shown.values())
    while new:
        names = {note.id for note in new}
        derived = {link.target for link in store.links(names, [LinkType.DERIVED]) if link.source in names}
        needed = derived.union(*(_needs(note) for note in new)) - notes.keys()
        new = [store.get(name) for name in sorted(needed)]
        notes |= {note.id: note for note in new}
    return notes


def _needs(note: Note) -> set[str]:
    return {note.task, *_trials(note)} - {""}


def _trials(note: Note) -> tuple[str, ...]:
    return note.evidence.trials if note.evidence else ()


def _rows(store: Store, notes: Iterable[Note]) -> dict[str, PastTrial]:
    tasks = {note.id if note.kind is Kind.TASK else note.task for note in notes} - {""}
    return {row.id: row for task in sorted(tasks) for row in store.trials(task)}


def _markdown_in(folder: Path) -> list[Path]:
    """The files that must be notes. Hidden folders are the reader's own: `.obsidian`, `.trash`, `.git`."""
    found = (path for path in folder.rglob("*.md") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _read(folder: Path, on_progress: Progress) -> dict[Path, NoteFile]:
    paths, files, seen = _markdown_in(folder), {}, dict[str, Path]()
    if not paths:
        raise ImportFault(f"an import needs a folder with a file ID.md for each note, but {folder} has none")
    for done, path in enumerate(paths, 1):
        files[path] = file = _read_one(path)
        if (other := seen.setdefault(file.note.id, path)) != path:
            raise ImportFault(f"{path}: a note must have one file, but {other} is of the same; delete one")
        on_progress(done, len(paths))
    return files


def _read_one(path: Path) -> NoteFile:
    try:
        file = from_text(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ImportFault(f"{path}: a note must be UTF-8, but {error}; save it as UTF-8") from error
    except ImportFault as error:
        raise ImportFault(f"{path}: {error}") from error
    if file.note.id != path.stem:
        raise ImportFault(f"{path}: a file must have its note's id for a name, but that is {file.note.id}; rename it")
    return file


def _resolve(store: Store, files: dict[Path, NoteFile]) -> None:
    """That every id that a file names is a note of the folder or of the memory, and evidence comes from trials."""
    kinds = {file.note.id: file.note.kind for file in files.values()}
    for path, file in files.items():
        for what, name in _named(file):
            if name not in kinds and _has(store, name):
                kinds[name] = store.get(name).kind
            if name not in kinds:
                raise ImportFault(
                    f"{path}: {what} must be in the folder or in the memory, but there is no {name}; "
                    "put its file there, or take it out"
                )
        for trial in _trials(file.note):
            if kinds[trial] is not Kind.TRIAL:
                wrong = f"{trial} is a {kinds[trial]}"
                raise ImportFault(f"{path}: evidence must come from trials, but {wrong}; take it out")


def _named(file: NoteFile) -> Iterator[tuple[str, str]]:
    if file.note.task:
        yield "the task of a note", file.note.task
    if file.row is not None:
        yield "the task of a trial", file.row.task
    for trial in _trials(file.note):
        yield "the trials of evidence", trial
    for link in file.links:
        yield "what a link leads to", link.target


def _before_evolving(note: Note, cited: set[str]) -> Note:
    """The note as code could have written it: evidence comes before another author's words, and before recalling."""
    over_evidence = note.evidence is not None and (note.author.by != "code" or note.recalled)
    if over_evidence or (note.recalled and note.id in cited):
        return note.model_copy(update={"author": IMPORT, "recalled": False})
    return note


def _evolve(store: Store, notes: Iterable[Note]) -> None:
    """Give the notes their authors back."""
    pairs = [(note, now) for note in notes if (now := store.get(note.id)).author == IMPORT]
    proposals = [
        Proposal(note=note.id, revision=now.revision, author=note.author, recalled=note.recalled)
        for note, now in pairs
        if (note.author, note.recalled) != (now.author, now.recalled)
    ]
    if proposals:
        store.evolve(proposals)


def _takes_row(store: Store, note: str, here: set[str]) -> bool:
    """Whether a row may be given for a note: where the memory has one, `Store.add` leaves it."""
    return note not in here or store.get(note).kind is Kind.TRIAL


def _has(store: Store, note: str) -> bool:
    try:
        store.get(note)
    except NoteMissing:
        return False
    return True


def _words(note: Note) -> tuple[object, ...]:
    return note.content, note.keywords, note.tags, note.context
