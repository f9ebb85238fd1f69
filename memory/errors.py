"""What can go wrong in the memory.

MemoryFault                 the family
├── NoteMissing             the developer or the user: no note has this id
├── Conflict                the developer: another writer was first; read the note again and retry
├── Refused                 the developer: a write that breaks a rule of the memory
└── MemoryFileError         the user: the file is damaged, foreign, of another version, or cannot be written
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError


class MemoryFault(Exception):
    """The family. A message states the rule, the value and what to do."""


class NoteMissing(MemoryFault):
    """No note has this id."""


class Conflict(MemoryFault):
    """The note is not at the revision that the writer read: another writer was first."""


class Refused(MemoryFault):
    """A write that breaks a rule of the memory: a made-up id, evidence by a model, text that is too long."""


class MemoryFileError(MemoryFault):
    """The memory's file is damaged, not a memory, of another version, or cannot be written."""


class ImportFault(MemoryFault):
    """A file, a folder or a storage outside the memory cannot be used as asked. Nothing is written."""


@contextmanager
def as_faults() -> Iterator[None]:
    """What breaks a rule of a record's fields is `Refused`, so that whoever minds the memory's faults minds it too."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise Refused(
            f"a record of the memory must keep to its fields' rules, but `{name}` of a {error.title} does not: "
            f"{first['msg']}, got {first['input']!r:.100}; leave it out or change it"
        ) from error
