"""An outcome as a file in the trial's folder: it survives a kill between the run and the record."""

from __future__ import annotations

import json
from pathlib import Path

from ..trials.frozen import outcome_attributes, outcome_from
from ..trials.records import Outcome

FILE = "outcome.json"


def write_outcome(folder: Path, attempt: int, outcome: Outcome) -> None:
    """Write it whole or not at all."""
    partial = folder / f"{FILE}.part"
    partial.write_text(json.dumps({"attempt": attempt, **outcome_attributes(outcome, {})}))
    partial.replace(folder / FILE)


def read_outcome(folder: Path, attempt: int) -> Outcome | None:
    """The outcome of this attempt; None when there is none, it is another attempt's, or its file is damaged."""
    try:
        found = json.loads((folder / FILE).read_text())
        return outcome_from(found) if found["attempt"] == attempt else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def forget_outcome(folder: Path) -> None:
    """Make room for the run after a repair."""
    (folder / FILE).unlink(missing_ok=True)
