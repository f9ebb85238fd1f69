"""`luthier memory import`, `export`, `import-optuna` and `import-csv`: into the memory and out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .named_values import named_values
from .progress import progress
from .words import strict_json

if TYPE_CHECKING:
    from .memory.imports import ImportedStudy
    from .memory.sqlite_store import SQLiteStore

Memory = Annotated[Path | None, typer.Option("--memory", help="The memory's file, if not the usual one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Script = Annotated[str | None, typer.Option(help="What was tuned, like `python train.py`; runs of it are one task.")]
Data = Annotated[str | None, typer.Option(help="Facts of the data, like rows=1797,columns=64; part of the task.")]
_SHOWN = 5  # names in a sentence


def add_to(app: typer.Typer) -> None:
    """Give the commands to `luthier memory`."""
    app.command("export", epilog="Example: luthier memory export notes")(export_folder)
    app.command("import", epilog="Example: luthier memory import notes")(import_folder)
    app.command("import-optuna", epilog="Example: luthier memory import-optuna sqlite:///optuna.db --study digits")(
        import_storage
    )
    app.command(
        "import-csv", epilog="Example: luthier memory import-csv runs.csv --metric val_loss --direction minimize"
    )(import_table)


def export_folder(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one of an earlier export, which is written over.")],
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Write every note as a Markdown file, linked as in Obsidian. The latest revisions only."""
    from .memory.markdown import export_notes
    from .memory_open import opened

    with opened(memory) as store, progress("writing notes") as on_progress:
        files = export_notes(store, folder, on_progress=on_progress)
    _tell({"files": files, "folder": str(folder)}, json, f"{files:,} notes are in {folder}")


def import_folder(
    folder: Annotated[Path, typer.Argument(help="A folder that `luthier memory export` wrote, or one like it.")],
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Add the notes of a folder of Markdown: all or none; those here stay as they are. One `undo` takes it back."""
    from .memory.markdown import import_notes

    with _made(memory) as store, progress("reading notes") as on_progress:
        done = import_notes(store, folder, on_progress)
    named = {"added": list(done.added), "differing": list(done.differing), "corrected": list(done.corrected)}
    text = f"{len(done.added):,} of {done.files:,} notes are new"
    if done.differing:
        text += f"\nleft as they are in the memory, with other words than in the folder: {_names(done.differing)}"
    if done.corrected:
        text += f"\nwith evidence that was not what its trials say, computed anew: {_names(done.corrected)}"
    _tell({"files": done.files, **named}, json, text)


def import_storage(
    url: Annotated[str, typer.Argument(help="Like sqlite:///optuna.db, or the path of a database or a journal.")],
    study: Annotated[str | None, typer.Option(help="One study instead of all.")] = None,
    script: Script = None,
    data: Data = None,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Keep the trials of Optuna studies as tasks. Again later: only new trials are added. One `undo` takes it back."""
    from .memory.imports import import_optuna

    facts = _facts(data)
    with _made(memory) as store, progress("reading studies") as on_progress:
        done = import_optuna(store, url, study, script, facts, on_progress)
    _tell([_as_data(one) for one in done], json, "\n".join(map(_sentence, done)))


def import_table(
    file: Annotated[Path, typer.Argument(help="A table of past runs with a header; commas, semicolons or tabs.")],
    metric: Annotated[str, typer.Option(help="The column of what was tuned for; empty in failed runs.")],
    direction: Annotated[str, typer.Option(help="maximize or minimize.")],
    script: Script = None,
    columns: Annotated[str | None, typer.Option(help="The hyperparameters, like lr,depth; else all others.")] = None,
    data: Data = None,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """Keep the rows of a table as trials. Again later: only new rows are added. One `undo` takes it back."""
    from .memory.imports import import_csv
    from .trials.records import Direction

    if direction not in list(Direction):
        raise typer.BadParameter(f"it is maximize or minimize, but got {direction!r}", param_hint="--direction")
    named = None if columns is None else [name.strip() for name in columns.split(",")]
    facts = _facts(data)
    with _made(memory) as store, progress("keeping runs") as on_progress:
        done = import_csv(store, file, metric, Direction(direction), script, named, facts, on_progress)
    _tell(_as_data(done), json, f"{_sentence(done)}\n{_space(done)}")


def _facts(text: str | None) -> Mapping[str, float]:
    """What `--data` says, checked as `data:` of a study file is."""
    from .trials.spec import DataSpec, validated

    given = {} if text is None else named_values("--data", text, "rows=1797,columns=64")
    return validated(DataSpec, {"data": given}).data


@contextmanager
def _made(given: Path | None) -> Iterator[SQLiteStore]:
    """The memory at a path, or the usual one; a new one where there is none, which stays only if it was written to."""
    from .memory.place import memory_path
    from .memory.sqlite_store import SQLiteStore

    path = memory_path(given)
    new = not path.exists()
    store = SQLiteStore(path)
    try:
        yield store
    finally:
        unused = new and not store.journal(1)
        store.close()
        if unused:
            path.unlink(missing_ok=True)


def _names(notes: Sequence[str]) -> str:
    return ", ".join(notes[:_SHOWN]) + (", ..." if len(notes) > _SHOWN else "")


def _as_data(done: ImportedStudy) -> dict[str, Any]:
    task = None if done.task is None else done.task.id
    return {"study": done.study, "task": task, "trials": done.trials, "new": done.new, "skipped": done.skipped}


def _sentence(done: ImportedStudy) -> str:
    if done.task is None:
        return f"{done.study}: skipped, for {done.skipped}"
    return f"{done.study}: {done.new:,} of {done.trials:,} trials are new in {done.task.id}"


def _space(done: ImportedStudy) -> str:
    from .memory.wording import cut
    from .trials.space import describe

    space = {} if done.task is None else done.task.space.parameters
    lines = [f"  {name} {cut(describe(parameter))}" for name, parameter in space.items()]
    return "\n".join(["hyperparameters (name others with --columns):", *lines])


def _tell(told: object, json: bool, text: str) -> None:
    print(strict_json(told) if json else text)
