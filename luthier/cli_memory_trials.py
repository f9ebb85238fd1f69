"""`luthier memory trials`: the trials of a task as rows, the best first or those nearest to a configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .named_values import named_values
from .words import strict_json

if TYPE_CHECKING:
    from .memory.note import PastTrial
    from .memory.task import Task
    from .trials.records import Config
    from .trials.space import Space

Memory = Annotated[Path | None, typer.Option("--memory", help="The memory's file, if not the usual one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
TaskId = Annotated[str, typer.Argument(help="The id of a task, from `luthier memory list --kind task`.")]
Near = Annotated[str | None, typer.Option(help="The nearest to this configuration; what is left out is the default.")]


def trials(
    task: TaskId,
    near: Near = None,
    count: Annotated[int, typer.Option("-k", min=1, help="How many at most.")] = 20,
    memory: Memory = None,
    json: Json = False,
) -> None:
    """List what was tried in a task: the best first, or the nearest to a configuration."""
    from .consoles import open_console
    from .memory.distance import nearest
    from .memory_open import opened, task_of
    from .memory_page import trial_table

    with opened(memory) as store:
        known, rows = task_of(store, task), store.trials(task)
    found: Sequence[tuple[float | None, PastTrial]]
    if near is None:
        found = [(None, row) for row in sorted(rows, key=lambda row: _rank(known, row))]
    else:
        found = nearest(known.space, config_of(near, known.space), rows)
    if json:
        told = [{"distance": far, **row.model_dump(mode="json")} for far, row in found[:count]]
        print(strict_json(told))
    elif found:
        open_console().print(trial_table(found[:count], known.metric))
        if len(found) > count:
            print(f"{count} of {len(found):,} trials; -k {len(found)} shows all")
    else:
        print(f"no trial of {task} is left")


def config_of(text: str, space: Space) -> Config:
    """The configuration that `lr=0.01,layers=4` names, completed by the default.

    Raises:
        InputError: it is not of that form, or not of the space.
    """
    given = named_values("--near", text, "lr=0.01,layers=4")
    whole = {**space.complete_default(), **given}
    space.validate({name: whole[name] for name in whole if name in given or name in space.active(whole)})
    return space.active(whole)


def _rank(task: Task, row: PastTrial) -> tuple[bool, float]:
    """The best first; what has no value last."""
    if row.value is None or not math.isfinite(row.value):
        return True, 0.0
    return False, -task.direction.sign * row.value
