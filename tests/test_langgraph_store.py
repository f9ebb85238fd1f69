"""LangGraph's store interface over the memory: its contract, proven on LangGraph's own stores, and what ours adds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore, GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import SqliteStore
from langgraph_contract import AsyncContract, ItemContract, QueryContract

from luthier.memory.errors import Refused
from luthier.memory.langgraph_items import id_of
from luthier.memory.langgraph_store import MemoryStore
from luthier.memory.markdown import export_notes, import_notes
from luthier.memory.note import MAX_CONTENT, Kind, Note
from luthier.memory.retrieval import retrieve
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.testing_notes import HARD_TEXTS, note, proposal
from luthier.models.fake_embedder import HashEmbedder

EMBEDDER = HashEmbedder()
USER = ("users", "123")


def hashed(texts: list[str]) -> list[list[float]]:
    """Our test embedder, as LangGraph takes one."""
    vectors: list[list[float]] = EMBEDDER.embed(texts).tolist()
    return vectors


class TestLangGraphsInMemoryStore(ItemContract, AsyncContract, QueryContract):
    @pytest.fixture
    def store(self) -> BaseStore:
        return InMemoryStore(index={"dims": EMBEDDER.size, "embed": hashed, "fields": ["text"]})


class TestLangGraphsSqliteStore(ItemContract):
    """Without its vectors, which need extensions of SQLite that many Pythons cannot load."""

    @pytest.fixture
    def store(self) -> Iterator[BaseStore]:
        with SqliteStore.from_conn_string(":memory:") as made:
            made.setup()
            yield made

    test_it_has_no_ttl = None  # it has one


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(tmp_path / "memory.db")
    yield made
    assert made.check() == []
    made.close()


class TestMemoryStoreByWords(ItemContract, AsyncContract, QueryContract):
    @pytest.fixture
    def store(self, memory: SQLiteStore) -> BaseStore:
        return MemoryStore(memory)


class TestMemoryStoreByMeaning(QueryContract):
    @pytest.fixture
    def store(self, memory: SQLiteStore) -> BaseStore:
        return MemoryStore(memory, EMBEDDER)


@pytest.fixture
def store(memory: SQLiteStore) -> MemoryStore:
    return MemoryStore(memory)


names = st.sampled_from(["a", "b", "c*", "学"])
namespaces = st.lists(names, min_size=1, max_size=3).map(tuple)
plain = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["x", "y", "\0", "学"])
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2))
items = st.fixed_dictionaries({"n": st.integers(-3, 3) | st.floats(-3, 3)}, optional={"a": values, "b": values})
puts = st.builds(PutOp, namespaces, names, st.none() | items)
orders = st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]), st.integers(-3, 3), max_size=2)
filters = st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2) | orders.map(lambda order: {"n": order})


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(puts, max_size=4), max_size=5), st.lists(st.tuples(namespaces, filters), max_size=5))
def test_it_says_what_langgraph_s_own_store_says(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[PutOp]],
    asked: list[tuple[tuple[str, ...], dict[str, Any]]],
) -> None:
    memory, theirs = SQLiteStore(tmp_path_factory.mktemp("any") / "memory.db"), InMemoryStore()
    ours = MemoryStore(memory)
    for batch in batches:
        assert ours.batch(batch) == theirs.batch(batch)
    for store in (ours, theirs):
        store.put(("a",), "last", {"n": 0})
    gets = [GetOp(op.namespace, op.key) for batch in batches for op in batch]
    for mine, other in zip(ours.batch(gets), theirs.batch(gets), strict=True):
        assert getattr(mine, "value", None) == getattr(other, "value", None)
    for prefix, wanted in [((), {}), *asked]:
        found = [
            {(one.namespace, one.key): one.value for one in store.search(prefix, filter=wanted, limit=100)}
            for store in (ours, theirs)
        ]
        assert found[0] == found[1]
    filled = {one.namespace for one in theirs.search((), limit=100)}  # theirs lists emptied namespaces too
    assert ours.list_namespaces() == [one for one in theirs.list_namespaces() if one in filled]
    assert memory.check() == []
    memory.close()


def test_an_item_is_a_note_with_a_history(store: MemoryStore, memory: SQLiteStore) -> None:
    store.put(USER, "food", {"text": "likes plankton"})
    store.put(USER, "food", {"text": "likes krill"})
    store.delete(USER, "food")
    (name,) = {id_of(USER, "food")}
    assert [one.content for one in memory.revisions(name)] == ['{"text": "likes plankton"}', '{"text": "likes krill"}']
    assert memory.count() == 0
    assert [change.what.split()[0] for change in memory.journal()] == ["forget", "evolve", "add"]
    memory.undo()
    item = store.get(USER, "food")
    assert item is not None
    assert item.value == {"text": "likes krill"}
    assert (item.created_at, item.updated_at) == tuple(one.time for one in memory.revisions(name))
    assert item.updated_at.utcoffset() is not None
    memory.undo()
    assert store.search(USER)[0].value == {"text": "likes plankton"}
    memory.undo()
    assert (store.get(USER, "food"), store.list_namespaces()) == (None, [])
    store.put(USER, "food", {"text": "likes moss"})
    assert store.search(USER)[0].value == {"text": "likes moss"}
    assert len(memory.revisions(name)) == 4


def test_an_item_that_was_deleted_can_be_put_again(store: MemoryStore, memory: SQLiteStore) -> None:
    for text in ("first", "second"):
        store.put(USER, "k", {"text": text})
        store.delete(USER, "k")
    store.batch([PutOp(USER, "k", {"text": "third"}), PutOp(USER, "other", {"text": "new"})])
    assert {item.key: item.value["text"] for item in store.search(USER)} == {"k": "third", "other": "new"}
    assert [one.revision for one in memory.revisions(id_of(USER, "k"))] == [0, 1, 2]


@pytest.mark.parametrize("embedder", [None, EMBEDDER])
def test_the_memory_s_own_search_finds_items_among_its_notes(
    memory: SQLiteStore, embedder: HashEmbedder | None
) -> None:
    store = MemoryStore(memory, embedder)
    memory.add([note(content="about moss"), note(content="about ferns")])
    store.put(USER, "food", {"text": "likes plankton", "notes": ["学习率"]})
    for query in ("plankton", "food", "学习率"):
        found = retrieve(memory, query, embedder=embedder)[0].note
        assert (found.kind, found.study, found.keywords) == (Kind.CONVERSATION, "langgraph:users.123", ("food",))
        assert found.recalled  # it can never become evidence
    assert [item.key for item in store.search((), query="moss plankton")] == ["food"]
    missing = {one.content for one in memory.missing_vectors(EMBEDDER.name)}
    assert (len(missing), any("plankton" in content for content in missing)) == ((2, False) if embedder else (3, True))


def test_only_what_was_put_is_an_item(store: MemoryStore, memory: SQLiteStore) -> None:
    memory.add(
        [
            Note(
                id="conversation-abcdef", kind=Kind.CONVERSATION, content="{}", study="langgraph:users", keywords=("k",)
            ),
            note(Kind.CONVERSATION, "{}", study="users"),
            note(Kind.LESSON, "{}", study="langgraph:users"),
        ]
    )
    store.put(("users",), "k", {})
    assert [item.key for item in store.search((), query="k")] == ["k"]
    assert [item.key for item in store.search(("users",))] == ["k"]


def test_whoever_changes_an_item_s_words_does_not_lose_it(store: MemoryStore, memory: SQLiteStore) -> None:
    store.put(USER, "food", {"text": "likes plankton"})
    store.put(USER, "pets", {"text": "a cat"})
    food, pets = (memory.get(id_of(USER, key)) for key in ("food", "pets"))
    memory.evolve([proposal(food, keywords=("diet",), context="What she eats.", tags=("health",))])
    memory.evolve([proposal(pets, "She has a cat.")])
    assert {item.key: item.value for item in store.search(USER)} == {
        "food": {"text": "likes plankton"},
        "pets": {"content": "She has a cat."},
    }
    assert [item.key for item in store.search(USER, query="diet", limit=1)] == ["food"]
    store.put(USER, "food", {"text": "likes krill"})
    now = memory.get(food.id)
    assert (now.keywords, now.tags, now.context, now.author.name) == (("food",), (), "", "langgraph")


def test_items_survive_an_export(store: MemoryStore, memory: SQLiteStore, tmp_path: Path) -> None:
    kept = {text: {"text": text} for text in HARD_TEXTS}
    for key, value in kept.items():
        store.put(USER, key, value)
    export_notes(memory, tmp_path / "folder")
    other = SQLiteStore(tmp_path / "other.db")
    import_notes(other, tmp_path / "folder")
    assert {item.key: item.value for item in MemoryStore(other).search(USER, limit=100)} == kept
    other.close()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"text": "x" * MAX_CONTENT}, "at most 20,000 characters"),
        ({"text": "a line of a log\n" * 655_360}, "has 11,141,1"),
        ({"text": object()}, "must be JSON"),
        ({"text": {1, 2}}, "must be JSON"),
        ({("a", "b"): 1}, "must be JSON"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(
    store: MemoryStore, memory: SQLiteStore, value: Any, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        store.batch([PutOp(USER, "good", {}), PutOp(USER, "bad", value)])
    with pytest.raises(InvalidNamespaceError, match="must have a namespace"):
        store.batch([PutOp(USER, "good", {}), PutOp((), "bad", {})])
    assert memory.count() == 0


def test_what_langgraph_does_not_define_is_refused(store: MemoryStore, memory: SQLiteStore) -> None:
    store.put(USER, "k", {"n": 1})
    with pytest.raises(ValueError, match="an operator of a filter must be"):
        store.search(USER, filter={"n": {"$near": 1}})
    with pytest.raises(ValueError, match="must be `prefix` or `suffix`"):
        store.batch([ListNamespacesOp((MatchCondition("infix", ("a",)),))])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an operation must be"):
        store.batch([PutOp(USER, "other", {}), "get"])  # type: ignore[list-item]
    assert memory.count() == 1


def test_a_filter_compares_numbers_with_numbers_and_texts_with_texts(store: MemoryStore) -> None:
    for key, value in {"none": None, "text": "2026-05", "number": 7, "list": [1]}.items():
        store.put(USER, key, {"at": value})
    store.put(USER, "absent", {})
    found = [{i.key for i in store.search(USER, filter={"at": {"$gt": than}})} for than in ("2026-04", 6, None, [0])]
    assert found == [{"text"}, {"number"}, set(), set()]


def test_of_two_writers_of_one_item_the_later_one_wins(tmp_path: Path) -> None:
    memories = [SQLiteStore(tmp_path / "memory.db") for _ in range(2)]
    stores = [MemoryStore(memory) for memory in memories]

    async def write() -> None:
        await asyncio.gather(*(stores[n % 2].aput(USER, "k", {"n": n}) for n in range(40)))

    asyncio.run(write())
    revisions = memories[0].revisions(id_of(USER, "k"))
    assert sorted(one.content for one in revisions) == sorted(f'{{"n": {n}}}' for n in range(40))
    item = stores[1].get(USER, "k")
    assert item is not None
    assert item.value == {"n": int(revisions[-1].content.split()[1][:-1])}
    for memory in memories:
        memory.close()


class Talk(TypedDict):
    """The state of the graph below."""

    said: str
    known: list[str]


def learn_fact(state: Talk, runtime: Runtime[None]) -> dict[str, Any]:
    assert runtime.store is not None
    known = [item.value["text"] for item in runtime.store.search(USER, query=state["said"])]
    runtime.store.put(USER, state["said"].split()[-1], {"text": state["said"]})
    return {"known": known}


async def learn_fact_async(state: Talk, runtime: Runtime[None]) -> dict[str, Any]:
    assert runtime.store is not None
    known = [item.value["text"] for item in await runtime.store.asearch(USER, query=state["said"])]
    await runtime.store.aput(USER, state["said"].split()[-1], {"text": state["said"]})
    return {"known": known}


def graph_with(node: Any, store: BaseStore) -> Any:
    graph = StateGraph(Talk)
    graph.add_node("learn", node)
    graph.add_edge(START, "learn")
    graph.add_edge("learn", END)
    return graph.compile(store=store)


def test_a_graph_remembers_from_one_thread_and_one_process_to_the_next(tmp_path: Path) -> None:
    told = ["she likes plankton", "she has a cat", "what cat"]
    known = []
    for said in told:  # the memory is opened anew each time
        memory = SQLiteStore(tmp_path / "memory.db")
        store = MemoryStore(memory, EMBEDDER)
        known.append(graph_with(learn_fact, store).invoke({"said": said})["known"])
        memory.close()
    assert known == [[], told[:1], [told[1], told[0]]]


def test_a_graph_remembers_in_an_event_loop(store: MemoryStore) -> None:
    async def talk() -> list[list[str]]:
        graph = graph_with(learn_fact_async, store)
        return [(await graph.ainvoke({"said": said}))["known"] for said in ("a b", "b c", "c d")]

    assert asyncio.run(talk()) == [[], ["a b"], ["b c", "a b"]]
