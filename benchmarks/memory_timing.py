"""How fast is the memory? Retrieval at 1,000, 10,000 and 100,000 notes of 384 dimensions, exact and with the sidecar.

    python benchmarks/memory_timing.py --json memory-timing.json

Notes hold thirty words, the common ones often, as text does. `topics` vectors are near one of as many topics as the
notes have hundreds, with forty directions around them; `random` ones are not alike at all, which is the sidecar's worst
case. Queries are near a note. `nearest` is the search by vectors as `retrieve` asks for it, the 50 best; `words` the
search by words, beside one that ranks every note with a word of the query; `retrieve` is the whole: vectors, words and
one hop, without the embedding of the query. `insert` is one note with its vector, in two transactions; `embed` is the
embedder that ships, on one text. Each round asks every query once; the figures are those of the round in the middle by
its p95. CPU time tells what a busy machine hides.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from figures import write
from rich.progress import track

from luthier.memory.fulltext import terms
from luthier.memory.note import Kind, Note, stable_id
from luthier.memory.retrieval import DEPTH, retrieve
from luthier.memory.sqlite_store import SQLiteStore
from luthier.models.embedder import open_embedder

DIMENSIONS = 384  # of MiniLM-L6
MODEL = "synthetic"
WORDS, VOCABULARY = 30, 20_000
TOGETHER = 1_000  # notes added in one transaction, to fill the memory
INSERTS = 200
EXACT = {1_000: 5.0, 10_000: 15.0, 100_000: 80.0}  # ms, p95 to reach
SIDECAR = {100_000: 10.0}
INSERT = {100_000: 5.0}
EMBED = 20.0  # ms of one text on one core
LESSON = (
    "In python train.py, {name} from {low:.3g} to {high:.3g} went along with better val_loss: +0.12 [+0.03, +0.2], "
    "above 0 is better, 24 trials.\n{name} val_loss\neffect\nseen while tuning val_loss"
)


@dataclass(frozen=True)
class Row:
    """One figure."""

    size: int
    what: str
    p50: float
    p95: float
    unit: str = "ms"
    target: float | None = None  # of p95

    def __str__(self) -> str:
        reach = f", to reach {self.target:g}: {'yes' if self.p95 <= self.target else 'NO'}" if self.target else ""
        figures = f"p50 {self.p50:8.2f} {self.unit}, p95 {self.p95:8.2f} {self.unit}"
        return f"{self.size:>7,} notes  {self.what:32} {figures}{reach}"


class Given:
    """An embedder that was asked before: the queries' vectors by their words."""

    name, size = MODEL, DIMENSIONS

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self._vectors = vectors

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of known texts: (n, 384) float32."""
        return np.stack([self._vectors[text] for text in texts])


def made_vectors(count: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Vectors of length 1: (count, 384) float32."""
    if kind == "random":
        return unit(rng.standard_normal((count, DIMENSIONS)))
    topics = rng.standard_normal((max(count // 100, 10), DIMENSIONS))
    around = rng.standard_normal((40, DIMENSIONS)) / np.sqrt(40)
    rows = topics[rng.integers(0, len(topics), count)] + rng.standard_normal((count, 40)) @ around
    return unit(rows + 0.1 * rng.standard_normal((count, DIMENSIONS)))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows at length 1, float32."""
    scaled: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def made_texts(count: int, length: int, rng: np.random.Generator) -> list[str]:
    """Texts of words whose frequency falls with their rank, as in any language (Zipf)."""
    ranks = np.arange(1, VOCABULARY + 1)
    drawn = rng.choice(VOCABULARY, (count, length), p=(1 / ranks) / (1 / ranks).sum())
    return [" ".join(f"w{word}" for word in words) for words in drawn]


def fill(store: SQLiteStore, vectors: np.ndarray, texts: Sequence[str]) -> None:
    """A note for each vector."""
    starts = range(0, len(vectors), TOGETHER)
    for begin in track(starts, f"filling {len(vectors):,}", disable=len(starts) < 5):
        end = begin + TOGETHER
        notes = [
            Note(id=stable_id(Kind.LESSON, begin, place), kind=Kind.LESSON, content=text)
            for place, text in enumerate(texts[begin:end])
        ]
        store.add(notes)
        store.put_vectors(MODEL, {(note.id, 0): v for note, v in zip(notes, vectors[begin:end], strict=True)})


def timed(calls: Iterable[Callable[[], object]], clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """What each call takes, in ms."""
    taken = []
    for call in calls:
        start = clock()
        call()
        taken.append(1000 * (clock() - start))
    return taken


def row(size: int, what: str, rounds: list[list[float]], target: float | None = None) -> Row:
    """The round in the middle by its p95."""
    middle = sorted(rounds, key=lambda taken: float(np.quantile(taken, 0.95)))[len(rounds) // 2]
    return Row(size, what, statistics.median(middle), float(np.quantile(middle, 0.95)), target=target)


def measured(folder: Path, size: int, kind: str, queries: int, rounds: int) -> Iterator[Row]:
    """All figures of one size."""
    rng = np.random.default_rng(size)
    vectors, texts = made_vectors(size, kind, rng), made_texts(size, WORDS, rng)
    exact = SQLiteStore(folder / f"{size}.db", sidecar_from=None)
    fill(exact, vectors, texts)
    near = vectors[rng.integers(0, size, queries)] + 0.5 / np.sqrt(DIMENSIONS) * rng.standard_normal(
        (queries, DIMENSIONS)
    )
    asked = dict(zip(made_texts(queries, 6, rng), unit(near), strict=True))
    (first,) = timed([lambda: exact.nearest(MODEL, near[0], DEPTH)])
    yield Row(size, "exact, the first of a process", first, first)
    with_sidecar = SQLiteStore(folder / f"{size}.db", sidecar_from=0)
    start = time.perf_counter()
    if with_sidecar.index(MODEL, lambda done: print(f"\rindexed {done:,}", end="", flush=True)):
        taken = time.perf_counter() - start
        print("\r", end="")
        yield Row(size, "sidecar, to build", taken, taken, "s")
    for name, store, target in (("exact", exact, EXACT), ("sidecar", with_sidecar, SIDECAR)):
        yield from of_store(name, store, target.get(size), size, asked, rounds)
    yield from by_words(exact, list(asked), size, rounds)
    yield recall(exact, with_sidecar, asked, size)
    inserts = [timed(inserting(exact, number)) for number in range(rounds)]
    yield row(size, "insert", inserts, INSERT.get(size))
    for store in (exact, with_sidecar):
        store.close()


def of_store(
    name: str, store: SQLiteStore, target: float | None, size: int, asked: dict[str, np.ndarray], rounds: int
) -> Iterator[Row]:
    """The two searches of one store."""
    embedder = Given(asked)
    store.nearest(MODEL, next(iter(asked.values())), DEPTH)  # what is read once
    nearest = [timed(partial(store.nearest, MODEL, v, DEPTH) for v in asked.values()) for _ in range(rounds)]
    yield row(size, f"nearest, {name}", nearest, target)
    cpu = [timed((partial(store.nearest, MODEL, v, DEPTH) for v in asked.values()), time.process_time)]
    yield row(size, f"nearest, {name}, CPU time", cpu)
    whole = [timed(partial(retrieve, store, t, embedder=embedder) for t in asked) for _ in range(rounds)]
    yield row(size, f"retrieve, {name}", whole)
    cpu = [timed((partial(retrieve, store, t, embedder=embedder) for t in asked), time.process_time)]
    yield row(size, f"retrieve, {name}, CPU time", cpu)


def by_words(store: SQLiteStore, asked: Sequence[str], size: int, rounds: int) -> Iterator[Row]:
    """The search by words, and what it takes to rank all that hold a word; both must find the same scores."""
    with closing(sqlite3.connect(store.path)) as connection:
        ways: dict[str, Callable[[str], Iterable[tuple[str, float]]]] = {
            "words": lambda text: store.matching(text, DEPTH),
            "all ranked": partial(all_ranked, connection),
        }
        short, whole = ([score for text in asked for _, score in way(text)] for way in ways.values())
        np.testing.assert_allclose(short, whole, rtol=1e-9)
        for name, way in ways.items():
            yield row(size, name, [timed(partial(way, text) for text in asked) for _ in range(rounds)])
            yield row(size, f"{name}, CPU time", [timed((partial(way, text) for text in asked), time.process_time)])


def all_ranked(connection: sqlite3.Connection, text: str) -> list[tuple[str, float]]:
    """The search by words as SQLite does it when told nothing else."""
    return connection.execute(
        "SELECT n.id, -bm25(words) AS score FROM words JOIN notes n ON n.seq = words.rowid "
        "WHERE words MATCH ? AND n.forgotten = 0 ORDER BY score DESC, n.id LIMIT ?",
        (" OR ".join(f'"{term}"' for term in terms(text)), DEPTH),
    ).fetchall()


def recall(exact: SQLiteStore, approximate: SQLiteStore, asked: dict[str, np.ndarray], size: int) -> Row:
    """The share of the exact search's best ten that the sidecar finds: the median query and the worst 5 %."""
    shares = []
    for vector in asked.values():
        truth, found = (dict(store.nearest(MODEL, vector, DEPTH)[:10]) for store in (exact, approximate))
        shares.append(len(truth.keys() & found.keys()) / len(truth))
    what = f"sidecar, recall@10 (mean {np.mean(shares):.3f})"
    return Row(size, what, statistics.median(shares), float(np.quantile(shares, 0.05)), "")


def inserting(store: SQLiteStore, number: int) -> Iterator[Callable[[], object]]:
    """One note with its vector, again and again."""
    rng = np.random.default_rng(number)
    for place, (text, vector) in enumerate(
        zip(made_texts(INSERTS, WORDS, rng), made_vectors(INSERTS, "random", rng), strict=True)
    ):
        note = Note(id=stable_id(Kind.LESSON, "insert", number, place), kind=Kind.LESSON, content=text)

        def insert(note: Note = note, vector: np.ndarray = vector) -> None:
            store.add([note])
            store.put_vectors(MODEL, {(note.id, 0): vector})

        yield insert


def embedding(texts: int, rounds: int) -> Iterator[Row]:
    """What the embedder that ships takes for one lesson, with its keywords, tags and context."""
    embedder = open_embedder("embedded")
    assert embedder is not None  # only "none" is none
    rng = np.random.default_rng(0)
    words = [LESSON.format(name=name, low=rng.random(), high=rng.random()) for name in made_texts(texts, 1, rng)]
    embedder.embed(words[:1])  # what is loaded once
    taken = [timed(partial(embedder.embed, [text]) for text in words) for _ in range(rounds)]
    yield row(1, "embed a lesson, one core", taken, EMBED)
    cpu = [timed((partial(embedder.embed, [text]) for text in words), time.process_time)]
    yield row(1, "embed a lesson, CPU time", cpu)


def main() -> None:
    """Print a line for each figure, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--vectors", choices=["topics", "random"], default="topics")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = list(embedding(given.queries, given.rounds))
    print(*rows, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, given.sizes.split(",")):
            for one in measured(Path(folder), size, given.vectors, given.queries, given.rounds):
                print(one, flush=True)
                rows.append(one)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    if given.json is not None:
        write(given.json, rows)


if __name__ == "__main__":
    main()
