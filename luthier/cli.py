"""The command line. Only here do errors become messages and exit codes: 2 for what the user can mend."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .cli_memory import memory_app
from .cli_models import models_app
from .cli_predictor import predictor_app
from .consoles import forgive_encodings
from .words import printable

app = typer.Typer(
    name="luthier",
    help="Tune training scripts with small language models that run on your own machine.",
    epilog="Start with: luthier init train.py, then luthier tune study.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(memory_app)
app.add_typer(models_app)
app.add_typer(predictor_app)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Dir = Annotated[Path | None, typer.Option("--dir", help="The study folder, if not .luthier/NAME.")]


def main() -> None:
    """The entry point: runs the app and turns what the user can mend into one message and exit code 2."""
    forgive_encodings()
    try:
        app()
    except Exception as error:
        from .errors import explain

        message = explain(error)
        if message is None:
            raise
        _say(printable(f"error: {message}"))
        sys.exit(2)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Tune training scripts with small language models that run on your own machine."""


@app.command(epilog="Example: luthier init train.py --out study.yaml")
def init(
    script: Annotated[Path, typer.Argument(help="A Python script with argparse, click, typer or plain constants.")],
    out: Annotated[Path, typer.Option(help="Where to write the draft.")] = Path("study.yaml"),
    force: Annotated[bool, typer.Option(help="Write over an existing file.")] = False,
) -> None:
    """Draft a study file from a training script, without running it."""
    from .cli_init import write_draft

    write_draft(script, out, force)


@app.command(epilog="Example: luthier tune study.yaml --trials 20 --model ollama:qwen2.5-coder:32b")
def tune(
    file: Annotated[Path, typer.Argument(help="The study file.")],
    trials: Annotated[int | None, typer.Option(min=1, help="How many trials, over the file's budget.")] = None,
    model: Annotated[
        str | None, typer.Option(help="embedded, ollama:NAME, openai:NAME@URL, replay:FOLDER or none.")
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(
            help="advisors, chance, planner, planner-critic or debate; auto, the default: what earns its turn."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a new study.")] = None,
    dir: Dir = None,
    confirm: Annotated[
        int, typer.Option(min=0, help="Rerun the best and the default on this many fresh seeds at the end.")
    ] = 0,
    memory: Annotated[Path | None, typer.Option(help="The memory's file instead of your own.")] = None,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Neither start from past studies nor keep this one.")
    ] = False,
    evolve: Annotated[
        bool, typer.Option("--evolve", help="At the end let the model work over what the memory learnt, 5 minutes.")
    ] = False,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Ask the model in every trial, and skip none.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Begin another study where the one of this name is done.")] = False,
    json: Json = False,
) -> None:
    """Tune what a study file describes; go on where an earlier run stopped."""
    from .cli_tune import run_file

    run_file(
        file,
        trials=trials,
        model=model,
        workflow=workflow,
        seed=seed,
        folder=dir,
        seeds=confirm,
        remember=False if no_memory else memory or True,
        evolve=evolve,
        gate=not no_gate,
        new=new,
        as_json=json,
    )


@app.command(epilog="Example: luthier show digits --trial 3, or: luthier show digits --trust --all")
def show(
    study: Annotated[str, typer.Argument(help="A study's name or its folder.")],
    trial: Annotated[int | None, typer.Option(help="One trial: its curve, diagnosis, reason and calls.")] = None,
    graph: Annotated[bool, typer.Option("--graph", help="Print the graph of the workflow.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Who got the turns and what came of it; whose candidates ran.")
    ] = False,
    all: Annotated[bool, typer.Option("--all", help="With --trust: of all studies in the same folder.")] = False,
    savings: Annotated[
        bool, typer.Option("--savings", help="What the gates saved and lost, over all studies beside it too.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a picture of the study that opens in a browser.")] = None,
    json: Json = False,
) -> None:
    """Show a study: its trials, curves, diagnoses and what the agents said."""
    from .cli_show import show_study

    show_study(study, trial=trial, graph=graph, trust=trust, beside=all, savings=savings, html=html, as_json=json)


@app.command(epilog="Example: luthier doctor --json")
def doctor(json: Json = False) -> None:
    """Test what this machine has: Python, PyTorch, GPU, models, Ollama, sandbox, disk."""
    from .cli_doctor import print_report

    print_report(as_json=json)
