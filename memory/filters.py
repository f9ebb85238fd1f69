"""A `Filter` in SQL."""

from __future__ import annotations

import sqlite3

from .sqlite_rows import ONE_OF, ids
from .store import Filter

# A task's note, what belongs to it, and what was learnt from either: a lesson by its evidence, a text by its sources.
_OF_TASKS = f"""
    WITH RECURSIVE known (id) AS (
        SELECT id FROM notes WHERE id {ONE_OF}
        UNION SELECT id FROM notes WHERE task {ONE_OF}
        UNION SELECT e.note FROM evidence e JOIN known ON e.trial = known.id
        UNION SELECT l.source FROM links l JOIN known ON l.target = known.id WHERE l.type = 'derived' AND l.removed = 0
    ) SELECT id FROM known"""


def conditions(where: Filter) -> tuple[str, list[str]]:
    """What a row `n` of `notes` must fulfil to pass, and its parameters."""
    parts, values = ["n.forgotten = 0"], []
    if where.kinds:
        parts.append(f"n.kind {ONE_OF}")
        values.append(ids(where.kinds))
    if where.tasks:
        parts.append(f"(n.id {ONE_OF} OR n.task {ONE_OF})")
        values += [ids(where.tasks)] * 2
    if where.studies:
        parts.append(f"n.study {ONE_OF}")
        values.append(ids(where.studies))
    if where.hidden_tasks:
        parts.append(f"n.id NOT IN ({_OF_TASKS})")
        values += [ids(where.hidden_tasks)] * 2
    return " AND ".join(parts), values


def hidden(connection: sqlite3.Connection, where: Filter) -> list[str]:
    """The ids of everything of the filter's hidden tasks."""
    return [note for (note,) in connection.execute(_OF_TASKS, [ids(where.hidden_tasks)] * 2)]
