"""`luthier memory evolve`: a model works over the notes, within a time limit, and everything it does can be undone."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .words import strict_json

if TYPE_CHECKING:
    from .graphs.evolving import Evolved
    from .memory.sqlite_store import SQLiteStore

SECONDS_A_QUESTION = 300.0  # a large model on few cores is slow, and nobody waits for it


def evolve(
    model: Annotated[
        str | None,
        typer.Option(help="embedded, ollama:NAME, openai:NAME@URL, replay:FOLDER; none links by code alone."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.0, help="No note is begun after so many.")] = 30.0,
    count: Annotated[int, typer.Option("-k", min=1, help="How many notes at most.")] = 1000,
    memory: Annotated[Path | None, typer.Option("--memory", help="The memory's file, if not the usual one.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Let a model describe new notes, link them and refine their neighbours. Facts stay; `undo` takes it back.

    Notes that it has read are not read again, so the same command goes on where it stopped.
    """
    from .choose_model import default_model
    from .memory_open import embedder_for, opened

    lacking = None
    if model is None:
        model, lacking = default_model()
    with opened(memory) as store:
        if lacking is not None:
            print(lacking, file=sys.stderr)
        if model == "none":
            _link(store, embedder_for(store), json)
            return
        found = _evolve(store, model, 60 * minutes, count)
    if found.trouble:
        print(
            f"{model} failed at {found.failed} of the notes, which stay as they were: {found.trouble}", file=sys.stderr
        )
    if json:
        print(strict_json({"model": model, **asdict(found)}))
    else:
        print(found.sentence(model) if found.read or found.failed else f"{model} has read every note already")


def _evolve(store: SQLiteStore, model: str, seconds: float, count: int) -> Evolved:
    from .ctrl_c import stoppable
    from .graphs.evolving import evolve as evolve_notes
    from .memory_open import embedder_for
    from .models.call_log import CallLog
    from .models.caller import Caller
    from .models.open import open_model
    from .progress import progress

    chat = open_model(model)
    assert chat is not None  # only "none" is none
    log = CallLog(store.path.with_name(f"{store.path.stem}-calls.jsonl"))
    caller = Caller(chat, name=model, log=log, timeout=SECONDS_A_QUESTION)
    with stoppable("read notes are kept, the same command goes on") as check, progress("reading notes") as bar:

        def told(done: int, total: int) -> None:
            check()
            bar(done, total)

        return evolve_notes(store, caller, embedder_for(store), seconds=seconds, limit=count, on_progress=told)


def _link(store: SQLiteStore, embedder: Any, json: bool) -> None:
    from .memory.likeness import link_alike

    links = 0 if embedder is None else link_alike(store, embedder)
    if json:
        print(strict_json({"model": "none", "links": links}))
    else:
        print(f"{links:,} new links between notes that are alike")
