"""Derived features of a study: what its names, its script and a model tell of where runs fail; kept in its folder."""

from __future__ import annotations

import json
from pathlib import Path

from ..agents.features import derived_features
from ..models.caller import Caller
from ..predictor.derived import Derived, derived_of
from ..trials.command import CommandRunner
from ..trials.runner import Runner
from ..trials.space import Space

FILE = "features.json"
MAX_SCRIPT = 200_000  # characters


def features_of(folder: Path, space: Space, runner: Runner, caller: Caller | None) -> list[Derived]:
    """The features to weigh in a study.

    Args:
        folder: of the study; what a model read is kept there, so that it is asked once.
        caller: reads the script, where nothing is kept yet; without it rules read.

    Raises:
        ModelError: the model failed; nothing is kept.
    """
    place = folder / FILE
    kept = _read(place)
    if kept is not None:
        return derived_of(kept, space)
    found = derived_features(space, script_of(runner), caller)
    if caller is not None:
        partial = place.with_suffix(".part")
        partial.write_text(json.dumps([feature.text for feature in found]))
        partial.replace(place)
    return found


def script_of(runner: Runner) -> str:
    """The text of the Python script that a command runs; "" where there is none to read."""
    path = runner.script if isinstance(runner, CommandRunner) else None
    try:
        return "" if path is None else path.read_text(encoding="utf-8", errors="replace")[:MAX_SCRIPT]
    except OSError:
        return ""


def _read(path: Path) -> list[str] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else None
