"""Retrieval: what it gives passes its filter, is in order and within its budget, and says why it is there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.memory.hops import HOPS, links_of, passing
from luthier.memory.note import Evidence, Kind, Link, LinkType, Note
from luthier.memory.place import memory_path
from luthier.memory.retrieval import Fusion, Recalled, Weights, embed_missing, fuse, retrieve
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter, Store
from luthier.memory.testing_notes import HARD_TEXTS, note, proposal
from luthier.models.fake_embedder import HashEmbedder

EMBEDDER = HashEmbedder()
WORDS = ("batch", "norm", "dropout", "warm", "start", "rate", "width", "overfit", "seed", "noise")
ALL = Weights(links=dict.fromkeys(LinkType, 0.5))
STRUCTURE = (LinkType.SAME_STUDY, LinkType.NEXT_TRIAL, LinkType.SAME_TASK, LinkType.SAME_SPACE)
FUSIONS: tuple[Fusion, ...] = ("minmax", "rrf")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Three tasks with notes of all kinds, linked at random; some are forgotten, some lack vectors."""
    rng = np.random.default_rng(0)
    made = SQLiteStore(tmp_path_factory.mktemp("crowd") / "memory.db")
    tasks = [Note(id=f"task-00000{i}", kind=Kind.TASK, content=f"tune {WORDS[i]}") for i in range(3)]
    notes = [
        Note(
            id=f"{kind}-{number:06d}",
            kind=kind,
            content=" ".join(rng.choice(WORDS, rng.integers(1, 6))),
            task=tasks[number % 3].id if number % 4 else "",
            study=f"s{number % 2}",
        )
        for number, kind in enumerate(rng.choice([kind for kind in Kind if kind is not Kind.TASK], 90).tolist())
    ]
    ends = rng.choice([one.id for one in notes], (150, 2)).tolist()
    links = [Link(source=a, target=b, type=kind) for (a, b), kind in zip(ends, [*LinkType] * 19, strict=False)]
    made.add([*tasks, *notes], links)
    embed_missing(made, EMBEDDER)
    made.add([Note(id=f"lesson-9{n:05d}", kind=Kind.LESSON, content=f"new {WORDS[n]}") for n in range(5)])
    for one in notes[::10]:
        made.forget(one.id)
    yield made
    made.close()


queries = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join) | st.sampled_from(HARD_TEXTS)
filters = st.builds(
    Filter,
    kinds=st.lists(st.sampled_from(list(Kind)), max_size=2).map(tuple),
    tasks=st.lists(st.sampled_from(["task-000000", "task-000001"]), max_size=2).map(tuple),
    studies=st.sampled_from([(), ("s0",)]),
    hidden_tasks=st.sampled_from([(), ("task-000001",), ("task-000000", "task-000002")]),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=queries,
    where=filters,
    k=st.integers(0, 30),
    tokens=st.none() | st.integers(0, 60),
    fusion=st.sampled_from(FUSIONS),
    dense=st.booleans(),
    hops=st.integers(0, 3),
)
def test_an_answer_passes_its_filter_in_order_within_its_budget_and_says_why(
    crowd: Store, query: str, where: Filter, k: int, tokens: int | None, fusion: Fusion, dense: bool, hops: int
) -> None:
    embedder = EMBEDDER if dense else None
    weights = Weights(links=dict.fromkeys(LinkType, 0.9))
    asked = {"embedder": embedder, "where": where, "k": k, "weights": weights, "fusion": fusion, "hops": hops}
    found = retrieve(crowd, query, tokens=tokens, **asked)
    assert {one.note.id for one in found} <= {one.id for one in crowd.notes(where)}
    assert len({one.note.id for one in found}) == len(found) <= k
    assert [(-one.score, one.note.id) for one in found] == sorted((-one.score, one.note.id) for one in found)
    assert all(one.why and "\n" not in one.why and np.isfinite(one.score) for one in found)
    assert tokens is None or sum(len(one.note.text) for one in found) <= 4 * tokens
    assert found == retrieve(crowd, query, tokens=tokens, **asked)
    whole = retrieve(crowd, query, **asked)
    fitting = [one for one in whole if tokens is None or len(one.note.text) <= 4 * tokens]
    assert found == fitting[: len(found)]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("query", ["batch norm", "warm start rate", "dropout"])
def test_what_either_search_ranks_first_is_in_the_answer(crowd: Store, query: str, fusion: Fusion) -> None:
    first = {crowd.matching(query, 1)[0][0], crowd.nearest(EMBEDDER.name, EMBEDDER.embed([query])[0], 1)[0][0]}
    assert first <= ids(retrieve(crowd, query, embedder=EMBEDDER, k=50, fusion=fusion, hops=0))
    for weights, search in ((Weights(dense=0), first), (Weights(text=0), first)):
        best = retrieve(crowd, query, embedder=EMBEDDER, k=1, weights=weights, hops=0)
        assert ids(best) <= search


def test_fusion_by_scores_and_by_ranks() -> None:
    dense, text = [("a", 0.9), ("b", 0.8), ("c", 0.1)], [("b", 7.0), ("d", 3.0)]
    by_score = fuse([(dense, 0.5), (text, 0.5)])
    assert by_score == pytest.approx({"a": 0.5, "b": 0.5 * 0.875 + 0.5, "c": 0.0, "d": 0.0})
    by_rank = fuse([(dense, 1.0), (text, 1.0)], "rrf")
    assert by_rank == pytest.approx({"a": 0.5 / 61, "b": 0.5 / 62 + 0.5 / 61, "c": 0.5 / 63, "d": 0.5 / 62})
    assert fuse([(dense, 0.5), ([], 0.5)]) == fuse([(dense, 0.1)])  # who found nothing has no say
    assert fuse([([("a", 0.4), ("b", 0.4)], 1.0)]) == {"a": 1.0, "b": 1.0}
    assert fuse([(dense, 0.0), (text, 0.0)]) == fuse([]) == {}


def test_reasons(store: Store) -> None:
    lesson, task = note(content="Batch norm helps", task=""), note(Kind.TASK, "tune digits")
    other, source = note(content="unrelated words"), note(Kind.CONVERSATION, "an evening's talk")
    chinese = note(content="学习率太高")
    tied = [
        Link(source=lesson.id, target=task.id, type=LinkType.SAME_TASK),
        Link(source=lesson.id, target=source.id, type=LinkType.DERIVED),
        Link(source=other.id, target=lesson.id, type=LinkType.REFUTES),
    ]
    store.add([lesson, task, other, source, chinese], tied)
    assert why(retrieve(store, "the norm of a BATCH", weights=ALL)) == {
        lesson.id: "holds the words 'norm batch'",
        task.id: f"same task as {lesson.id}",
        source.id: f"a source of {lesson.id}",
        other.id: f"refutes {lesson.id}",
    }
    assert why(retrieve(store, "率")) == {chinese.id: "holds words of the query"}
    embed_missing(store, EMBEDDER)
    alike = why(retrieve(store, "batch", embedder=EMBEDDER, hops=0))
    assert alike[lesson.id].startswith("alike (0.")
    assert alike[lesson.id].endswith("), holds the word 'batch'")


@pytest.mark.parametrize("kind", list(LinkType))
@pytest.mark.parametrize("turned", [False, True])
def test_links_are_followed_where_that_was_seen_to_help(store: Store, kind: LinkType, turned: bool) -> None:
    found, tied = note(content="plankton"), note(Kind.TRIAL)
    ends = (tied, found) if turned else (found, tied)
    store.add([found, tied], [Link(source=ends[0].id, target=ends[1].id, type=kind)])
    answer = retrieve(store, "plankton")
    assert [one.note.id for one in answer] == ([found.id, tied.id] if HOPS[kind] else [found.id])
    assert (HOPS[kind] > 0) == (kind in (LinkType.SAME_STUDY, LinkType.SAME_TASK))
    assert ids(retrieve(store, "plankton", hops=0)) == {found.id}
    assert ids(retrieve(store, "plankton", weights=Weights(links={kind: 0.1}))) == {found.id, tied.id}
    assert ids(retrieve(store, "plankton", weights=Weights(links={}))) == {found.id}


def test_hops_go_as_far_as_they_are_told_and_lose_weight(store: Store) -> None:
    chain = [note(Kind.TRIAL, f"link {number}") for number in range(4)]
    chain[0] = note(content="plankton")
    ties = [Link(source=a.id, target=b.id, type=LinkType.NEXT_TRIAL) for a, b in pairwise(chain)]
    store.add(chain, ties)
    for hops in range(4):
        found = retrieve(store, "plankton", hops=hops, weights=ALL)
        assert [one.note for one in found] == chain[: hops + 1]
        expected = [1.0, 0.5, 0.25 / 2**0.5, 0.125 / 2][: hops + 1]  # a middle one has two links
        assert [one.score for one in found] == pytest.approx(expected)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, weight=st.floats(0.05, 1), hops=st.integers(1, 3), fusion=st.sampled_from(FUSIONS))
def test_what_a_hop_brings_never_comes_before_what_it_came_from(
    crowd: Store, query: str, weight: float, hops: int, fusion: Fusion
) -> None:
    weights = Weights(links=dict.fromkeys(LinkType, weight))
    asked = {"embedder": EMBEDDER, "k": 50, "weights": weights, "fusion": fusion}
    without, found = (retrieve(crowd, query, hops=n, **asked) for n in (0, hops))
    assert found[:1] == without[:1]
    before = {one.note.id: one.score for one in without}
    for place, one in enumerate(found):
        if one.score > before.get(one.note.id, 0.0):  # something gave to it, and stands before it
            near = {end for link in links_of(crowd, [one.note]) for end in (link.source, link.target)}
            near |= {other.note.id for other in found if other.note.task == one.note.id}
            assert near & {other.note.id for other in found[:place]}


def test_a_note_tied_to_everything_does_not_push_out_what_was_found(store: Store) -> None:
    hub, near = note(content="plankton plankton"), note(content="plankton and other words of the sea")
    far = note(content="plankton " + "words that make it a long text " * 5)
    ring = [note(Kind.TRIAL, str(number)) for number in range(40)]
    ties = [Link(source=hub.id, target=one.id, type=LinkType.SAME_STUDY) for one in ring]
    store.add([hub, near, far, *ring], ties)
    assert [one.note.id for one in retrieve(store, "plankton", k=2)] == [hub.id, near.id]


def test_a_task_does_not_rise_by_how_many_lessons_it_has(store: Store) -> None:
    tasks = [note(Kind.TASK, "tune digits") for _ in range(2)]
    lessons = [note(content="plankton", task=tasks[0].id) for _ in range(3)]
    store.add([*tasks, *lessons, note(content="plankton", task=tasks[1].id)])
    scores = {one.note.id: one.score for one in retrieve(store, "plankton", k=10)}
    assert scores[tasks[0].id] == pytest.approx(scores[tasks[1].id])
    assert scores[tasks[0].id] < min(scores[lesson.id] for lesson in lessons)


def test_what_two_words_of_a_query_lead_to_is_found_before_what_one_leads_to(store: Store) -> None:
    """A task by its facts, its lesson by what it is about: neither alone tells the lesson from its like elsewhere."""
    tasks = [note(Kind.TASK, f"tune {sea}") for sea in ("baltic", "arctic", "adriatic")]
    lessons = [note(content="plankton", task=task.id) for task in tasks]
    store.add([*tasks, *lessons, note(Kind.TRIAL, "arctic", task=tasks[1].id)])
    first, *_ = (one for one in retrieve(store, "arctic plankton", k=6) if one.note.kind is Kind.LESSON)
    assert first.note == lessons[1]
    assert first.why == f"holds the word 'plankton', same task as {tasks[1].id}"
    assert ids(retrieve(store, "arctic")) == {tasks[1].id, lessons[1].id}  # what belongs to it, but for its trials
    only = retrieve(store, "arctic", where=Filter(tasks=(tasks[1].id,), kinds=(Kind.TASK,)))
    assert ids(only) == {tasks[1].id}


def test_the_task_of_a_note_is_tied_to_it(store: Store) -> None:
    task = note(Kind.TASK, "tune digits")
    lesson = note(content="plankton", task=task.id)
    store.add([task, lesson])
    assert why(retrieve(store, "plankton"))[task.id] == f"same task as {lesson.id}"
    written = Link(source=lesson.id, target=task.id, type=LinkType.SAME_TASK)
    store.add([], [written])
    assert links_of(store, [lesson]) == [written]
    assert links_of(store, [lesson], [LinkType.DERIVED]) == []


@pytest.mark.parametrize("fusion", FUSIONS)
def test_nothing_of_a_hidden_task_comes_in_by_a_link(store: Store, fusion: Fusion) -> None:
    hidden, own = note(Kind.TASK, "about krill"), note(Kind.TASK, "about ferns")
    trial, fair_trial = note(Kind.TRIAL, task=hidden.id), note(Kind.TRIAL, task=own.id)
    member = note(Kind.FAILURE, "krill", task=hidden.id)
    learnt = note(content="krill", evidence=Evidence(trials=(trial.id, fair_trial.id)))
    derived = note(Kind.CONVERSATION, "krill")
    found = note(content="plankton", task=own.id)
    bridge = note(content="a bridge", task=own.id)
    ties = [Link(source=derived.id, target=learnt.id, type=LinkType.DERIVED)]
    for end in (hidden, trial, member, learnt, derived, bridge):
        ties += [Link(source=found.id, target=end.id, type=kind) for kind in STRUCTURE]
        ties += [Link(source=end.id, target=bridge.id, type=LinkType.SUPPORTS)]
    everything = [hidden, own, trial, fair_trial, member, learnt, derived, found, bridge]
    store.add(everything, ties)
    embed_missing(store, EMBEDDER)
    weights = Weights(links=dict.fromkeys(LinkType, 1.0))
    asked = {"embedder": EMBEDDER, "weights": weights, "k": 50, "hops": 4, "fusion": fusion}
    secret = {one.id for one in (hidden, trial, member, learnt, derived)}
    assert secret < ids(retrieve(store, "plankton", **asked))
    answer = retrieve(store, "plankton krill", where=Filter(hidden_tasks=(hidden.id,)), **asked)
    assert ids(answer) == {own.id, found.id, bridge.id}
    assert not any(name in one.why for one in answer for name in secret)
    store.forget(bridge.id)
    answer = retrieve(store, "plankton krill", where=Filter(hidden_tasks=(hidden.id,)), **asked)
    assert ids(answer) == {own.id, found.id}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=filters)
def test_passing_is_the_filter(crowd: Store, where: Filter) -> None:
    everything = [*(one.id for one in crowd.notes()), "lesson-nowhere"]
    expected = {one.id: one for one in crowd.notes(where)}
    assert passing(crowd, everything, where) == expected
    assert passing(crowd, everything[::3], where) == {n: one for n, one in expected.items() if n in everything[::3]}
    assert passing(crowd, [], where) == {}


def test_a_budget_drops_the_least_relevant_and_what_can_never_fit(store: Store) -> None:
    long = note(content="plankton plankton plankton " + "x" * 4000)
    short = [note(content="plankton" + " sea" * number) for number in range(1, 6)]
    store.add([long, *short])
    whole = retrieve(store, "plankton", k=10)
    kept = retrieve(store, "plankton", k=10, tokens=12)
    assert long.id in ids(whole)
    assert kept == [one for one in whole if one.note != long][: len(kept)]
    assert 0 < len(kept) < 5
    assert retrieve(store, "plankton", tokens=0) == []


def test_embedding_is_done_once_and_again_for_what_has_changed(store: Store) -> None:
    notes = [note(content=f"about {number}") for number in range(70)]
    store.add([*notes, note(Kind.TRIAL)])
    told: list[int] = []
    assert embed_missing(store, EMBEDDER, told.append) == 70
    assert (told[-1], told) == (70, sorted(told))
    assert embed_missing(store, EMBEDDER, told.append) == 0
    store.evolve([proposal(notes[0], "whales and krill of the southern sea")])
    assert embed_missing(store, EMBEDDER) == 1
    found = retrieve(store, "whales and krill of the southern sea", embedder=EMBEDDER, k=1, weights=Weights(text=0))
    assert found[0].note.content == "whales and krill of the southern sea"
    assert found[0].why.startswith("alike (1.00)")


def test_another_embedder_embeds_anew_and_the_first_one_s_vectors_stay(store: Store) -> None:
    notes = [note(content=f"whale {number}") for number in range(3)]
    store.add(notes)
    other = HashEmbedder(64)
    assert embed_missing(store, EMBEDDER) == 3
    assert store.nearest(other.name, other.embed(["whale 1"])[0], 3) == []
    assert embed_missing(store, other) == 3
    for embedder in (other, EMBEDDER):
        (best, *_) = retrieve(store, "whale 1", embedder=embedder, weights=Weights(text=0))
        assert best.note.id == notes[1].id
        assert embed_missing(store, embedder) == 0


def test_without_vectors_or_words_there_is_no_error(store: Store) -> None:
    assert retrieve(store, "plankton", embedder=EMBEDDER) == []
    one = note(content="plankton")
    store.add([one])
    assert ids(retrieve(store, "plankton", embedder=EMBEDDER)) == {one.id}  # not embedded yet: by its words
    embed_missing(store, EMBEDDER)
    for query in ("", "  \n", "\0", "\ud800", "the of"):
        found = retrieve(store, query, embedder=EMBEDDER)
        assert all("alike" in recalled.why for recalled in found)
    assert retrieve(store, "", embedder=EMBEDDER) == retrieve(store, "plankton", k=0) == []


def test_weights_that_cannot_be() -> None:
    for wrong in ({"dense": -1.0}, {"text": -0.1}, {"links": {LinkType.DERIVED: 1.5}}):
        with pytest.raises(ValueError, match="weights must be"):
            Weights(**wrong)  # type: ignore[arg-type]


PLACES = [
    ({"LUTHIER_MEMORY": "/m/a.db", "LUTHIER_HOME": "/h", "XDG_DATA_HOME": "/x"}, "/m/a.db"),
    ({"LUTHIER_HOME": "/h", "XDG_DATA_HOME": "/x"}, "/h/memory.db"),
    ({"XDG_DATA_HOME": "/x"}, "/x/luthier/memory.db"),
    ({"XDG_DATA_HOME": "relative", "LUTHIER_HOME": ""}, "/home/me/.local/share/luthier/memory.db"),
    ({"LUTHIER_MEMORY": "~/a.db"}, "/home/me/a.db"),
    ({}, "/home/me/.local/share/luthier/memory.db"),
]


@pytest.mark.parametrize(("variables", "expected"), PLACES)
def test_the_place(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LUTHIER_MEMORY", "LUTHIER_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, "HOME": "/home/me"}.items():
        monkeypatch.setenv(name, value)
    assert memory_path() == Path(expected)
    assert memory_path(Path("given.db")) == Path("given.db")


def ids(found: list[Recalled]) -> set[str]:
    return {one.note.id for one in found}


def why(found: list[Recalled]) -> dict[str, str]:
    return {one.note.id: one.why for one in found}
