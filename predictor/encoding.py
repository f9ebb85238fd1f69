"""Workflows and tasks as numbers: texts by the embedder, each once; structure by counting.

Every feature is of one workflow or one task alone, so that nothing leaks from other rows. What is unknown has its own
column and no weight of a known one: an operator or a model that training has not seen is "other", a missing round or
parent is zero with a flag.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import networkx as nx
import numpy as np

from ..models.embedder import Embedder
from .logs import LoggedWorkflow, Task

STRUCTURE = (
    "nodes",
    "edges",
    "depth",
    "width",
    "conditional steps",
    "conditional edges",
    "control edges",
    "steps in a loop",
    "log characters of the prompts",
)
LINEAGE = ("has a round", "log of the round", "has a parent")
SURFACE = (
    "log characters",
    "log words",
    "log characters of the context",
    "log digits",
    "log lines",
    "log commas",
    "log questions",
    "log symbols",
)


class Encoder:
    """Turns texts into vectors by an embedder and keeps them by their hash, so that each is embedded once.

    Args:
        embedder: `models.embedder`; None for structure alone, where texts have no vectors.
        known: vectors from earlier, by `hash_of`; the encoder adds to it.
    """

    def __init__(self, embedder: Embedder | None, known: dict[str, np.ndarray] | None = None) -> None:
        self._embedder = embedder
        self.known = {} if known is None else known

    @property
    def name(self) -> str:
        """The embedder's name, or `none`."""
        return "none" if self._embedder is None else self._embedder.name

    @property
    def size(self) -> int:
        """Dimensions of a vector; 0 without an embedder."""
        return 0 if self._embedder is None else self._embedder.size

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of shape (n, size), rows of length 1; an empty text is a row of zeros."""
        if self._embedder is None or not len(texts):
            return np.zeros((len(texts), self.size), np.float32)
        fresh = [text for text in dict.fromkeys(texts) if text.strip() and hash_of(text) not in self.known]
        if fresh:
            self.known.update(zip(map(hash_of, fresh), self._embedder.embed(fresh), strict=True))
        empty = np.zeros(self.size, np.float32)
        return np.array([self.known[hash_of(text)] if text.strip() else empty for text in texts], np.float32)

    def tasks(self, tasks: Sequence[Task]) -> np.ndarray:
        """Vectors of the tasks' texts, shape (n, size)."""
        return self.texts([task.text for task in tasks])

    def nearness(self, tasks: Sequence[Task]) -> np.ndarray:
        """The cosine of each task's text and its context, shape (n, 1); 0 where one of them is empty."""
        contexts = self.texts([task.context for task in tasks])
        return np.asarray((self.tasks(tasks) * contexts).sum(axis=1, keepdims=True), float)

    def prompts(self, workflows: Sequence[LoggedWorkflow]) -> np.ndarray:
        """The mean vector over each workflow's nodes, shape (n, size)."""
        means = [self.texts(workflow.nodes).mean(axis=0) for workflow in workflows]
        return np.array(means).reshape(len(workflows), self.size)


def hash_of(text: str) -> str:
    """What a text's vector is kept under."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def surface(tasks: Sequence[Task]) -> np.ndarray:
    """What shows of a task without reading it, shape (n, len(SURFACE))."""
    return np.array([_surface(task) for task in tasks], float).reshape(-1, len(SURFACE))


def _surface(task: Task) -> list[float]:
    text = task.text
    lengths = [len(text), len(text.split()), len(task.context)]
    marks = [sum(c.isdigit() for c in text), text.count("\n"), text.count(","), text.count("?")]
    symbols = sum(not (c.isalnum() or c.isspace() or c in ".,?") for c in text)
    return [float(x) for x in np.log1p([*lengths, *marks, symbols])]


def structure(workflows: Sequence[LoggedWorkflow]) -> np.ndarray:
    """Size and shape of each graph, shape (n, len(STRUCTURE)). Loops are folded into one step before depth is taken."""
    return np.array([_structure(workflow) for workflow in workflows], float).reshape(-1, len(STRUCTURE))


def _structure(workflow: LoggedWorkflow) -> list[float]:
    graph: nx.DiGraph[int] = nx.DiGraph(list(workflow.edges))
    graph.add_nodes_from(range(len(workflow.nodes)))
    folded = nx.condensation(graph)
    layers = [len(layer) for layer in nx.topological_generations(folded)]
    loops = [len(members) for _, members in folded.nodes(data="members") if len(members) > 1]
    types = Counter(workflow.edge_types)
    return [
        len(workflow.nodes),
        len(workflow.edges),
        len(layers),
        max(layers),
        sum(workflow.conditional),
        types["conditional"],
        types["control"],
        sum(loops),
        float(np.log1p(sum(map(len, workflow.nodes)))),
    ]


def lineage(workflows: Sequence[LoggedWorkflow]) -> np.ndarray:
    """Where each workflow stands in the search that made it, shape (n, len(LINEAGE)); zeros where nothing is known."""
    rows = [[w.round is not None, np.log(max(w.round or 1, 1)), bool(w.parent)] for w in workflows]
    return np.array(rows, float).reshape(-1, len(LINEAGE))


def counts(bags: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> np.ndarray:
    """log(1 + count) of each known word in each bag, and of all others together; shape (n, len(vocabulary) + 1).

    Empty words are not counted: they stand for what the log does not say.
    """
    place = {word: i for i, word in enumerate(vocabulary)}
    found = np.zeros((len(bags), len(vocabulary) + 1))
    for row, bag in enumerate(bags):
        for word in filter(None, bag):
            found[row, place.get(word, len(vocabulary))] += 1
    return np.log1p(found)


def vocabulary(bags: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All words of the bags, sorted."""
    return tuple(sorted({word for bag in bags for word in bag if word}))
