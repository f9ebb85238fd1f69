"""`luthier predictor train` and `evaluate`: from logs to a checkpoint, with an honest report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .words import strict_json

if TYPE_CHECKING:
    from .predictor.card import Figure
    from .predictor.estimator import Progress

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Source = Annotated[
    Path | None,
    typer.Argument(help="Logs of any kind that `import` takes; by default all that were imported.", show_default=False),
]
Folds = Annotated[int, typer.Option(min=2, help="Parts that are held back in turn.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the folds and the intervals.")]
Embedder = Annotated[str, typer.Option(help="embedded, ollama:NAME, openai:NAME@URL or none.")]


def add_to(app: typer.Typer) -> None:
    """Give the commands to `luthier predictor`."""
    app.command("train", epilog="Example: luthier predictor train my_logs/ --name mine")(train_predictor)
    app.command("evaluate", epilog="Example: luthier predictor evaluate my_logs/ --splits task,workflow")(evaluate_logs)


def train_predictor(
    source: Source = None,
    name: Annotated[str, typer.Option(help="What to call the predictor; this is the one that others use.")] = "",
    out: Annotated[Path | None, typer.Option(help="The checkpoint's file (.pt), if not NAME.pt in its folder.")] = None,
    folds: Folds = 5,
    evaluate: Annotated[bool, typer.Option("--evaluate/--no-evaluate", help="Report on held-out folds.")] = True,
    seed: Seed = 0,
    embedder: Embedder = "embedded",
    json: Json = False,
) -> None:
    """Train on logs, report how good it is on what it has not seen, and keep it. Ctrl-C and again: it goes on."""
    from .consoles import open_console
    from .predictor.log_place import log_file
    from .predictor_open import NAME, check_out, checkpoint_path, open_encoder, open_logs
    from .predictor_page import print_report
    from .predictor_train import SPLITS, train

    if name and out is not None:
        raise typer.BadParameter(f"--name and --out both say where the checkpoint goes; leave out --name {name}")
    path = checkpoint_path(log_file(name or NAME, Path()).stem) if out is None else out.expanduser()
    check_out(path)
    logs, encoder = open_logs(source), open_encoder(embedder)
    with _watched() as progress:
        splits = SPLITS if evaluate else ()
        card = train(logs, encoder, path, splits=splits, folds=folds, seed=seed, spec=embedder, progress=progress)
    if json:
        print(strict_json({"checkpoint": str(path), "card": card.model_dump(mode="json")}))
        return
    counted = ", ".join(f"{count:,} {what}" for what, count in card.counts.items())
    print(f"learnt from {counted} in {card.seconds:,.0f} s")
    print_report(card.figures, card.left_out, open_console())
    print(f"\nwritten to {path}; luthier predictor card tells what it cannot do")


def evaluate_logs(
    context: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            help="Logs, or a checkpoint (.pt) to try on logs it has not learnt from; by default the imported logs.",
            show_default=False,
        ),
    ] = None,
    on: Annotated[Path | None, typer.Option(help="The logs to try a checkpoint on, if not the imported ones.")] = None,
    splits: Annotated[str, typer.Option(help="pair, task, workflow, suite; with commas between.")] = (
        "pair,task,workflow,suite"
    ),
    folds: Folds = 5,
    seed: Seed = 0,
    embedder: Embedder = "embedded",
    json: Json = False,
) -> None:
    """Report how good predictions are on held-out folds of logs, or how good a checkpoint is on new logs."""
    from .predictor_open import ENDING, open_encoder, open_logs, predictor_folder
    from .predictor_train import embed_texts, evaluate, kept_folder

    if what is not None and what.endswith(ENDING):
        _refuse(context, "splits", "folds", "embedder")
        _try(what, on, seed, json)
        return
    if on is not None:
        rule = "--on takes logs for a checkpoint to be tried on, but no NAME.pt stands before it"
        raise typer.BadParameter(f"{rule}; name one, or evaluate the logs by folds: luthier predictor evaluate {on}")
    names = _splits(splits)
    logs, encoder = open_logs(None if what is None else Path(what)), open_encoder(embedder)
    kept = kept_folder(predictor_folder() / "evaluate.pt")
    with _watched() as progress:
        embed_texts(logs, encoder, progress)
        done = evaluate(logs, encoder, names, folds=folds, seed=seed, kept=kept, progress=progress)
    shutil.rmtree(kept, ignore_errors=True)
    _tell(done.figures, done.left_out, json)


def _refuse(context: typer.Context, *unread: str) -> None:
    for name in unread:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            rule = "a checkpoint is tried as it was trained, on logs that it has not learnt from"
            raise typer.BadParameter(f"--{name} is for logs, and {rule}; leave it out, or evaluate logs")


def _splits(text: str) -> list[str]:
    from .predictor.splits import SPLITS

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names or [text]:
        if name not in SPLITS:
            rule = f"it takes {', '.join(SPLITS)}, with commas between, but got {name!r}"
            raise typer.BadParameter(rule, param_hint="--splits")
    return list(dict.fromkeys(names))


def _try(checkpoint: str, on: Path | None, seed: int, json: bool) -> None:
    from .predictor_open import open_ability, open_checkpoint, open_logs
    from .predictor_train import embed_texts, try_on

    stored = open_checkpoint(checkpoint)
    ability, logs = open_ability(stored), open_logs(on)
    with _watched() as progress:
        embed_texts(logs, ability.design.encoder, progress)
        done = try_on(stored, ability, logs, seed)
    _tell(done.figures, done.left_out, json)


def _tell(figures: list[Figure], left_out: dict[str, str], json: bool) -> None:
    from .consoles import open_console
    from .predictor_page import print_report

    if json:
        told = {"figures": [figure.model_dump(mode="json") for figure in figures], "left_out": left_out}
        print(strict_json(told))
    else:
        print_report(figures, left_out, open_console())


@contextmanager
def _watched() -> Iterator[Progress]:
    """Shows how far the command is; Ctrl-C ends it."""
    from .ctrl_c import stoppable
    from .stages import stages

    with stoppable("embedded texts and finished folds are kept, the same command goes on") as check, stages() as show:

        def progress(what: str, share: float) -> None:
            check()
            show(what, share)

        yield progress
