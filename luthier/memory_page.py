"""Notes as pages for people, and as plain data for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .consoles import open_console
from .memory.note import Author, Evidence, Link, Note, PastTrial
from .memory.retrieval import Recalled
from .words import config, duration, number, printable

CUT = 160  # characters of a first line
TRIALS = 3  # named of a note's evidence
STYLE_OF = {"+": "green", "-": "red"}  # of a line of a diff
CHECKED = {
    True: "as code computes it from its trials",
    False: "which is not what its trials say",
    None: "which code cannot check: its trials' rows are not here, it comes of runs on fresh seeds, or the note is "
    "none of code's",
}


def first_line(note: Note) -> str:
    """What a note says, in one line."""
    line = next((line for line in note.content.splitlines() if line.strip()), "(no words)").strip()
    return printable(line if len(line) <= CUT else line[: CUT - 1] + "…")


def as_data(note: Note) -> dict[str, Any]:
    """A note as JSON-able data; NaN is null there."""
    data: dict[str, Any] = json.loads(note.model_dump_json())
    return data


def note_table(notes: Iterable[Note]) -> Table:
    """One row a note."""
    table = Table(box=None, pad_edge=False)
    for heading in ("note", "changed", "first line"):
        table.add_column(heading, no_wrap=heading != "first line", overflow="fold")
    for note in notes:
        table.add_row(note.id, f"{note.time:%Y-%m-%d}", escape(first_line(note)))
    return table


def found_table(found: Sequence[Recalled]) -> Table:
    """One row a note, the best first, with why it was found below its first line."""
    table = Table(box=None, pad_edge=False)
    for heading in ("score", "note", "first line, and why it was found"):
        table.add_column(heading, no_wrap=heading in ("score", "note"), overflow="fold")
    for one in found:
        text = f"{escape(first_line(one.note))}\n[dim]{escape(printable(one.why))}[/]"
        table.add_row(f"{one.score:.2f}", one.note.id, text)
    return table


def trial_table(found: Sequence[tuple[float | None, PastTrial]], metric: str) -> Table:
    """One row a trial, with its distance where there is one. The value of one that was stopped early is a guess: ~."""
    far = any(distance is not None for distance, _ in found)
    table = Table(box=None, pad_edge=False)
    for heading in (*(("distance",) if far else ()), metric, "trial", "study", "configuration"):
        table.add_column(heading, justify="right" if heading in ("distance", metric) else "left", overflow="fold")
    for distance, row in found:
        value = "~" * row.stopped + number(row.value) if row.value is not None else row.cause or row.state
        first = (f"{distance:.3f}",) if distance is not None else ()
        table.add_row(
            *first, escape(value), str(row.number), escape(printable(row.study)), escape(printable(config(row.config)))
        )
    return table


def print_note(
    note: Note,
    history: Sequence[Note],
    links: Sequence[Link],
    ends: Mapping[str, Note],
    forgotten: bool,
    sound: bool | None,
) -> None:
    """One revision of a note, its evidence, how it came to be, and what it is tied to.

    Args:
        sound: whether the evidence is what its trials say; None where code cannot tell.
    """
    console = open_console()
    for name, text in _facts(note, len(history), forgotten).items():
        if text:
            console.print(f"[bold]{name:>10}[/]  {escape(printable(text))}", highlight=False)
    console.print(f"\n{escape(printable(note.content))}", highlight=False)
    if note.evidence is not None:
        console.print(
            f"\n[bold]evidence[/], {CHECKED[sound]}", _evidence_table(note.evidence), sep="\n", highlight=False
        )
    console.print("\n[bold]revisions[/]", highlight=False)
    for before, after in zip([None, *history], history, strict=False):
        _print_revision(console, before, after)
    if links:
        console.print("\n[bold]links[/]", _link_table(note.id, links, ends), sep="\n", highlight=False)


def diff(before: Note, after: Note) -> list[str]:
    """The lines that a revision took away (`-`) and those that it brought (`+`)."""
    lines = list(unified_diff(_lines(before), _lines(after), n=0, lineterm=""))[2:]  # without the names of files
    return [line for line in lines if not line.startswith("@@")]


def written(author: Author) -> str:
    """Who wrote it: `code`, `a person`, `model qwen (prompt 3fa1)`."""
    name = f"{author.by} {author.name}".strip()
    return f"{name} (prompt {author.prompt})" if author.prompt else name


def _facts(note: Note, revisions: int, forgotten: bool) -> dict[str, str]:
    return {
        "note": f"{note.id}, revision {note.revision} of 0 to {revisions - 1}{', forgotten' if forgotten else ''}",
        "kind": note.kind.value + (", written from recalled notes" if note.recalled else ""),
        "task": note.task,
        "study": note.study,
        "keywords": ", ".join(note.keywords),
        "tags": ", ".join(note.tags),
        "context": note.context,
        "written by": f"{written(note.author)}, {note.time:%Y-%m-%d %H:%M} UTC",
    }


def _evidence_table(evidence: Evidence) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, text in _evidence(evidence).items():
        if text:
            table.add_row(f"  {name}", escape(printable(text)))
    return table


def _evidence(evidence: Evidence) -> dict[str, str]:
    first = ", ".join(evidence.trials[:TRIALS]) + (", ..." if len(evidence.trials) > TRIALS else "")
    interval = f" [{number(evidence.low)}, {number(evidence.high)}], above 0 is better"
    return {
        "trials": f"{len(evidence.trials)}" + (f": {first}" if first else ""),
        "metric": f"{evidence.metric}, {evidence.direction.value}" if evidence.metric else "",
        "best": number(evidence.best) if evidence.best is not None else "",
        "settings": config(evidence.config),
        "effect": f"{evidence.effect:+.4g}{interval}" if evidence.effect is not None else "",
        "diagnosis": evidence.diagnosis,
        "training": duration(evidence.seconds) if evidence.seconds else "",
        "standing": evidence.standing.value,
    }


def _print_revision(console: Console, before: Note | None, after: Note) -> None:
    head = f"  {after.revision}  {after.time:%Y-%m-%d %H:%M} UTC, by {written(after.author)}"
    changed = [] if before is None else diff(before, after)
    same = ", as it was" if before is not None and not changed else ""
    console.print(escape(printable(head + same)), highlight=False)
    for line in changed:
        console.print(f"     {escape(printable(line))}", style=STYLE_OF.get(line[0]), highlight=False)


def _lines(note: Note) -> list[str]:
    named = {"keywords": ", ".join(note.keywords), "tags": ", ".join(note.tags), "context": note.context}
    found = {} if note.evidence is None else _evidence(note.evidence)
    rows = {**named, **{f"evidence, {name}": text for name, text in found.items()}}
    return [*note.content.splitlines(), *(f"{name}: {text}" for name, text in rows.items() if text)]


def _link_table(name: str, links: Sequence[Link], ends: Mapping[str, Note]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in range(4):
        table.add_column(no_wrap=column < 3, overflow="fold")
    for link in links:
        out = link.source == name
        other = link.target if out else link.source
        table.add_row("  to" if out else "  from", link.type.value, other, escape(first_line(ends[other])))
    return table
