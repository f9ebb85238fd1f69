"""What a training script calls to say how it does. Standard library only: scripts import it before anything else."""

from __future__ import annotations

import json
import sys
from typing import SupportsFloat

VERSION = 1  # of the line's format


def report(step: int | None = None, /, **metrics: SupportsFloat) -> None:
    """Report metrics, at a step if there is one, as one JSON line on standard output.

    `report(3, val_loss=0.2)` prints `{"luthier": 1, "step": 3, "val_loss": 0.2}`. Anything that `float` accepts is a
    value, so a tensor with one element or a numpy scalar is too. Outside Luthier it only prints the line.

    Raises:
        ValueError: without any metric, with a metric named `step` or `luthier`, or with a negative step.
        TypeError: when a value is no number.
    """
    if not metrics:
        raise ValueError("`report` needs at least one metric; write `report(step, val_loss=loss)`")
    for taken in ("step", "luthier"):
        if taken in metrics:
            raise ValueError(f"a metric may not be named {taken!r}; write `report(step, val_loss=loss)`")
    line: dict[str, float] = {"luthier": VERSION}
    if step is not None:
        line["step"] = _whole(step)
    line.update({name: _number(name, value) for name, value in metrics.items()})
    # One write, so that lines of several processes on one pipe do not mix.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _whole(step: int) -> int:
    if int(step) != step or step < 0:
        raise ValueError(f"a step must be a whole number from 0 on, but got {step!r}")
    return int(step)


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"metric {name!r} must be a number, but got {value!r}") from error
