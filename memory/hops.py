"""From the notes that a search found to those that they are tied to.

A note at the other end of a link must pass the same filter as one that is found, so that nothing of a hidden task
comes in by a side door.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .note import Kind, Link, LinkType, Note
from .store import Filter, Store

# What a note gives of its score to those at the other end of its links, chosen on half of the tasks of
# `benchmarks/memory.py`: what did not help there is 0 (docs/memory.md). Who is `similar` was found by its vector
# already, and trials, which `next trial`, `supports` and `refutes` lead to, answer nothing that their lesson does not.
# What is `derived` from a note is one of its three nearest: all of these together cost recall, the more the higher the
# weight.
HOPS: Mapping[LinkType, float] = MappingProxyType(
    {
        LinkType.SAME_STUDY: 0.25,
        LinkType.NEXT_TRIAL: 0.0,
        LinkType.SAME_TASK: 0.25,
        LinkType.SAME_SPACE: 0.0,
        LinkType.SIMILAR: 0.0,
        LinkType.SUPPORTS: 0.0,
        LinkType.REFUTES: 0.0,
        LinkType.DERIVED: 0.0,
    }
)
# What a note is to another at the other end of a link: as the link's source, and as its target.
_TIES: Mapping[LinkType, tuple[str, str]] = {
    LinkType.SAME_STUDY: ("same study as", "same study as"),
    LinkType.NEXT_TRIAL: ("next to", "next to"),
    LinkType.SAME_TASK: ("same task as", "same task as"),
    LinkType.SAME_SPACE: ("same space as", "same space as"),
    LinkType.SIMILAR: ("similar to", "similar to"),
    LinkType.SUPPORTS: ("supports", "supported by"),
    LinkType.REFUTES: ("refutes", "refuted by"),
    LinkType.DERIVED: ("written from", "a source of"),
}
_ANY = Filter()


@dataclass
class Reached:
    """The notes that a query has reached so far."""

    notes: dict[str, Note]
    scores: dict[str, float]  # of each note
    ties: dict[str, str] = field(default_factory=dict)  # what gave most to a note, where it got more than it had

    def best(self, k: int) -> list[str]:
        """The ids of the `k` best, equal ones by id."""
        return best(self.scores, k)


def best(scores: Mapping[str, float], k: int) -> list[str]:
    """The ids of the `k` highest scores, equal ones by id."""
    return sorted(scores, key=lambda name: (-scores[name], name))[:k]


def passing(store: Store, names: Iterable[str], where: Filter = _ANY) -> dict[str, Note]:
    """Those of the named notes that pass the filter, at their latest revisions."""
    left = set(names)
    found: dict[str, Note] = {}
    others = tuple(kind for kind in Kind if kind is not Kind.TASK)
    # `Filter.tasks` lets the named notes themselves pass, and what belongs to them. The tasks are taken out first, so
    # that not all of their trials are read for nothing.
    for kinds in ((Kind.TASK,), others):
        if left:
            listed = store.notes(replace(where, kinds=kinds, tasks=tuple(sorted(left))))
            found |= {note.id: note for note in listed if note.id in left}
            left -= set(found)
    return {name: note for name, note in found.items() if _is_of(note, where)}


def links_of(store: Store, notes: Collection[Note], types: Collection[LinkType] = ()) -> list[Link]:
    """The links that touch the notes, and those from the notes to the tasks that they belong to."""
    links = store.links([note.id for note in notes], types)
    if types and LinkType.SAME_TASK not in types:
        return links
    known = {(link.source, link.target, link.type) for link in links}
    implied = [Link(source=note.id, target=note.task, type=LinkType.SAME_TASK) for note in notes if note.task]
    return links + [link for link in implied if (link.source, link.target, link.type) not in known]


def follow(
    store: Store, reached: Reached, *, where: Filter, weights: Mapping[LinkType, float], width: int, hops: int
) -> None:
    """Add to the scores of what the `width` best notes are tied to, and take it in where it passes the filter.

    Spreading activation (Anderson 1983): what a found note is tied to gets a share of its score, on top of what it was
    found with itself, yet never comes before the note that gave it: who asked meant that one. A note gives once, and
    nothing flows back to one that has given in an earlier hop.
    """
    types = [kind for kind, weight in weights.items() if weight > 0]
    start, given = reached.best(width), set[str]()
    for _ in range(hops if types else 0):
        links = [*links_of(store, [reached.notes[name] for name in start], types)]
        links += _members(store, [reached.notes[name] for name in start], links, types, where)
        ends = {end for link in links for end in (link.source, link.target)}
        reached.notes |= passing(store, ends - set(reached.notes), where)
        raised = _give(reached, start, given, links, weights)
        given |= set(start)
        start = best({name: reached.scores[name] for name in raised}, width)
    reached.notes = {name: reached.notes[name] for name in reached.scores}


def _give(
    reached: Reached, start: list[str], given: set[str], links: list[Link], weights: Mapping[LinkType, float]
) -> set[str]:
    """One hop: each of `start` gives to its neighbours; who got something."""
    before, most = dict(reached.scores), dict[str, float]()
    for name in start:
        for other, share, tie in _spread(name, links, reached.notes, weights):
            gift = before[name] * share
            if gift <= 0 or other in given:
                continue
            # Only the best gift: a task would rise by what each of its lessons gives.
            own, below = before.get(other, 0.0), math.nextafter(before[name], 0.0)
            reached.scores[other] = max(reached.scores.get(other, 0.0), min(own + gift, max(below, own)))
            if gift > max(most.get(other, 0.0), own):
                reached.ties[other] = tie
            most[other] = max(most.get(other, 0.0), gift)
    return set(most)


def _members(
    store: Store, start: Iterable[Note], known: list[Link], types: Collection[LinkType], where: Filter
) -> list[Link]:
    """The links to the tasks in `start` from what belongs to them; all but trials, of which there are hundreds."""
    tasks = tuple(note.id for note in start if note.kind is Kind.TASK)
    kinds = tuple(kind for kind in where.kinds or Kind if kind not in (Kind.TASK, Kind.TRIAL))
    if LinkType.SAME_TASK not in types or not tasks or not kinds:
        return []
    there = {(link.source, link.target) for link in known if link.type is LinkType.SAME_TASK}
    members = [note for note in store.notes(replace(where, kinds=kinds, tasks=tasks)) if note.task in tasks]
    ties = [Link(source=note.id, target=note.task, type=LinkType.SAME_TASK) for note in members]
    return [tie for tie in ties if (tie.source, tie.target) not in there]


def _spread(
    name: str, links: list[Link], notes: Collection[str], weights: Mapping[LinkType, float]
) -> Iterator[tuple[str, float, str]]:
    """What a note gives to each neighbour: (id, share of its score, tie).

    The share is the type's weight over the root of how many neighbours of that type there are: the many of a note that
    is tied to everything would push out what was found.
    """
    for kind, weight in weights.items():
        around: dict[str, str] = {}
        for link in links:
            ends = (link.target, link.source)
            if link.type is kind and name in ends and link.source != link.target:
                side = 1 if name == link.source else 0  # of the other end: the target, or the source
                around[ends[1 - side]] = f"{_TIES[kind][side]} {name}"
        seen = {other: tie for other, tie in around.items() if other in notes}
        yield from ((other, weight / math.sqrt(len(seen)), tie) for other, tie in seen.items())


def _is_of(note: Note, where: Filter) -> bool:
    """What `passing` has taken out of the filter."""
    of_kind = not where.kinds or note.kind in where.kinds
    return of_kind and (not where.tasks or note.id in where.tasks or note.task in where.tasks)
