"""Luthier tunes training scripts with small language models that run on your own machine."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Study", "report", "tune"]

# Training scripts import this package to report: nothing heavy loads before it is asked for.
_LAZY = {"Study": "luthier.trials.study", "report": "luthier.trials.report", "tune": "luthier.api"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'luthier' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
