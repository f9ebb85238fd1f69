"""Evolution of the memory by a model: proposals that are checked and reversible, and no harm from a bad model."""

from __future__ import annotations

import re
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from luthier.agents.prompts import prompt_hash
from luthier.graphs.evolving import GIVEN_UP, Evolved, evolve
from luthier.memory.note import PERSON, Evidence, Kind, LinkType, Note, Proposal
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.testing_notes import note
from luthier.models.caller import Caller
from luthier.models.catalogue import path_of, present
from luthier.models.errors import ModelDown
from luthier.models.fake import RandomChat, Scripted, ScriptedChat
from luthier.models.fake_embedder import HashEmbedder

EMBEDDER = HashEmbedder()
SMALLEST = "smollm2-135m"


@pytest.fixture
def notes(store: SQLiteStore) -> list[Note]:
    """Two lessons with evidence and a conversation, all alike; their task and their trial are never read."""
    task, trial = note(Kind.TASK, "tune digits"), note(Kind.TRIAL, "trial 0")
    facts = Evidence(trials=(trial.id,), metric="loss", effect=0.5, low=0.1, high=0.9)
    found = [
        note(
            content="dropout helped on digits", keywords=("dropout",), context="by code", task=task.id, evidence=facts
        ),
        note(content="dropout hurt on faces", keywords=("dropout",), evidence=facts),
        note(Kind.CONVERSATION, "we talked about dropout on digits"),
    ]
    store.add([task, trial, *found])
    return found


def librarian(links: bool = True, words: str = "noise") -> Any:
    """A script that describes each note with a word, links it to its neighbours and refines the first of them."""

    def script(messages: list[BaseMessage]) -> Scripted:
        text = str(messages[-1].text)
        if "Its neighbours:" not in text:
            return {"keywords": [words], "tags": ["regularisation"], "context": "What noise does."}
        names = [line[:-1] for line in text.split("Its neighbours:")[1].splitlines() if line.endswith(":")]
        refined = [{"note": names[0], "keywords": ["generalisation"], "context": "Noise on two tasks."}]
        return {"links": names[:1] if links else [], "refined": refined if links else []}

    return script


def caller(script: Any, **options: Any) -> Caller:
    model = ScriptedChat.of(script) if callable(script) or isinstance(script, list) else script
    return Caller(model, name="tiny", retries=0, **options)


def facts(store: SQLiteStore) -> dict[str, tuple[str, Evidence | None]]:
    return {one.id: (one.content, one.evidence) for one in store.notes()}


def test_notes_are_described_linked_and_refined_and_facts_stay(store: SQLiteStore, notes: list[Note]) -> None:
    before = facts(store)
    told: list[tuple[int, int]] = []
    found = evolve(store, caller(librarian()), EMBEDDER, on_progress=lambda *done: told.append(done))
    assert (found.read, found.failed, found.left, told[-1]) == (3, 0, 0, (3, 3))
    assert found.changed >= 3
    assert found.links > 0
    assert re.match(r"tiny read 3 notes in \d+ s: new words for \d, \d links", found.sentence("tiny"))
    assert facts(store) == before
    first = store.get(notes[0].id)
    assert first.keywords[:2] == ("dropout", "noise")
    assert first.context.startswith("by code; ")
    assert (first.author.by, first.author.name, first.author.prompt) == ("model", "tiny", prompt_hash("librarian"))
    assert not any(store.get(one.id).recalled for one in notes[:2])  # their evidence must follow new trials
    store.support(notes[0].id, Evidence(trials=notes[0].evidence.trials, effect=0.6), "helped more")  # type: ignore[union-attr]
    assert all(one.revision == 0 for one in store.notes(Filter(kinds=(Kind.TASK, Kind.TRIAL))))
    assert store.check() == []


def test_who_was_refined_from_another_note_is_tied_to_it_and_hidden_with_it(
    store: SQLiteStore, notes: list[Note]
) -> None:
    evolve(store, caller(librarian()), EMBEDDER, limit=1)
    (tie,) = store.links([notes[0].id], [LinkType.DERIVED])
    assert (tie.target, tie.author.by) == (notes[0].id, "model")
    assert store.get(tie.source).author.by == "model"
    hidden = {one.id for one in store.notes(Filter(hidden_tasks=(notes[0].task,)))}
    assert not {tie.source, notes[0].id} & hidden


def test_a_note_is_read_once_until_its_content_changes(store: SQLiteStore, notes: list[Note]) -> None:
    first = evolve(store, caller(librarian()), EMBEDDER, limit=1)
    assert (first.read, first.left) == (1, 0)
    assert evolve(store, caller(librarian()), EMBEDDER).read == 2  # the neighbour that was refined too
    model = ScriptedChat.of([])
    assert evolve(store, caller(model), EMBEDDER) == Evolved(seconds=pytest.approx(0, abs=60))
    store.undo()
    assert evolve(store, caller(model), EMBEDDER).read == 0  # what was taken back is not done again
    trials = notes[0].evidence.trials if notes[0].evidence else ()
    store.support(notes[0].id, Evidence(trials=trials), "dropout helped on digits, 60 trials")
    assert evolve(store, caller(librarian(words="shrinkage")), EMBEDDER).read == 1
    again = store.get(notes[0].id)
    assert "shrinkage" in again.keywords
    assert "noise" not in again.keywords  # what a model says stands beside what code wrote, not beside its own words


def test_every_step_can_be_undone(store: SQLiteStore, notes: list[Note]) -> None:
    before = {one.id: one.text for one in store.notes()}
    evolve(store, caller(librarian()), EMBEDDER)
    undone = 0
    while store.journal(1)[0].author.by == "model" or undone:
        change = store.undo()
        if change is None or change.author.by != "model":
            break
        undone += 1
    assert undone == 3
    store.revive(notes[0].id)  # the last `undo` took back that the notes were added
    assert store.get(notes[0].id).text == before[notes[0].id]
    assert store.links([one.id for one in notes]) == []
    assert store.check() == []


NONSENSE = ["", "I am a teapot", "{}", '{"links": "all"}', '{"keywords": [1], "tags": [], "context": ""}', "[1, 2]"]


@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_changes_nothing_and_is_not_asked_for_again(
    store: SQLiteStore, notes: list[Note], answer: str
) -> None:
    journal = store.journal()
    found = evolve(store, caller([answer] * 3), EMBEDDER)
    assert (found.read, found.changed, found.links, found.failed) == (3, 0, 0, 3)
    assert found.trouble
    assert store.journal() == journal
    assert evolve(store, caller([]), EMBEDDER).read == 0


def test_a_dead_model_changes_nothing_and_is_asked_another_time(store: SQLiteStore, notes: list[Note]) -> None:
    store.add([note(content=f"dropout {word}") for word in ("once", "twice", "thrice")])
    journal = store.journal()
    model = ScriptedChat.of([ModelDown("nobody is there")] * 9)
    found = evolve(store, caller(model), EMBEDDER)
    assert (found.read, found.failed, found.left) == (0, GIVEN_UP, 6)
    assert "nobody is there" in found.trouble
    assert len(model.calls) == GIVEN_UP
    assert store.journal() == journal
    assert evolve(store, caller(librarian()), EMBEDDER).read == 6


def test_a_half_answer_writes_nothing(store: SQLiteStore, notes: list[Note]) -> None:
    fine = {"keywords": ["noise"], "tags": [], "context": ""}
    evolve(store, caller([fine, {"links": ["lesson-abcdef"], "refined": []}]), EMBEDDER, limit=1)
    assert store.get(notes[0].id) == notes[0]


def test_another_writer_wins_and_the_note_is_read_again(store: SQLiteStore, notes: list[Note]) -> None:
    script, meddled = librarian(), []

    def meddling(messages: list[BaseMessage]) -> Scripted:
        if not meddled:
            meddled.append(notes[0].id)
            store.evolve([Proposal(note=notes[0].id, revision=0, author=PERSON, context="by a person")])
        answer: Scripted = script(messages)
        return answer

    found = evolve(store, caller(meddling), EMBEDDER, limit=1)
    assert (found.read, found.failed) == (1, 0)
    latest = store.get(notes[0].id)
    assert (latest.revision, latest.context) == (2, "by a person; What noise does.")


def test_limits_and_no_embedder(store: SQLiteStore, notes: list[Note]) -> None:
    assert evolve(store, caller(librarian()), None, seconds=0.0).left == 3
    assert evolve(store, caller(librarian()), None, where=Filter(kinds=(Kind.FAILURE,))).read == 0
    found = evolve(store, caller(librarian()), None)
    assert (found.read, found.changed, found.links) == (3, 3, 0)


@pytest.mark.parametrize("seed", range(5))
def test_random_answers_keep_the_memory_whole(store: SQLiteStore, notes: list[Note], seed: int) -> None:
    before = facts(store)
    evolve(store, caller(RandomChat(seed=seed)), EMBEDDER)
    assert facts(store) == before
    assert store.check() == []


@pytest.mark.model
@pytest.mark.skipif(not present(SMALLEST), reason=f"needs: luthier models pull {SMALLEST}")
def test_the_smallest_model_does_no_harm(store: SQLiteStore, notes: list[Note]) -> None:
    from luthier.models.open import open_model

    model = open_model(f"embedded:{path_of(SMALLEST)}")
    assert model is not None
    before = facts(store)
    found = evolve(store, Caller(model, name=SMALLEST, timeout=120, retries=0), EMBEDDER)
    assert found.read + found.left == 3
    assert facts(store) == before
    assert {one.id for one in notes} <= {one.id for one in store.notes()}
    assert store.check() == []
    latest = [one for one in store.notes() if one.author.by == "model"]
    assert all(
        one.keywords[: len(store.revisions(one.id)[0].keywords)] == store.revisions(one.id)[0].keywords
        for one in latest
    )
