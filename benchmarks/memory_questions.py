"""Questions to a memory, with the notes that answer them: templates, so that the answers are known by construction.

A question names a task and a hyperparameter as a person does, not in a note's words. Five ways to ask, which are
reported apart because they ask for different things: `named` says the hyperparameter's name and the task's, `reworded`
says what the hyperparameter is, `facts` tells the task by what its note alone says (rows, columns, classes),
`failure` and `best` ask what went wrong and how far it came, and `overview` asks for all that is known of a task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from memory_tasks import SEED, Past

from luthier.memory.note import Kind, Note
from luthier.memory.store import Filter, Store

# What a person calls each hyperparameter: by its name, and in other words.
NAMES: Mapping[str, tuple[str, str]] = {
    "batch_size": ("batch size", "the number of examples in each update"),
    "learning_rate": ("learning rate", "how far the optimiser moves at once"),
    "momentum": ("momentum", "the optimiser's inertia"),
    "weight_decay": ("weight decay", "shrinking the parameters a little at every update"),
    "num_layers": ("number of layers", "a deeper network"),
    "max_units": ("units", "more neurons side by side"),
    "max_dropout": ("dropout", "switching off neurons at random"),
    "one_minus_beta1": ("beta1", "averaging the gradient over more updates"),
    "one_minus_beta2": ("beta2", "averaging the squared gradient over more updates"),
    "epsilon": ("epsilon", "the small constant in Adam's denominator"),
    "l1": ("l1", "a penalty on absolute weights"),
    "l2": ("l2", "a penalty on squared weights"),
    "linear_decay": ("linear decay", "lowering the step straight down over time"),
    "exponential_decay": ("exponential decay", "shrinking the step by a constant factor over time"),
    "DEPTH": ("depth", "more transformer blocks"),
    "ASPECT_RATIO": ("aspect ratio", "the width of the transformer for each block"),
    "HEAD_DIM": ("head dim", "the size of an attention head"),
    "DEVICE_BATCH_SIZE": ("device batch size", "sequences on the GPU at a time"),
    "TOTAL_BATCH_SIZE": ("total batch size", "tokens that go into one update"),
    "EMBEDDING_LR": ("embedding lr", "how fast the token table is trained"),
    "UNEMBEDDING_LR": ("unembedding lr", "how fast the output head is trained"),
    "MATRIX_LR": ("matrix lr", "the step of Muon on the hidden weights"),
    "SCALAR_LR": ("scalar lr", "the step on the per-layer gains"),
    "WEIGHT_DECAY": ("weight decay", "shrinking the parameters a little at every update"),
    "WARMUP_RATIO": ("warmup ratio", "a slow start of the step size"),
    "WARMDOWN_RATIO": ("warmdown ratio", "how early the step size starts to fall"),
    "FINAL_LR_FRAC": ("final lr frac", "what is left of the step size in the end"),
}
EFFECT = (
    "Does {what} matter for {where}?",
    "What did we see for {what} on {where}?",
    "{where}: is it worth changing {what}?",
    "Tell me which way to move {what} in the {where} project.",
)
FACTS = (
    "Does {what} matter on the data with {columns} columns and {rows} rows?",
    "We once had {rows} rows, {columns} columns and {classes} classes: what about {what} there?",
    "What was seen for {what} in the problem of {classes} classes, {rows} rows?",
)
FAILURE = {
    "out of memory": (
        "Why did {where} break down on the GPU?",
        "Which {where} configurations were too big for the card?",
    ),
    "nan": ("When did training blow up on {where}?", "Did numbers overflow in the {where} project, and when?"),
    "crash": ("Did {where} ever stop without a result?", "Which runs of {where} ended early for no clear reason?"),
}
BEST = (
    "How far did we get on {where}?",
    "What is the strongest configuration known for {where}?",
    "Where do the {where} experiments stand?",
)
OVERVIEW = (
    "I start on {where} again: what should I know?",
    "Sum up the experience with {where}.",
)


@dataclass(frozen=True)
class Question:
    """A question, and the ids of the notes with the evidence that answers it."""

    way: str
    text: str
    answers: frozenset[str]
    task: str  # the cluster of the bootstrap


def questions(store: Store, tasks: Sequence[Past], seed: int = 0) -> Iterator[Question]:
    """One question a way for each note that has an answer; templates are drawn with `seed`."""
    for number, past in enumerate(tasks):
        rng = np.random.default_rng([SEED, seed, number])
        notes = [note for note in store.notes(Filter(tasks=(past.task.id,))) if note.kind is not Kind.TRIAL]
        for way, text, answers in _of_task(past, notes, rng):
            yield Question(way, text, frozenset(answers), past.task.id)


def _of_task(past: Past, notes: Sequence[Note], rng: np.random.Generator) -> Iterator[tuple[str, str, list[str]]]:
    def said(templates: Sequence[str], **words: object) -> str:
        return templates[int(rng.integers(len(templates)))].format(where=past.said, **words)

    facts = {name: int(value) for name, value in past.task.features.items()}
    for note in notes:
        if note.kind is Kind.LESSON:
            name, other = NAMES[note.keywords[0]]
            yield "named", said(EFFECT, what=name), [note.id]
            yield "reworded", said(EFFECT, what=other), [note.id]
            if facts:
                yield "facts", said(FACTS, what=name, **facts), [note.id]
        elif note.kind is Kind.FAILURE and note.evidence is not None:
            yield "failure", said(FAILURE[note.evidence.diagnosis]), [note.id]
        elif note.kind is Kind.TASK:
            yield "best", said(BEST), [note.id]
    yield "overview", said(OVERVIEW), [note.id for note in notes]
