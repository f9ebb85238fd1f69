"""The full-text index: one row a note that can be searched, of the words of its latest revision.

Text is cut into words here, by one function for notes and queries, so that no query is ever syntax to SQLite.
"""

from __future__ import annotations

import math
import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

from .filters import conditions
from .sqlite_rows import LATEST, to_note
from .store import Filter

# The commonest words of English, which are in every note and tell none apart: Lucene's list.
_STOP = """
    a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to
    was will with
"""
STOP_WORDS = frozenset(_STOP.split())
_MOST = 2**31  # notes in one answer: SQLite takes no number above 64 bits
_K1, _LEAST_WEIGHT = 1.2, 1e-6  # of FTS5's BM25, which sets both: how repetition counts, and words in most notes
_ACCENTS = re.compile("[\u0300-\u036f]")  # of Latin, Greek and Cyrillic; other scripts' marks make other words
# Thai to Burmese, Khmer, kana, ideographs and Hangul: no spaces between words, or endings that stick to them. Each
# character is a word there, and a query asks for pairs of neighbours.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_SINGLE = re.compile(f"[{_UNSPACED}]")
_PIECES = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED} ]+")


def index(connection: sqlite3.Connection, note: str) -> None:
    """Bring the index up to date on a note: its latest words, or none where no search may find it."""
    connection.execute("DELETE FROM words WHERE rowid = (SELECT seq FROM notes WHERE id = ?)", (note,))
    row = connection.execute(f"{LATEST} WHERE n.id = ? AND n.forgotten = 0 AND n.kind <> 'trial'", (note,)).fetchone()
    if row is not None:
        latest = to_note(row)
        connection.execute(
            "INSERT INTO words (rowid, text, revision) SELECT seq, ?, head FROM notes WHERE id = ?",
            (_SINGLE.sub(r" \g<0> ", _fold(latest.text)), note),
        )


def search(connection: sqlite3.Connection, query: str, k: int, where: Filter) -> list[tuple[str, float]]:
    """The `k` best of the notes that hold any word of the query: (id, BM25 above 0), equal ones by id.

    Ranking costs some microseconds a note, and common words are in most notes. So the rarest words are asked for first,
    until notes that hold none of them could not come in among the best even with all other words (MaxScore: Turtle and
    Flood 1995). Those others still count where they stand beside a rare one: the answer is that of asking for all.
    """
    if k <= 0:
        return []
    held = {term: _held(connection, _any([term])) for term in terms(query)}
    wanted = sorted((term for term, count in held.items() if count), key=lambda term: held[term])
    if not wanted:
        return []
    (notes,) = connection.execute("SELECT count(*) FROM words_docsize").fetchone()
    for size, limit in _cuts([held[term] for term in wanted], notes, k):
        rare, others = _any(wanted[:size]), _any(wanted[size:])
        parts = (_ranked(connection, f"{rare} {tied} {others}", k, where) for tied in ("AND", "NOT"))
        found = sorted(chain(*parts), key=lambda one: (-one[1], one[0]))[:k]
        if len(found) == k and found[-1][1] > limit:
            return found
    return _ranked(connection, _any(wanted), k, where)


def _cuts(held: Sequence[int], notes: int, k: int) -> Iterator[tuple[int, float]]:
    """How many of the rarest words may do, and more than all others can give a note: (words, score).

    Args:
        held: how many of the notes hold each word, the rarest first.

    The last of the `k` best is likely a note with one word, the rarest of those that `k` notes hold, so it scores about
    that word's weight. What is worth a try is judged by that, and each try has twice the notes of the last.
    """
    weights = [_weight(count, notes) for count in held]
    limits = [(_K1 + 1) * left for left in accumulate(reversed(weights))][::-1]  # however often a word is repeated
    together, tried = list(accumulate(held)), 0
    likely = next((weight for weight, count in zip(weights, together, strict=True) if count >= k), 0.0)
    for size in range(1, len(held)):
        if together[size - 1] >= max(k, 2 * tried) and limits[size] < likely:
            tried = together[size - 1]
            yield size, limits[size]


def _ranked(connection: sqlite3.Connection, match: str, k: int, where: Filter) -> list[tuple[str, float]]:
    passing, values = conditions(where)
    found = connection.execute(
        "SELECT n.id, -bm25(words) AS score FROM words JOIN notes n ON n.seq = words.rowid "
        f"WHERE words MATCH ? AND {passing} ORDER BY score DESC, n.id LIMIT ?",
        (match, *values, min(k, _MOST)),
    )
    return [(str(note), float(score)) for note, score in found]


def _held(connection: sqlite3.Connection, match: str) -> int:
    """How many notes hold it; to count is far quicker than to rank."""
    return int(connection.execute("SELECT count(*) FROM words WHERE words MATCH ?", (match,)).fetchone()[0])


def _weight(held: int, notes: int) -> float:
    """What FTS5's BM25 gives, about, for a word that `held` of the notes hold."""
    return max(math.log((notes - held + 0.5) / (held + 0.5)), _LEAST_WEIGHT)


def _any(words: Sequence[str]) -> str:
    return "(" + " OR ".join(f'"{word}"' for word in words) + ")"


def terms(query: str) -> list[str]:
    """What a query asks for, each once: its words that count, and pairs of neighbours where words have no spaces."""
    found: dict[str, None] = {}
    for piece in _PIECES.findall(_fold(query)):
        if not _SINGLE.match(piece):
            found |= {} if piece in STOP_WORDS else {piece: None}
        else:
            found |= dict.fromkeys(" ".join(piece[at : at + 2]) for at in range(max(len(piece) - 1, 1)))
    return list(found)


def _fold(text: str) -> str:
    """Letters, digits and marks in one case and without accents; a space for everything else."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    whole = unicodedata.normalize("NFC", plain)
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in whole)
