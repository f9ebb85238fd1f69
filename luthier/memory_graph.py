"""The memory as a graph: the notes that are shown, the links between them, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .memory.hops import links_of
from .memory.note import Kind, Link, Note
from .memory.store import Store
from .memory_page import first_line

MOST = 500  # notes: with more, lines hide what they tie, and a browser stutters
NAMED = 5  # of the notes with the most links


@dataclass(frozen=True)
class Graph:
    """Notes and the links between them."""

    notes: Sequence[Note]
    links: Sequence[Link]
    left_out: Mapping[Kind, int]  # how many notes of each kind are not among them

    def missing(self) -> str:
        """What is left out, in a sentence; "" when nothing is."""
        several = [f"{count:,} of kind {kind.value}" for kind, count in self.left_out.items()]
        return f"Left out beyond {len(self.notes):,} notes: {', '.join(several)}." if several else ""

    def as_dict(self) -> dict[str, Any]:
        """The graph as JSON-able data."""
        nodes = [{"id": note.id, "kind": note.kind.value, "text": first_line(note)} for note in self.notes]
        links = [{"source": link.source, "target": link.target, "type": link.type.value} for link in self.links]
        return {"notes": nodes, "links": links, "left_out": {k.value: n for k, n in self.left_out.items()}}

    def lines(self) -> list[str]:
        """The graph in a few lines."""
        kinds = Counter(note.kind.value for note in self.notes)
        types = Counter(link.type.value for link in self.links)
        ends = Counter(end for link in self.links for end in (link.source, link.target))
        named = {note.id: first_line(note) for note in self.notes}
        most = [f"  {count:>5,}  {name}  {named[name]}" for name, count in ends.most_common(NAMED)]
        told = [f"notes: {_counts(kinds)}", f"links: {_counts(types) or 'none'}", self.missing()]
        return [line for line in (*told, "with the most links:" if most else "", *most) if line]


def graph_of(store: Store, most: int = MOST) -> Graph:
    """The graph of a memory. Where there are too many notes, trials go first, then what is old."""
    notes = list(store.notes())
    notes.reverse()
    notes.sort(key=lambda note: note.kind is Kind.TRIAL)
    shown, rest = notes[:most], notes[most:]
    ids = {note.id for note in shown}
    links = [link for link in links_of(store, shown) if {link.source, link.target} <= ids]
    return Graph(shown, links, Counter(note.kind for note in rest))


def _counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(of.items(), key=lambda item: (-item[1], item[0])))
