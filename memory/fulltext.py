"""The full-text index: one row a note that can be searched, of the words of its latest revision.

Text is cut into words here, by one function for notes and queries, so that no query is ever syntax to SQLite.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata

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
    """The `k` best of the notes that hold any word of the query: (id, BM25 above 0), equal ones by id."""
    wanted = terms(query)
    if not wanted or k <= 0:
        return []
    passing, values = conditions(where)
    found = connection.execute(
        "SELECT n.id, -bm25(words) AS score FROM words JOIN notes n ON n.seq = words.rowid "
        f"WHERE words MATCH ? AND {passing} ORDER BY score DESC, n.id LIMIT ?",
        (" OR ".join(f'"{term}"' for term in wanted), *values, min(k, _MOST)),
    )
    return [(str(note), float(score)) for note, score in found]


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
