"""`luthier memory`: look into the memory, and take things out of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_memory_evolve import evolve
from .cli_memory_exchange import add_to
from .cli_memory_trials import trials
from .words import printable, strict_json

memory_app = typer.Typer(name="memory", help="Search, read and mend what past studies taught.", no_args_is_help=True)

Memory = Annotated[Path | None, typer.Option("--memory", help="The memory's file, if not the usual one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
KindOf = Annotated[str | None, typer.Option("--kind", help="trial, task, lesson, failure or conversation.")]
TaskOf = Annotated[str | None, typer.Option("--task", help="The id of a task: it and what belongs to it.")]
Id = Annotated[str, typer.Argument(help="The note's id, from `luthier memory search` or `list`.")]


@memory_app.command(epilog='Example: luthier memory search "what helped against overfitting" --kind lesson')
def search(
    text: Annotated[str, typer.Argument(help="What you want to know, in words.")],
    kind: KindOf = None,
    task: TaskOf = None,
    count: Annotated[int, typer.Option("-k", min=1, help="How many notes at most.")] = 10,
    tokens: Annotated[int | None, typer.Option(min=1, help="How long their texts may be together, roughly.")] = None,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Find notes by meaning and by words, and by what they are linked to."""
    from .consoles import open_console
    from .memory.retrieval import retrieve
    from .memory_open import embedder_for, nothing, opened, searched
    from .memory_page import as_data, found_table

    with opened(memory) as store:
        where = searched(store, kind, task)
        found = retrieve(store, text, embedder=embedder_for(store), where=where, k=count, tokens=tokens)
        if json:
            print(strict_json([{"score": one.score, "why": one.why, "note": as_data(one.note)} for one in found]))
        elif found:
            open_console().print(found_table(found))
        else:
            within = "" if tokens is None else f" in {tokens:,} tokens"
            print(nothing(store, f"no note of {store.path} goes with {text!r}{within}"))


@memory_app.command(epilog="Example: luthier memory show lesson-3f9a1c8d2e11 --revision 0")
def show(
    note: Id,
    revision: Annotated[int | None, typer.Option(min=0, help="An older revision.")] = None,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Show a note: its evidence, who changed it and how, and what it is linked to. Forgotten notes too."""
    from .memory.hops import passing
    from .memory.recomputing import holds
    from .memory_open import opened, revisions_of
    from .memory_page import as_data, print_note

    with opened(memory) as store:
        history = revisions_of(store, note)
        shown = history[-1] if revision is None else store.get(note, revision)
        links = store.links([note])
        ends = {end: store.get(end) for link in links for end in (link.source, link.target)}
        forgotten, sound = not passing(store, [note]), holds(store, shown)
    if json:
        named = [link.model_dump(mode="json") for link in links]
        told = {"note": as_data(shown), "forgotten": forgotten, "evidence_holds": sound, "links": named}
        print(strict_json({**told, "revisions": [as_data(one) for one in history]}))
    else:
        print_note(shown, history, links, ends, forgotten, sound)


@memory_app.command("list", epilog="Example: luthier memory list --kind lesson")
def list_notes(kind: KindOf = None, task: TaskOf = None, memory: Memory = None, json: Json = False) -> None:
    """List the notes, oldest first."""
    from .consoles import open_console
    from .memory_open import filter_of, nothing, opened
    from .memory_page import as_data, note_table

    with opened(memory) as store:
        where = filter_of(store, kind, task)
        notes = list(store.notes(where))
        if json:
            print(strict_json([as_data(note) for note in notes]))
        elif notes:
            open_console().print(note_table(notes))
        else:
            print(nothing(store, f"no note of {store.path} is of that kind and task"))


@memory_app.command(epilog="Example: luthier memory forget lesson-3f9a1c8d2e11")
def forget(note: Id, memory: Memory = None, json: Json = False) -> None:
    """Hide a note from every search. `luthier memory undo` brings it back; its id stays readable."""
    from .memory.hops import passing
    from .memory.note import PERSON
    from .memory_open import opened, revisions_of
    from .memory_page import first_line

    with opened(memory) as store:
        last = revisions_of(store, note)[-1]
        known = bool(passing(store, [note]))
        store.forget(note, PERSON)
    if json:
        print(strict_json({"forgotten": note, "was_forgotten": not known}))
    elif known:
        print(f"forgot {note}: {first_line(last)}\n`luthier memory undo` brings it back")
    else:
        print(f"{note} was forgotten already")


@memory_app.command(epilog="Example: luthier memory undo")
def undo(memory: Memory = None, json: Json = False) -> None:
    """Take back the latest change of the memory, whoever made it; again for the one before."""
    from .memory.note import PERSON
    from .memory_open import opened
    from .memory_page import written

    with opened(memory) as store:
        change = store.undo(PERSON)
    if json:
        told = None if change is None else {"number": change.number, "what": change.what, "time": str(change.time)}
        print(strict_json({"undone": told}))
    elif change is None:
        print("nothing is left to undo")
    else:
        by = written(change.author)
        print(printable(f"undone: change {change.number}, {change.what!r}, by {by}, {change.time:%Y-%m-%d %H:%M} UTC"))


@memory_app.command(epilog="Example: luthier memory check && cp memory.db backup.db")
def check(memory: Memory = None, json: Json = False) -> None:
    """Test the whole file. Exit code 1 when something is wrong."""
    from .memory_open import opened

    with opened(memory) as store:
        faults, count = store.check(), store.count()
    if json:
        print(strict_json({"faults": faults, "notes": count}))
    else:
        print("\n".join(faults) or f"{store.path} is whole: {count:,} notes")
    if faults:
        raise typer.Exit(1)


@memory_app.command(epilog="Example: luthier memory graph --html memory.html")
def graph(
    html: Annotated[Path | None, typer.Option(help="Write a picture that opens in a browser.")] = None,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Show how the notes hang together: counts of notes and links, or a picture of them."""
    from .memory_graph import graph_of
    from .memory_open import nothing, opened
    from .memory_picture import write_graph

    with opened(memory) as store:
        found = graph_of(store)
        lines = found.lines() if found.notes else [nothing(store, "no note is left")]
    if json:
        print(strict_json(found.as_dict()))
    else:
        print("\n".join(lines))
    if html is not None:
        print(f"picture: {write_graph(found, html)}", file=sys.stderr if json else sys.stdout)


memory_app.command(epilog="Example: luthier memory evolve --model ollama:qwen2.5:14b --minutes 60")(evolve)
memory_app.command(epilog="Example: luthier memory trials task-3f9a1c8d2e11 --near lr=0.01,layers=4")(trials)
add_to(memory_app)
