"""Does the memory find the note that answers a question? Real trials, questions with known answers, recall@1, @5, @10.

    python benchmarks/memory.py --data ../shared/data --json memory-recall.json

The memory learns from real trials as a study's end does (`memory_tasks.py`); questions name a task and a hyperparameter
as a person does (`memory_questions.py`). Every second task is for development: weights were chosen there, and what is
to be believed is the other half, whose notes are in the same memory. Recall@k is the share of a question's answers
among the first k notes, of as many as k can hold; in brackets the 95 % bootstrap interval over questions, whole tasks
at a time. `bare` memories hold the notes' contents alone, without the context, keywords and tags that code gives them.

    python benchmarks/memory.py --data ../shared/data --tasks 2 --evolve embedded --memory evolved.db

has a model construct and evolve the notes of a copy, and asks all questions of both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from memory_questions import Question, questions
from memory_tasks import Past, all_tasks
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from stats import Interval, clustered
from suites import DataMissing, UnknownName

from luthier.graphs.evolving import evolve
from luthier.memory.hops import HOPS
from luthier.memory.likeness import ALIKE, link_alike
from luthier.memory.note import CODE, Kind, LinkType, Proposal
from luthier.memory.recording import learn, record
from luthier.memory.retrieval import Fusion, Weights, embed_missing, retrieve
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter, Store
from luthier.models.caller import Caller
from luthier.models.embedder import Embedder, open_embedder
from luthier.models.fake_embedder import HashEmbedder
from luthier.models.open import open_model

OURS = "fused + hops"
KS = (1, 5, 10)
HALVES = ("development", "test")


@dataclass(frozen=True)
class Method:
    """One way to search in one memory. The product's is `OURS`."""

    weights: Weights = field(default_factory=Weights)
    fusion: Fusion = "minmax"
    hops: int = 1
    memory: str = "plain"  # a key of `MEMORIES`, or "evolved"


def along(**links: float) -> Weights:
    """The product's weights of the searches, with hops along some types of links only."""
    return Weights(links={LinkType[name.upper()]: weight for name, weight in links.items()})


def beside(**links: float) -> Weights:
    """The product's weights, with those of some types of links changed."""
    return Weights(links={**HOPS, **along(**links).links})


METHODS: dict[str, Method] = {
    "dense": Method(Weights(1, 0), hops=0),
    "full text": Method(Weights(0, 1), hops=0),
    "fused": Method(hops=0),
    "fused by ranks": Method(fusion="rrf", hops=0),
    OURS: Method(),
    "two hops": Method(hops=2),
    "hops: ranks": Method(fusion="rrf"),
    "hops: more words": Method(Weights(0.3, 0.7)),
    "hops: same task alone": Method(along(same_task=0.25)),
    "hops: same study alone": Method(along(same_study=0.25)),
    "hops: same task 1": Method(beside(same_task=1)),
    "hops: + same space 0.25": Method(beside(same_space=0.25)),
    "hops: + supports 0.25": Method(beside(supports=0.25, refutes=0.25)),
    "hops: + similar 0.25": Method(beside(similar=0.25), memory="alike"),
    # A model refines of a note's three nearest neighbours those that it will: all of them, tied alike, are the most
    # links of type `derived` that there could be.
    "hops: + nearest 0.25": Method(beside(similar=0.25), memory="near"),
    "hops: + nearest 0.5": Method(beside(similar=0.5), memory="near"),
    "bare: full text": Method(Weights(0, 1), hops=0, memory="bare"),
    "bare: fused": Method(hops=0, memory="bare"),
    "bare: fused + hops": Method(memory="bare"),
}
EVOLVED: dict[str, Method] = {
    "evolved: dense": Method(Weights(1, 0), hops=0, memory="evolved"),
    "evolved: full text": Method(Weights(0, 1), hops=0, memory="evolved"),
    "evolved: fused": Method(hops=0, memory="evolved"),
    "evolved: fused + hops": Method(memory="evolved"),
    "evolved: + similar 0.25": Method(beside(similar=0.25), memory="evolved"),
}


def strip(store: Store, embedder: Embedder) -> None:
    """Take away what notes say beyond their content: a memory without note construction."""
    found = list(store.notes(Filter(kinds=(Kind.LESSON, Kind.FAILURE))))
    store.evolve(
        [Proposal(note=n.id, revision=n.revision, author=CODE, keywords=(), tags=(), context="") for n in found]
    )


def tie(store: Store, embedder: Embedder, least: float = ALIKE) -> None:
    """Link what is alike: the nearest neighbours of each note above a cosine of `least`."""
    print(f"{link_alike(store, embedder, least=least)} links of likeness", file=sys.stderr)


MEMORIES: Mapping[str, Callable[[Store, Embedder], None]] = {
    "plain": lambda store, embedder: None,
    "bare": strip,
    "alike": tie,
    "near": partial(tie, least=-1.0),
}


class Remembering:
    """An embedder that embeds each question once, however many methods ask it."""

    def __init__(self, embedder: Embedder) -> None:
        self.name, self.size = embedder.name, embedder.size
        self._embedder = embedder
        self._known: dict[str, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors, of shape (n, size)."""
        for text in texts:
            if text not in self._known:
                self._known[text] = self._embedder.embed([text])[0]
        return np.stack([self._known[text] for text in texts])


def remember(store: Store, tasks: Sequence[Past]) -> None:
    """What Luthier keeps of the studies: their trials, and what they teach."""
    for past in track(tasks, "learning", console=Console(stderr=True)):
        for study, trials in past.studies.items():
            record(store, past.task, study, study, trials)
            learn(store, past.task)  # as a study's end does


def recall(found: Sequence[str], question: Question, k: int) -> float:
    """The share of the answers among the first k, of as many as k can hold."""
    return len(question.answers & set(found[:k])) / min(k, len(question.answers))


def ask(store: Store, asked: Sequence[Question], method: Method, embedder: Embedder) -> np.ndarray:
    """Recall of each question at each of `KS`: (n_questions, n_ks)."""
    rows = []
    for question in asked:
        options = {"weights": method.weights, "fusion": method.fusion, "hops": method.hops}
        found = retrieve(store, question.text, embedder=embedder, k=max(KS), **options)  # type: ignore[arg-type]
        names = [one.note.id for one in found]
        rows.append([recall(names, question, k) for k in KS])
    return np.array(rows)


def figures(method: str, half: str, asked: Sequence[Question], scores: np.ndarray) -> Iterator[dict[str, object]]:
    """Recall over all questions and over those of each way, with intervals."""
    for way in (None, *dict.fromkeys(question.way for question in asked)):
        rows = [i for i, question in enumerate(asked) if way in (None, question.way)]
        for column, k in enumerate(KS):
            told = clustered(scores[rows, column], [asked[i].task for i in rows])
            metric = f"recall@{k}, {half}" + (f", {way}" if way else "")
            yield {"method": method, "metric": metric, "value": told.mean, "low": told.low, "high": told.high}


def halves(tasks: Sequence[Past], asked: Sequence[Question]) -> dict[str, list[Question]]:
    """The questions of each half: tasks alternate, so that each suite is in both."""
    of = {past.task.id: HALVES[i % 2] for i, past in enumerate(tasks)}
    return {half: [question for question in asked if of[question.task] == half] for half in HALVES}


def compare(
    stores: Mapping[str, Store], asked: Sequence[Question], half: str, methods: Mapping[str, Method], by: Embedder
) -> tuple[list[dict[str, object]], Table]:
    """The figures of every method on one half, and their table."""
    scores = {
        name: ask(stores[method.memory], asked, method, by)
        for name, method in track(methods.items(), f"asking, {half}", console=Console(stderr=True))
    }
    told = [row for name, found in scores.items() for row in figures(name, half, asked, found)]
    table = Table(title=f"{half}: {len(asked)} questions of {len({q.task for q in asked})} tasks")
    ways = [way for way, _ in groupby(sorted(question.way for question in asked))]
    recalls, minus = [f"recall@{k}" for k in KS], [f"minus it @{k}" for k in KS]
    for heading in ("method", *recalls, *minus, *(f"{way} @5" for way in ways)):
        table.add_column(heading)
    tasks = [question.task for question in asked]
    for name, found in sorted(scores.items(), key=lambda item: -float(item[1][:, KS.index(5)].mean())):
        cells = [str(clustered(found[:, i], tasks)) for i in range(len(KS))]
        ahead = [_signed(clustered(scores[OURS][:, i] - found[:, i], tasks)) for i in range(len(KS))]
        told += [
            {
                "method": name,
                "metric": f"{OURS} minus it, recall@{k}, {half}",
                "value": d.mean,
                "low": d.low,
                "high": d.high,
            }
            for k, d in zip(
                KS, (clustered(scores[OURS][:, i] - found[:, i], tasks) for i in range(len(KS))), strict=True
            )
        ]
        by_way = [f"{found[[q.way == way for q in asked], KS.index(5)].mean():.3f}" for way in ways]
        table.add_row(name, *cells, *(("",) * len(KS) if name == OURS else ahead), *by_way)
    return told, table


def _signed(told: Interval) -> str:
    return f"{told.mean:+.3f} [{told.low:+.3f}, {told.high:+.3f}]"


def fill(path: Path, tasks: Sequence[Past], embedder: Embedder, prepare: Callable[[Store, Embedder], None]) -> Store:
    """A memory of the tasks in a file, embedded."""
    store = SQLiteStore(path)
    remember(store, tasks)
    embed_missing(store, embedder)
    prepare(store, embedder)
    embed_missing(store, embedder)
    return store


def evolved(path: Path, model: str, minutes: float, tasks: Sequence[Past], embedder: Embedder) -> Store:
    """The memory of the tasks after a model has evolved it for so many minutes, at most; a kept one is gone on with."""
    store = SQLiteStore(path)
    if not store.count():
        remember(store, tasks)
    chat = open_model(model)
    assert chat is not None, "--evolve needs a model"
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"evolving with {model}", total=None)

        def told(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        caller = Caller(chat, name=model, timeout=600)
        found = evolve(store, caller, embedder, seconds=60 * minutes, on_progress=told)
    print(f"{found}, {found.seconds / max(found.read, 1):.0f} s a note", file=sys.stderr)
    return store


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of measured data")
    parser.add_argument("--trials", type=int, default=60, help="trials a study")
    parser.add_argument("--tasks", type=int, help="at most so many tasks of each suite: a smoke test")
    parser.add_argument("--seed", type=int, default=0, help="draws the wording of the questions")
    parser.add_argument("--wordings", type=int, default=1, help="draws of each question's wording (%(default)s)")
    parser.add_argument("--methods", type=lambda s: s.split(","), help=f"some of the searches, {OURS!r} besides")
    parser.add_argument("--embedder", choices=("minilm", "hash"), default="minilm", help="hash needs no model file")
    parser.add_argument("--evolve", metavar="MODEL", help="have a model evolve the notes first, and ask again")
    parser.add_argument("--memory", type=Path, help="where the evolved memory is kept; the next run goes on with it")
    parser.add_argument("--minutes", type=float, default=60.0, help="of evolution in this run")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


def searches(given: argparse.Namespace) -> dict[str, Method]:
    """The methods to compare, ours among them.

    Raises:
        UnknownName: for a search that does not exist.
    """
    known = METHODS | EVOLVED if given.evolve else METHODS
    if wrong := [name for name in given.methods or () if name not in known]:
        raise UnknownName(f"a search must be one of {', '.join(known)}, but got {', '.join(wrong)}")
    return {name: method for name, method in known.items() if name in (given.methods or known) or name == OURS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, write the JSON."""
    given = parsed(arguments)
    try:
        methods = searches(given)
        everything = list(all_tasks(given.data, given.trials))
    except (DataMissing, UnknownName) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    tasks = [past for _, group in groupby(everything, lambda p: p.suite) for past in list(group)[: given.tasks]]
    opened = HashEmbedder() if given.embedder == "hash" else open_embedder()
    assert opened is not None  # only "none" is none
    embedder = Remembering(opened)
    told: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        needed = {"plain", *(method.memory for method in methods.values())}
        stores = {
            name: fill(Path(folder, f"{name}.db"), tasks, embedder, prepare)
            for name, prepare in MEMORIES.items()
            if name in needed
        }
        seeds = range(given.seed, given.seed + given.wordings)
        drawn = (question for seed in seeds for question in questions(stores["plain"], tasks, seed))
        asked_all = list(dict.fromkeys(drawn))  # each wording once
        groups = halves(tasks, asked_all)
        if given.evolve:  # nothing was chosen on it, so all questions count
            path = given.memory or Path(folder, "evolved.db")
            stores["evolved"] = evolved(path, given.evolve, given.minutes, tasks, embedder)
            groups = {"all": asked_all}
        for half, asked in groups.items():
            rows, table = compare(stores, asked, half, methods, embedder)
            told += rows
            Console(width=280).print(table)
        for store in stores.values():
            store.close()
    if given.json is not None:
        given.json.write_text("[\n" + ",\n".join(map(json.dumps, told)) + "\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
