"""Where a study's memory is, and what the study is called in it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .confirm import Comparison, Confirmation
from .graphs.events import Event, Warned, ignore
from .trials.study import Study

if TYPE_CHECKING:
    from .graphs.remembering import StudyMemory
    from .memory.gains import Gain

Remember = bool | str | Path  # False: no memory; True: the user's; a path: that one


@contextmanager
def memory_of(
    study: Study, remember: Remember, place: Path, listen: Callable[[Event], None], data: Mapping[str, float]
) -> Iterator[StudyMemory | None]:
    """The memory for a study that runs in the folder `place`; None where it is not wanted or cannot be opened.

    Args:
        data: what is known of the study's data: rows, columns, ...
    """
    if remember is False:
        yield None
        return
    from .graphs.remembering import StudyMemory
    from .memory.errors import MemoryFault
    from .memory.place import memory_path
    from .memory.sqlite_store import SQLiteStore

    try:
        store = SQLiteStore(memory_path(None if remember is True else Path(remember)))
    except MemoryFault as error:
        listen(Warned(f"{error}; the study goes on without the memory"))
        yield None
        return
    try:
        yield StudyMemory(store, script_of(study), _hash(place), data)
    finally:
        store.close()


def remember_gain(
    study: Study, confirmation: Confirmation, remember: Remember, place: Path, data: Mapping[str, float]
) -> str:
    """Keep in the study's memory what fresh seeds showed; what went wrong, or "".

    A memory that cannot be opened is not told of again: the study has done so.
    """
    from .memory.errors import MemoryFault

    found = next((c for c in confirmation.comparisons if c.metric == study.metric), None)
    if found is None:
        return ""
    try:
        with memory_of(study, remember, place, ignore, data) as memory:
            if memory is not None:
                memory.confirmed(study, confirmation.trial, _gain(found))
    except MemoryFault as error:
        return f"{error}; what fresh seeds showed is not kept in the memory"
    return ""


def _gain(found: Comparison) -> Gain:
    from .memory.gains import Gain

    seeds = len(found.challenger)
    return Gain(found.gain, found.low, found.high, seeds, sum(found.challenger) / seeds)


def _hash(place: Path) -> str:
    return hashlib.sha256(str(place.resolve()).encode()).hexdigest()[:12]


def script_of(study: Study) -> str:
    """What a study runs, without values: `python train.py`, or an objective's name."""
    command = study.spec.get("run")
    if command is None:
        return str(study.spec.get("callable", study.name))
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    values = next((i for i, word in enumerate(words) if word.startswith("-") or "{" in word), len(words))
    return " ".join(words[:values]) or study.name
