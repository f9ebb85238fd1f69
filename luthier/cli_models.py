"""`luthier models`: what is here, fetch with hash check, an honest probe."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from .consoles import open_console
from .words import strict_json

models_app = typer.Typer(name="models", help="List, fetch and probe models.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@models_app.command("list", epilog="Example: luthier models list")
def list_models(json: Json = False) -> None:
    """List the models that Luthier can fetch, and which are here."""
    from .models.files import files_of, models, path_of, present

    listed = models()
    rows = [
        {
            "name": entry.name,
            "file": entry.file,
            "bytes": sum(part.size for part in files_of(entry.name)),
            "licence": entry.licence,
            "present": present(entry.name),
            "path": str(path_of(entry.name)),
        }
        for entry in listed
    ]
    if json:
        print(strict_json(rows))
        return
    table = Table(
        Column("name", no_wrap=True),
        "size",
        Column("licence", overflow="fold"),
        "here",
        Column("for", overflow="fold"),
        box=None,
    )
    for row, entry in zip(rows, listed, strict=True):
        here = "[green]yes[/]" if row["present"] else "no"
        table.add_row(entry.name, f"{cast(int, row['bytes']) / 1e6:,.0f} MB", entry.licence, here, entry.purpose)
    open_console().print(table)


@models_app.command("pull", epilog="Example: luthier models pull qwen2.5-coder-1.5b")
def pull_model(name: Annotated[str, typer.Argument(help="A name from `luthier models list`.")]) -> None:
    """Fetch a model file once; the pinned SHA-256 decides whether it is right. Ctrl-C and again: it goes on."""
    from .models.files import files_of, path_of, present, pull

    files_of(name)  # an unknown name is told before there is a bar
    if present(name):
        print(f"{name} is here already: {path_of(name)}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=open_console(stderr=True)) as progress:
        task = progress.add_task(f"fetching {name}", total=None)
        path = pull(
            name, lambda done, total, text: progress.update(task, completed=done, total=total, description=text)
        )
    print(f"{name} is here, checked by its SHA-256: {path}")


@models_app.command("probe", epilog="Example: luthier models probe embedded")
def probe_model(
    spec: Annotated[str, typer.Argument(help="embedded, ollama:NAME or openai:NAME@URL.")] = "embedded",
    json: Json = False,
) -> None:
    """Measure in about a minute what a model is worth here: JSON, ranges, choices, speed."""
    from .models.open import open_model
    from .models.probe import probe

    chat = open_model(spec)
    if chat is None:
        raise typer.BadParameter("`none` is no model to probe; name one such as embedded")
    console = open_console(stderr=True)
    with console.status(escape(f"probing {spec} ...")) as status:
        report = probe(chat, name=spec, said=lambda text: status.update(escape(f"probing {spec}: {text}")))
    if json:
        print(strict_json(report.as_dict()))
        return
    table = Table("what", Column("measured", overflow="fold"), "95 % interval", box=None)
    for row in report.rows():
        table.add_row(*map(escape, row))
    open_console().print(table)
