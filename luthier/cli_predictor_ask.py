"""`luthier predictor predict`, `probes`, `explain` and `card`: what a trained predictor says, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .words import printable, strict_json

if TYPE_CHECKING:
    from .predictor.logs import Logs
    from .predictor_ask import Asked

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[
    str | None, typer.Option("--model", help="A checkpoint's name or .pt file; by default your own, else the shipped.")
]
Flow = Annotated[
    str,
    typer.Argument(help="A JSON file with FLORA's keys, a built-in one such as planner-critic, or a logged id."),
]
Suite = Annotated[str, typer.Option(help="The suite that both belong to, if not the workflow's own.")]
Llm = Annotated[str, typer.Option(help="The language model that the steps of a built-in workflow ask.")]
LogsOf = Annotated[Path | None, typer.Option("--logs", help="Where ids are looked up, if not in the imported logs.")]
Probes = Annotated[
    Path | None,
    typer.Option(help="Logs with a few runs of the workflow, or of a new model: they sharpen the estimate."),
]


def add_to(app: typer.Typer) -> None:
    """Give the commands to `luthier predictor`."""
    app.command("predict", epilog='Example: luthier predictor predict planner-critic "Tune val_loss of train.py"')(
        predict_pair
    )
    app.command("probes", epilog="Example: luthier predictor probes mine.json --suite GSM8K --count 3")(choose_probes)
    app.command("explain", epilog='Example: luthier predictor explain planner-critic "Tune val_loss of train.py"')(
        explain_pair
    )
    app.command("card", epilog="Example: luthier predictor card --model mine")(show_card)


def predict_pair(
    workflow: Flow,
    task: Annotated[
        str | None,
        typer.Argument(
            help="The task's words, @FILE with them, or a logged id; without one, WORKFLOW holds pairs.",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
    suite: Suite = "",
    llm: Llm = "",
    logs: LogsOf = None,
    probes: Probes = None,
    json: Json = False,
) -> None:
    """Say how likely a workflow is to succeed on a task, or each of a file of pairs (JSON lines); no run is made."""
    from .consoles import open_console
    from .predictor_ask import answers, in_suite, pairs_in
    from .predictor_open import open_ability, open_checkpoint, open_logs
    from .predictor_page import print_answers

    stored = open_checkpoint(model)
    asked = pairs_in(Path(workflow), suite) if task is None else [_asked(workflow, task, suite, llm, logs)]
    runs = None if probes is None else open_logs(probes)
    said = answers(open_ability(stored), asked, in_suite(runs, suite) if runs is not None and suite else runs)
    if json:
        told = [one.as_dict() for one in said]
        print(strict_json(told[0] if task is not None else told))
    else:
        print_answers(said, open_console())


def choose_probes(
    workflow: Flow,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many tasks.")] = 10,
    model: Model = None,
    suite: Suite = "",
    llm: Llm = "",
    logs: LogsOf = None,
    json: Json = False,
) -> None:
    """Name the tasks on which a few runs of a new workflow tell most; log them, and give them to `predict --probes`."""
    from .consoles import open_console
    from .predictor_ask import workflow_asked
    from .predictor_open import open_ability, open_checkpoint
    from .predictor_page import probes_table
    from .predictor_probes import tasks_to_probe

    known = _known(logs)
    flow = workflow_asked(workflow, suite, llm, known)
    found = tasks_to_probe(open_ability(open_checkpoint(model)), flow, known, count)
    if json:
        print(strict_json([one.as_dict() for one in found]))
    else:
        open_console().print(probes_table(found))


def explain_pair(
    workflow: Flow,
    task: Annotated[str, typer.Argument(help="The task's words, @FILE with them, or a logged id.")],
    model: Model = None,
    suite: Suite = "",
    llm: Llm = "",
    logs: LogsOf = None,
    json: Json = False,
) -> None:
    """Show the parts of the logit, and what each step of the workflow adds by its features."""
    from dataclasses import asdict

    from .consoles import open_console
    from .predictor.explain import parts_of, steps_of
    from .predictor_ask import answers
    from .predictor_open import open_ability, open_checkpoint
    from .predictor_page import parts_table, print_answers, steps_table

    ability = open_ability(open_checkpoint(model))
    flow, on = _asked(workflow, task, suite, llm, logs)
    said = answers(ability, [(flow, on)])
    parts, steps = parts_of(ability, flow, on), steps_of(ability, flow, on)
    if json:
        print(
            strict_json({**said[0].as_dict(), "parts": [asdict(p) for p in parts], "steps": [asdict(s) for s in steps]})
        )
        return
    console = open_console()
    print_answers(said, console)
    console.print("\nParts of the logit; 0 is even odds, +1 makes them 2.7 times better", highlight=False)
    console.print(parts_table(parts), highlight=False)
    console.print("\nWhat each step adds: the logit by features alone, with it minus without it", highlight=False)
    console.print(steps_table(steps), highlight=False)


def show_card(model: Model = None, json: Json = False) -> None:
    """Tell what a predictor learnt from, how good it is on what it has not seen, and what it cannot do."""
    from .predictor_open import open_checkpoint

    card = open_checkpoint(model).card
    if json:
        print(strict_json(card.model_dump(mode="json")))
    else:
        print(printable(card.markdown()))


def _asked(workflow: str, task: str, suite: str, llm: str, logs: Path | None) -> Asked:
    from .predictor_ask import task_asked, workflow_asked

    known = _known(logs)
    flow = workflow_asked(workflow, suite, llm, known)
    return flow, task_asked(task, flow.suite, known, moved=bool(suite))


def _known(logs: Path | None) -> Logs | None:
    """The logs in which ids are looked up, if there are any."""
    from .predictor.log_place import logs_folder
    from .predictor_open import open_logs

    return open_logs(logs) if logs is not None or any(logs_folder().glob("*.jsonl")) else None
