"""The sidecar index: whatever becomes of its file, the answers stay right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from luthier.memory import sidecar
from luthier.memory.note import Kind
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.testing_notes import embed, note, proposal

if not sidecar.Sidecar.is_here():
    pytest.skip("the package usearch is not installed", allow_module_level=True)
FILE = "memory.db"
COUNT, SIZE = 700, 24
ANY = Filter()
Open = Callable[..., SQLiteStore]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a memory that uses the index from the first vector on, and closes it in the end."""
    stores: list[SQLiteStore] = []

    def one_more(path: Path, sidecar_from: int | None = 0) -> SQLiteStore:
        stores.append(SQLiteStore(path, sidecar_from=sidecar_from))
        return stores[-1]

    yield one_more
    for store in stores:
        store.close()


def like_embeddings(count: int, seed: int = 0) -> np.ndarray:
    """Vectors about some topics: (count, SIZE) float32."""
    rng = np.random.default_rng(seed)
    topics = np.random.default_rng(9).standard_normal((20, SIZE))
    rows = topics[rng.integers(0, 20, count)] + 0.6 * rng.standard_normal((count, SIZE))
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def fill(store: SQLiteStore, count: int, seed: int = 0) -> list[str]:
    """Notes with vectors, every tenth of them a failure; their ids."""
    notes = [note(Kind.FAILURE if number % 10 == 0 else Kind.LESSON, str(number)) for number in range(count)]
    store.add(notes)
    embed(store, notes, like_embeddings(count, seed))
    return [one.id for one in notes]


def the_file(folder: Path) -> Path:
    (path,) = folder.glob("*.usearch")
    return path


@pytest.fixture
def indexed(tmp_path: Path, opened: Open) -> SQLiteStore:
    store = opened(tmp_path / FILE)
    fill(store, COUNT)
    assert store.index("m") == COUNT
    assert store.index("m") == store.index("nobody") == 0
    return store


def assert_right(store: SQLiteStore, exact: SQLiteStore, where: Filter = ANY) -> None:
    """Nearly all of the nearest, in order, and every cosine exact."""
    found_of = expected_of = 0
    for query in like_embeddings(20, seed=5):
        found, expected = store.nearest("m", query, 10, where), exact.nearest("m", query, 10, where)
        truth = dict(exact.nearest("m", query, COUNT * 10, where))
        assert len(found) == len(expected)
        assert found == sorted(((name, truth[name]) for name, _ in found), key=lambda one: (-one[1], one[0]))
        found_of += len(dict(found).keys() & dict(expected).keys())
        expected_of += len(expected)
    assert found_of >= 0.95 * expected_of


def test_answers_are_those_of_the_exact_search(indexed: SQLiteStore, opened: Open) -> None:
    exact = opened(indexed.path, None)
    for where in (Filter(), Filter(kinds=(Kind.LESSON,)), Filter(kinds=(Kind.FAILURE,)), Filter(studies=("none",))):
        assert_right(indexed, exact, where)
    query = like_embeddings(1, seed=5)[0]
    for k in (0, 1, COUNT - 1, COUNT, COUNT + 1):
        assert len(indexed.nearest("m", query, k)) == min(k, COUNT)
    assert indexed.nearest("m", query, COUNT) == exact.nearest("m", query, COUNT)


def test_the_file_is_taken_up_by_the_next_process_and_followed(indexed: SQLiteStore, opened: Open) -> None:
    path, exact = the_file(indexed.path.parent), opened(indexed.path, None)
    before = path.read_bytes()
    stamp = json.loads(before.partition(b"\n")[0])
    assert (stamp["model"], stamp["dimensions"], stamp["count"]) == ("m", SIZE, COUNT)
    again = opened(indexed.path)
    assert again.index("m") == 0
    assert path.read_bytes() == before
    (first, *_) = again.notes()
    again.evolve([proposal(first, "elsewhere")])
    again.forget(again.nearest("m", like_embeddings(20, seed=5)[0], 1)[0][0])
    names = fill(again, 30, seed=5)
    for store in (again, indexed):
        assert_right(store, exact)
        assert store.nearest("m", like_embeddings(30, seed=5)[3], 1)[0][0] == names[3]
    assert path.read_bytes() == before  # so few are added anew by the next process
    assert again.index("m") == 0
    assert json.loads(path.read_bytes().partition(b"\n")[0])["count"] == COUNT + 30


def test_a_file_that_is_far_behind_is_left_aside_until_somebody_asks(indexed: SQLiteStore, opened: Open) -> None:
    exact, store = opened(indexed.path, None), opened(indexed.path)
    fill(exact, sidecar.LAG + 1, seed=7)
    query = like_embeddings(1, seed=7)[0]
    assert store.nearest("m", query, 10) == exact.nearest("m", query, 10)
    told: list[int] = []
    assert store.index("m", told.append) == sidecar.LAG + 1 == told[-1]
    assert_right(store, exact)


def flipped(body: bytes) -> bytes:
    return body[:-100] + bytes([body[-100] ^ 1]) + body[-99:]


@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: b"",
        lambda whole: b"\n",
        lambda whole: b"[1]\n" + whole,
        lambda whole: whole[: len(whole) // 2],
        flipped,
        lambda whole: whole.partition(b"\n")[2],
        lambda whole: whole.replace(b'"model": "m"', b'"model": "n"', 1),
        lambda whole: whole.replace(b'"format": 1', b'"format": 2', 1),
        lambda whole: whole.replace(b'"count": 700', b'"count": 701', 1),
        lambda whole: whole.replace(b'"revision": 0', b'"revision": 1', 1),
        lambda whole: whole.replace(b'"number": 700', b'"number": 9', 1),
        lambda whole: whole.replace(b'"dimensions": 24', b'"dimensions": "x"', 1),
    ],
)
def test_a_broken_file_or_another_stamp_is_no_error_and_built_anew(
    indexed: SQLiteStore, opened: Open, broken: Callable[[bytes], bytes]
) -> None:
    path, exact = the_file(indexed.path.parent), opened(indexed.path, None)
    whole = path.read_bytes()
    path.write_bytes(broken(whole))
    assert path.read_bytes() != whole
    store = opened(indexed.path)
    query = like_embeddings(1, seed=3)[0]
    assert store.nearest("m", query, 10) == exact.nearest("m", query, 10)
    assert store.index("m") == COUNT
    assert_right(store, exact)
    assert opened(indexed.path).index("m") == 0


def test_the_file_of_another_memory_is_not_taken(indexed: SQLiteStore, opened: Open, tmp_path: Path) -> None:
    other = opened(tmp_path / "other" / FILE)
    fill(other, COUNT, seed=1)
    shutil.copy(the_file(tmp_path), tmp_path / "other")
    assert other.index("m") == COUNT
    assert_right(other, opened(other.path, None))


def test_a_memory_restored_from_a_copy_does_not_take_a_younger_file(
    indexed: SQLiteStore, opened: Open, tmp_path: Path
) -> None:
    (tmp_path / "copy").mkdir()
    indexed.close()
    shutil.copy(indexed.path, tmp_path / "copy")
    later = opened(indexed.path)
    fill(later, 50, seed=4)
    assert later.index("m") == 50
    shutil.copy(the_file(tmp_path), tmp_path / "copy")
    restored = opened(tmp_path / "copy" / FILE)
    fill(restored, 60, seed=5)
    assert restored.index("m") == COUNT + 60
    assert_right(restored, opened(restored.path, None))


def test_a_file_that_cannot_be_written_costs_only_time(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / FILE)
    fill(store, COUNT)
    sidecar.Sidecar(store.path, "m", SIZE).path.mkdir()
    assert store.index("m") == COUNT
    assert_right(store, opened(store.path, None))
    assert not list(tmp_path.glob("*.part"))


def test_without_the_package_every_search_is_exact(
    indexed: SQLiteStore, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    store, exact = opened(indexed.path), opened(indexed.path, None)
    query = like_embeddings(1, seed=3)[0]
    assert store.index("m") == 0
    assert store.nearest("m", query, 10) == exact.nearest("m", query, 10)


def test_few_vectors_need_no_file(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / FILE, COUNT + 1)
    fill(store, COUNT)
    query = like_embeddings(1)[0]
    assert (store.index("m"), len(store.nearest("m", query, 5)), list(tmp_path.glob("*.usearch"))) == (0, 5, [])
    fill(store, 1, seed=2)
    assert store.index("m") == COUNT + 1
    assert the_file(tmp_path).exists()
    assert store.check() == []


def test_what_embeds_texts_can_be_loaded_after_it() -> None:
    code = "from luthier.memory.sidecar import Sidecar; assert Sidecar.is_here(); import onnxruntime"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_a_small_memory_does_not_load_it(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.testing_notes import embed, note
from luthier.memory.note import Kind
import numpy as np

store, one = SQLiteStore(Path(sys.argv[1])), note(Kind.LESSON, "one")
store.add([one])
embed(store, [one], np.eye(1, 4, dtype=np.float32))
assert store.nearest("m", np.ones(4, np.float32), 3)
assert "usearch" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE)], timeout=120).returncode == 0
