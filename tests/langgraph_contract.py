"""What LangGraph's `BaseStore` asks of any store, as tests to inherit: give a pytest fixture `store`, an empty one.

LangGraph ships no such suite (its conformance package is for checkpointers), so these follow the tests of its own
stores (langgraph, libs/checkpoint/tests/test_store.py and test_store_namespace_validation.py,
libs/checkpoint-sqlite/tests/test_store.py). `test_langgraph_store.py` runs them on LangGraph's stores and on ours.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)

DOC = {"foo": "bar"}
TREE = [
    ("a", "b", "c"),
    ("a", "b", "d", "e"),
    ("a", "b", "d", "i"),
    ("a", "b", "f"),
    ("a", "c", "f"),
    ("admin", "users", "789"),
    ("b", "a", "f"),
    ("users", "123"),
    ("users", "456", "settings"),
]
COLORS = {
    "doc1": {"text": "red apple", "color": "red", "score": 4.5, "tags": ["x", "y"], "by": {"name": "Ann", "age": 3}},
    "doc2": {"text": "red car", "color": "red", "score": 3.0, "tags": ["x"], "by": {"name": "Bob", "age": 4}},
    "doc3": {"text": "green apple", "color": "green", "score": 4, "tags": [], "by": None},
    "doc4": {"text": "blue car", "color": "blue", "score": 3.5, "tags": ["y", "x"], "by": {"name": "Ann", "age": 9}},
}


def fill(store: BaseStore, namespaces: list[tuple[str, ...]]) -> None:
    for number, namespace in enumerate(namespaces):
        store.put(namespace, f"id_{number}", {"data": f"value_{number:02d}"})


def put_colors(store: BaseStore) -> None:
    for key, value in COLORS.items():
        store.put(("docs",), key, value)


def keys(found: list[SearchItem]) -> list[str]:
    return [item.key for item in found]


def value(item: Item | None) -> dict[str, Any] | None:
    return None if item is None else item.value


class ItemContract:
    """Items, batches, namespaces, searches without a query."""

    def test_an_item_is_put_read_changed_and_deleted(self, store: BaseStore) -> None:
        namespace = ("test", "documents")
        assert store.get(namespace, "doc1") is None
        store.put(namespace, "doc1", {"title": "One", "content": "Hello, World!"})
        item = store.get(namespace, "doc1")
        assert item is not None
        assert (item.namespace, item.key) == (namespace, "doc1")
        assert item.value == {"title": "One", "content": "Hello, World!"}
        store.put(namespace, "doc1", {"title": "Two"})
        after = store.get(namespace, "doc1")
        assert value(after) == {"title": "Two"}
        assert after is not None
        assert after.updated_at >= item.updated_at >= item.created_at
        assert (
            store.get(("test", "other"), "doc1") is store.get(("test",), "doc1") is store.get(namespace, "doc") is None
        )
        store.delete(namespace, "doc1")
        store.delete(namespace, "doc1")
        assert (store.get(namespace, "doc1"), store.search(namespace)) == (None, [])
        store.put(namespace, "doc1", {"title": "Three"})
        assert value(store.get(namespace, "doc1")) == {"title": "Three"}
        assert keys(store.search(namespace)) == ["doc1"]

    def test_values_are_any_json_and_keys_any_text(self, store: BaseStore) -> None:
        deep = {
            "none": None,
            "yes": True,
            "n": 3,
            "x": 0.1,
            "list": [1, [2, {"a": "b"}]],
            "学习": "率 \u2028 \U0001f642",
        }
        for key in ("plain", "with.dots/and spaces", "学习率", "'; DROP TABLE notes; --", "*", ""):
            store.put(("ns",), key, deep)
            assert value(store.get(("ns",), key)) == deep
        store.put(("ns",), "empty", {})
        assert value(store.get(("ns",), "empty")) == {}
        assert len(store.search(("ns",))) == 7

    def test_results_come_in_the_order_of_the_operations(self, store: BaseStore) -> None:
        store.put(("test", "foo"), "key1", {"data": "value1"})
        store.put(("test", "bar"), "key2", {"data": "value2"})
        got, put, found, listed, missing = store.batch(
            [
                GetOp(("test", "foo"), "key1"),
                PutOp(("test", "bar"), "key2", {"data": "value2"}),
                SearchOp(("test",), filter={"data": "value1"}),
                ListNamespacesOp(limit=10),
                GetOp(("test",), "key3"),
            ]
        )
        assert isinstance(got, Item)
        assert (got.value, put, missing) == ({"data": "value1"}, None, None)
        assert isinstance(found, list)
        assert [item.key for item in found] == ["key1"]  # type: ignore[union-attr]
        assert listed == [("test", "bar"), ("test", "foo")]
        found, got, put = store.batch(
            [
                SearchOp(("test",), limit=5),
                GetOp(("test", "bar"), "key2"),
                PutOp(("test",), "key3", {"data": "value3"}),
            ]
        )
        assert isinstance(found, list)
        assert len(found) == 2
        assert isinstance(got, Item)
        assert (got.value, put) == ({"data": "value2"}, None)
        assert value(store.get(("test",), "key3")) == {"data": "value3"}
        assert store.batch([]) == []

    def test_a_batch_puts_and_deletes_and_the_last_word_on_an_item_counts(self, store: BaseStore) -> None:
        store.put(("test",), "key4", DOC)
        results = store.batch(
            [
                PutOp(("test",), "key1", {"n": 1}),
                PutOp(("test",), "key2", {"n": 2}),
                PutOp(("test",), "key3", None),
                PutOp(("test",), "key1", {"n": 10}),
                PutOp(("test",), "key4", None),
                PutOp(("test",), "key2", None),
            ]
        )
        assert results == [None] * 6
        found = [value(store.get(("test",), f"key{number}")) for number in range(1, 5)]
        assert found == [{"n": 10}, None, None, None]

    def test_a_search_goes_by_prefix_and_pages(self, store: BaseStore) -> None:
        places = [("test", "foo"), ("test", "bar"), ("test", "bar", "deep"), ("tests",), ("te_t",), ("other", "test")]
        for number, namespace in enumerate(places):
            store.put(namespace, f"key{number}", {"n": number})
        for prefix, expected in (
            (("test",), {0, 1, 2}),
            (("test", "bar"), {1, 2}),
            (("te_t",), {4}),
            (("t",), set()),
            (("test", "bar", "deep", "er"), set()),
            ((), set(range(6))),
        ):
            found = store.search(prefix)
            assert {item.value["n"] for item in found} == expected, prefix
            assert all(isinstance(item, SearchItem) and item.score is None for item in found)
            assert all(item.namespace == places[item.value["n"]] for item in found)
        pages = [key for offset in range(0, 6, 2) for key in keys(store.search((), limit=2, offset=offset))]
        assert sorted(pages) == [f"key{number}" for number in range(6)]
        assert len(store.search((), limit=4)) == 4
        assert store.search((), offset=6) == store.search((), limit=0) == []

    def test_ten_items_are_found_unless_asked_otherwise(self, store: BaseStore) -> None:
        for number in range(12):
            store.put(("many",), str(number), {"n": number})
        assert (len(store.search(("many",))), len(store.search(("many",), limit=100))) == (10, 12)

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({"color": "red"}, "12"),
            ({"color": {"$eq": "red"}}, "12"),
            ({"color": {"$ne": "red"}}, "34"),
            ({"score": {"$gt": 3.5}}, "13"),
            ({"score": {"$gte": 3.5}}, "134"),
            ({"score": {"$lt": 3.5}}, "2"),
            ({"score": {"$lte": 3.5}}, "24"),
            ({"score": {"$gt": 3.0, "$lt": 4.5}}, "34"),
            ({"score": 4}, "3"),
            ({"score": {"$gte": 4.0}, "color": "green"}, "3"),
            ({"color": "purple"}, ""),
            ({"nowhere": "x"}, ""),
            ({"tags": ["x"]}, "2"),
            ({"tags": ["x", "y"]}, "1"),
            ({}, "1234"),
        ],
    )
    def test_filters(self, store: BaseStore, wanted: dict[str, Any], expected: str) -> None:
        put_colors(store)
        assert sorted(keys(store.search(("docs",), filter=wanted))) == [f"doc{number}" for number in expected]

    def test_a_filter_counts_before_the_limit(self, store: BaseStore) -> None:
        put_colors(store)
        assert keys(store.search(("docs",), filter={"color": "blue"}, limit=1)) == ["doc4"]
        assert keys(store.search(("docs",), filter={"color": "blue"}, limit=1, offset=1)) == []

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, list(range(9))),
            ({"prefix": ("a", "b")}, [0, 1, 2, 3]),
            ({"suffix": ("f",)}, [3, 4, 6]),
            ({"prefix": ("a",), "suffix": ("f",)}, [3, 4]),
            ({"prefix": ("a", "*", "f")}, [3, 4]),
            ({"suffix": ("*", "f")}, [3, 4, 6]),
            ({"prefix": ("users", "*")}, [7, 8]),
            ({"prefix": ("*", "users"), "suffix": ("*", "settings")}, []),
            ({"prefix": ("users", "123")}, [7]),
            ({"prefix": ("users", "123", "more")}, []),
            ({"prefix": ("nonexistent",)}, []),
            ({"prefix": ("a", "b"), "limit": 2}, [0, 1]),
            ({"prefix": ("a", "b"), "offset": 2}, [2, 3]),
            ({"limit": 3, "offset": 3}, [3, 4, 5]),
            ({"offset": 9}, []),
        ],
    )
    def test_namespaces_are_listed(self, store: BaseStore, asked: dict[str, Any], expected: list[int]) -> None:
        assert store.list_namespaces(**asked) == []
        fill(store, TREE)
        assert store.list_namespaces(**asked) == [TREE[number] for number in expected]

    def test_namespaces_are_cut_to_a_depth_once_each(self, store: BaseStore) -> None:
        fill(store, TREE)
        assert store.list_namespaces(prefix=("a", "b"), max_depth=3) == [
            ("a", "b", "c"),
            ("a", "b", "d"),
            ("a", "b", "f"),
        ]
        assert store.list_namespaces(max_depth=1) == [("a",), ("admin",), ("b",), ("users",)]
        assert store.list_namespaces(max_depth=1, limit=2, offset=1) == [("admin",), ("b",)]
        (found,) = store.batch([ListNamespacesOp((MatchCondition("suffix", ("789",)),))])
        assert found == [("admin", "users", "789")]

    @pytest.mark.parametrize("wrong", [(), ("the", "thing.about"), ("some", "fun", ""), ("langgraph", "foo"), (123,)])
    def test_nothing_is_put_where_no_namespace_can_be(self, store: BaseStore, wrong: Any) -> None:
        with pytest.raises(InvalidNamespaceError):
            store.put(wrong, "foo", DOC)
        with pytest.raises(InvalidNamespaceError):
            asyncio.run(store.aput(wrong, "foo", DOC))
        assert store.search(()) == []

    @pytest.mark.parametrize("wrong", [("foo.bar",), ("foo", ""), (123,), ("a\0b",)])
    def test_nothing_is_looked_for_where_no_namespace_can_be(self, store: BaseStore, wrong: Any) -> None:
        for ask in (
            lambda: store.get(wrong, "k"),
            lambda: store.delete(wrong, "k"),
            lambda: store.search(wrong),
            lambda: store.list_namespaces(prefix=wrong),
            lambda: store.list_namespaces(suffix=wrong),
        ):
            with pytest.raises(InvalidNamespaceError):
                ask()

    def test_only_the_root_is_langgraph_s_own_and_only_for_who_puts(self, store: BaseStore) -> None:
        inner, own = ("foo", "langgraph", "foo"), ("langgraph", "foo")
        store.put(inner, "bar", DOC)
        assert value(store.get(inner, "bar")) == DOC
        store.batch([PutOp(own, "bar", DOC)])
        assert value(store.get(own, "bar")) == DOC
        assert [item.value for item in store.search(own)] == [DOC]
        store.delete(own, "bar")
        assert store.get(own, "bar") is None

    def test_threads_share_a_store(self, store: BaseStore) -> None:
        def write(number: int) -> None:
            store.put(("threads", str(number % 3)), str(number % 10), {"n": number})
            assert store.get(("threads", str(number % 3)), str(number % 10)) is not None

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(60)))
        assert len(store.search(("threads",), limit=100)) == 30
        assert len(store.list_namespaces()) == 3

    def test_it_has_no_ttl(self, store: BaseStore) -> None:
        assert store.supports_ttl is False
        with pytest.raises(NotImplementedError):
            store.put(("a",), "k", DOC, ttl=1.0)


class AsyncContract:
    """The same from an event loop."""

    def test_async_says_the_same(self, store: BaseStore) -> None:
        async def use() -> None:
            await asyncio.gather(*(store.aput(("async",), str(n), {"n": n}) for n in range(20)))
            await store.adelete(("async",), "7")
            found, missing = await asyncio.gather(store.aget(("async",), "3"), store.aget(("async",), "7"))
            assert (value(found), missing) == ({"n": 3}, None)
            above = await store.asearch(("async",), filter={"n": {"$gte": 5}}, limit=50)
            assert sorted(item.value["n"] for item in above) == [5, 6, *range(8, 20)]
            assert await store.alist_namespaces(prefix=("async",)) == [("async",)]
            results = await store.abatch([GetOp(("async",), "3"), PutOp(("async",), "3", {"n": 30})])
            assert isinstance(results[0], Item)
            assert (results[0].value, results[1]) == ({"n": 3}, None)
            assert value(await store.aget(("async",), "3")) == {"n": 30}

        asyncio.run(use())


class QueryContract:
    """Searches with a query, for stores that can."""

    def test_what_goes_with_the_query_comes_first(self, store: BaseStore) -> None:
        store.put(("test",), "doc1", {"text": "zany zebra Xerxes"})
        store.put(("test",), "doc2", {"text": "something about dogs"})
        store.put(("test",), "doc3", {"text": "text about birds"})
        found = store.search(("test",), query="Zany Xerxes")
        assert len(found) == 3
        assert found[0].key == "doc1"
        assert found[0].score is not None

    def test_an_item_is_found_by_what_it_says_now(self, store: BaseStore) -> None:
        store.put(("test",), "doc1", {"text": "zany zebra Xerxes"})
        store.put(("test",), "doc2", {"text": "something about dogs"})
        store.put(("test",), "doc1", {"text": "new words about birds"})
        store.put(("test",), "doc3", {"text": "the zany one"})
        assert keys(store.search(("test",), query="zany Xerxes"))[0] == "doc3"
        assert keys(store.search(("test",), query="new words about birds"))[0] == "doc1"

    def test_what_is_not_indexed_is_found_by_its_key_and_last_by_a_query(self, store: BaseStore) -> None:
        for number in range(3):
            store.put(("test",), f"doc{number}", {"text": f"number {number} about dogs"})
        store.put(("test",), "doc4", {"text": "new text about dogs"}, index=False)
        found = store.search(("test",), query="new text about dogs")
        assert found[-1].key == "doc4"
        assert found[-1].score is None
        assert "doc4" not in keys(store.search(("test",), query="new text about dogs", limit=3))
        assert "doc4" in keys(store.search(("test",)))
        assert value(store.get(("test",), "doc4")) == {"text": "new text about dogs"}

    @pytest.mark.parametrize(
        ("query", "wanted", "expected"),
        [
            ("apple", {"color": "red"}, ["doc1", "doc2"]),
            ("car", {"color": "red"}, ["doc2", "doc1"]),
            ("apple", {"score": {"$gte": 4.0}, "color": "green"}, ["doc3"]),
            ("apple", {"color": "purple"}, []),
        ],
    )
    def test_a_query_ranks_what_the_filter_lets_pass(
        self, store: BaseStore, query: str, wanted: dict[str, Any], expected: list[str]
    ) -> None:
        put_colors(store)
        assert keys(store.search(("docs",), query=query, filter=wanted)) == expected

    def test_a_query_stays_below_its_prefix(self, store: BaseStore) -> None:
        store.put(("mine",), "a", {"text": "about dogs"})
        store.put(("theirs",), "b", {"text": "dogs dogs dogs"})
        store.put(("mine", "deep"), "c", {"text": "about cats"})
        assert set(keys(store.search(("mine",), query="dogs"))) == {"a", "c"}

    def test_pages_of_an_answer_fit_together(self, store: BaseStore) -> None:
        for number in range(5):
            store.put(("test",), f"doc{number}", {"text": "test " * number + f"document number {number}"})
        whole = store.search(("test",), query="test", limit=10)
        assert len(whole) == 5
        pages = [store.search(("test",), query="test", limit=2, offset=offset) for offset in (0, 2, 4)]
        assert [key for page in pages for key in keys(page)] == keys(whole)
        scores = [item.score for item in whole if item.score is not None]
        assert scores == sorted(scores, reverse=True)

    @pytest.mark.parametrize("query", ["", None, "test " * 100, "test!@#$%^&*()", "'; DROP TABLE notes; --", "学习率"])
    def test_any_query_is_allowed(self, store: BaseStore, query: str | None) -> None:
        store.put(("test",), "doc1", {"text": "test document"})
        assert keys(store.search(("test",), query=query)) == ["doc1"]

    def test_many_searches_at_once(self, store: BaseStore) -> None:
        async def use() -> None:
            docs = {f"doc{n}": {"text": f"{c} {i}", "color": c, "n": n} for n, (c, i) in enumerate(pairs)}
            await asyncio.gather(*(store.aput(("test",), key, value) for key, value in docs.items()))
            answers = await asyncio.gather(
                *(store.asearch(("test",), query=i, filter={"color": c}) for c, i in pairs),
            )
            assert [found[0].value["text"] for found in answers] == [f"{c} {i}" for c, i in pairs]

        pairs = [(c, i) for c in ("red", "blue", "green") for i in ("apple", "car", "house")]
        asyncio.run(use())
