"""What is done when a study has ended: the model may work over what the memory learnt of the task."""

from __future__ import annotations

from ..memory.errors import MemoryFault
from ..models.embedder import Embedder, memory_embedder
from ..models.errors import ModelError, ModelSpecError
from .parts import Parts


def evolve_notes(parts: Parts, seconds: float) -> None:
    """Have the model evolve what the memory learnt of the task, where both are there; trouble is told once."""
    tokens, caller = parts.budget.tokens, parts.caller
    spent_all = tokens is not None and parts.used.tokens >= tokens
    if seconds <= 0 or parts.memory is None or caller is None or spent_all:
        return
    caller.trial = None  # in the call log: these calls are of no trial
    try:
        found = parts.memory.evolve(parts.study, caller, _embedder(parts), seconds)
    except (MemoryFault, ModelError) as error:  # of the memory's file, or of what embeds its notes
        parts.warn("memory", f"{error}; the notes stay as they are")
        return
    if found.trouble:
        parts.warn("evolve", f"{caller.name} said nothing usable of {found.failed} notes ({found.trouble})")
    if found.read and parts.trials:
        parts.hear(parts.trials[-1].number, "memory", found.sentence(caller.name))


def _embedder(parts: Parts) -> Embedder | None:
    try:
        return memory_embedder()
    except (ModelSpecError, ModelError) as error:
        parts.warn("embedder", f"notes are described without their neighbours: {error}")
        return None
