"""Retrieval: filter by structure, search by meaning and by words, put both together, then follow links."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .fulltext import terms
from .hops import HOPS, Reached, follow, passing
from .note import LinkType, Note, clean
from .store import Filter, Store

if TYPE_CHECKING:
    from ..models.embedder import Embedder

DEPTH = 50  # notes that each search gives at least, before both are put together
BATCH = 32  # notes embedded at once, and kept before the next: a kill loses no more
CHARACTERS_A_TOKEN = 4  # of English prose; rough, for a budget
RRF = 60  # of Cormack, Clarke and Büttcher 2009: how little the first ranks count before the next
MOST_WORDS = 4  # named in a reason

Fusion = Literal["minmax", "rrf"]
Scored = list[tuple[str, float]]  # (id, score), best first


@dataclass(frozen=True)
class Weights:
    """What each way to a note counts."""

    dense: float = 0.5  # as `text` chosen on half of the tasks of `benchmarks/memory.py`, with hops
    text: float = 0.5
    links: Mapping[LinkType, float] = field(default_factory=lambda: HOPS)  # from 0 to 1; types left out count 0

    def __post_init__(self) -> None:
        if min(self.dense, self.text) < 0 or not all(0 <= weight <= 1 for weight in self.links.values()):
            raise ValueError(f"weights must be 0 or more, and those of links 1 at most, but got {self}")


@dataclass(frozen=True)
class Recalled:
    """A note that a query brought back."""

    note: Note
    score: float  # higher is better; comparable within one answer only
    why: str  # one short sentence


_ANY, _USUAL = Filter(), Weights()


def retrieve(
    store: Store,
    query: str,
    *,
    embedder: Embedder | None = None,
    where: Filter = _ANY,
    k: int = 10,
    tokens: int | None = None,
    weights: Weights = _USUAL,
    fusion: Fusion = "minmax",
    hops: int = 1,
) -> list[Recalled]:
    """The `k` notes that matter most for a query, best first, equal ones by id.

    Args:
        embedder: None searches by words alone. A note without a vector of it is found by words: see `embed_missing`.
        tokens: what the texts of the notes may hold together, roughly. The least relevant go first; a note that alone
            is longer is left out.
        fusion: how both searches become one score: `minmax` adds their scores, each brought to 0 to 1; `rrf` adds
            the reciprocals of their ranks.
        hops: how many links may be followed, one after another.
    """
    query = clean(query)
    if k <= 0 or not query.strip():
        return []
    depth = max(DEPTH, 3 * k)
    dense = [] if embedder is None else store.nearest(embedder.name, embedder.embed([query])[0], depth, where)
    text = store.matching(query, depth, where)
    scores = fuse([(dense, weights.dense), (text, weights.text)], fusion)
    notes = passing(store, scores, where)
    reached = Reached(notes, {name: scores[name] for name in notes})
    follow(store, reached, where=where, weights=weights.links, width=k, hops=hops)
    why = _Reasons(query, dict(dense), dict(text), reached.ties)
    ranked = [
        Recalled(reached.notes[name], reached.scores[name], why.of(reached.notes[name])) for name in reached.best(k)
    ]
    return ranked if tokens is None else _within(ranked, tokens)


def fuse(searches: list[tuple[Scored, float]], fusion: Fusion = "minmax") -> dict[str, float]:
    """One score for each note of several searches, each with its weight. A search that found nothing has no say."""
    told = [(found, weight) for found, weight in searches if found and weight > 0]
    total = sum(weight for _, weight in told)
    scores: dict[str, float] = {}
    for found, weight in told:
        for name, score in _scaled(found) if fusion == "minmax" else _by_rank(found):
            scores[name] = scores.get(name, 0.0) + score * weight / total
    return scores


def embed_missing(store: Store, embedder: Embedder, on_progress: Callable[[int], None] | None = None) -> int:
    """Embed the notes that have no vector of this embedder; how many that were.

    Args:
        on_progress: is told after each batch how many are done.
    """
    done = 0
    while notes := store.missing_vectors(embedder.name, BATCH):
        vectors = embedder.embed([note.text for note in notes])  # (n, d)
        keyed = {(note.id, note.revision): vector for note, vector in zip(notes, vectors, strict=True)}
        store.put_vectors(embedder.name, keyed)
        done += len(notes)
        if on_progress is not None:
            on_progress(done)
    return done


class _Reasons:
    """Why each note came back."""

    def __init__(self, query: str, cosines: dict[str, float], words: dict[str, float], ties: dict[str, str]) -> None:
        self._asked, self._cosines, self._words, self._ties = terms(query), cosines, words, ties

    def of(self, note: Note) -> str:
        reasons = [f"alike ({self._cosines[note.id]:.2f})"] if note.id in self._cosines else []
        if note.id in self._words:
            reasons.append(self._held(note))
        if note.id in self._ties:
            reasons.append(self._ties[note.id])
        return ", ".join(reasons)

    def _held(self, note: Note) -> str:
        there = set(terms(note.text))
        held = [word for word in self._asked if word in there][:MOST_WORDS]
        if not held:  # one character of a script without spaces, which the text has within pairs
            return "holds words of the query"
        return f"holds the word{'s' if len(held) > 1 else ''} '{' '.join(held)}'"


def _scaled(found: Scored) -> Scored:
    low, high = min(score for _, score in found), max(score for _, score in found)
    return [(name, (score - low) / (high - low) if high > low else 1.0) for name, score in found]


def _by_rank(found: Scored) -> Scored:
    return [(name, 1.0 / (RRF + rank)) for rank, (name, _) in enumerate(found, 1)]


def _within(ranked: list[Recalled], tokens: int) -> list[Recalled]:
    kept = [one for one in ranked if _tokens(one.note) <= tokens]
    while sum(_tokens(one.note) for one in kept) > tokens:
        kept.pop()
    return kept


def _tokens(note: Note) -> int:
    return math.ceil(len(note.text) / CHARACTERS_A_TOKEN)
