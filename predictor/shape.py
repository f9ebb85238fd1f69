"""Which steps of a workflow run whatever is decided. Pure: names and edges in, names out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def always_run(start: Name, firm: Iterable[tuple[Name, Name]], chosen: Iterable[tuple[Name, Name]]) -> set[Name]:
    """The steps that no decision can pass by, the first among them.

    What a step leads to for sure is what each of its firm edges leads to, and what all of its chosen ones have in
    common: the greatest solution of these equations, so that a loop does not hide what comes after it.

    Args:
        firm: edges that are all taken.
        chosen: edges of which a decision takes one for each source.
    """
    ways: dict[Name, tuple[list[Name], list[Name]]] = {}
    for place, edges in enumerate((firm, chosen)):
        for source, target in edges:
            ways.setdefault(source, ([], []))[place].append(target)
            ways.setdefault(target, ([], []))
    if start not in ways:
        return {start}
    sure = {name: set(ways) for name in ways}
    changed = True
    while changed:
        changed = False
        for name, (all_of, one_of) in ways.items():
            now = {name}.union(*(sure[target] for target in all_of))
            if one_of:
                now |= set.intersection(*(sure[target] for target in one_of))
            changed |= now != sure[name]
            sure[name] = now
    return sure[start]
