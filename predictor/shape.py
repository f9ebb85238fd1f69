"""Which steps of a workflow run whatever is decided, and which edges go back. Pure: edges in, names or edges out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import networkx as nx

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


def without_loops(edges: Sequence[tuple[int, int]], types: Sequence[str]) -> list[tuple[int, int]]:
    """The edges, in order, without those conditional ones that would close a loop with the edges before them.

    Edges of other types stay, and count as if they came first.
    """
    typed = list(zip(edges, types, strict=True))
    graph: nx.DiGraph[int] = nx.DiGraph(edges)
    if nx.is_directed_acyclic_graph(graph):
        return list(edges)
    kept: nx.DiGraph[int] = nx.DiGraph([edge for edge, kind in typed if kind != "conditional"])
    kept.add_nodes_from(graph)
    for (source, target), kind in typed:
        if kind == "conditional" and not nx.has_path(kept, target, source):
            kept.add_edge(source, target)
    return [edge for edge in edges if kept.has_edge(*edge)]
