"""The SQLite store: the contract, any sequence of changes, two instances on one file, and files that are not whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from luthier.memory import migrations, sqlite_answers
from luthier.memory.errors import Conflict, MemoryFileError, NoteMissing
from luthier.memory.note import Evidence, Kind, Link, LinkType, Note, PastTrial
from luthier.memory.sidecar import Sidecar
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter, Store
from luthier.memory.testing import StoreContract
from luthier.memory.testing_notes import directions, embed, found, note, proposal

FILE = "memory.db"


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        made = SQLiteStore(tmp_path / FILE)
        yield made
        assert made.check() == []
        made.close()


class TestSQLiteStoreWithSidecar(StoreContract):
    """The same where the index names what may be near, however few there are."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        if not Sidecar.is_here():
            pytest.skip("the package usearch is not installed")
        made = SQLiteStore(tmp_path / FILE, sidecar_from=0)
        yield made
        assert made.check() == []
        made.close()


Open = Callable[[], SQLiteStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens one file, as often as asked, and closes all in the end."""
    stores: list[SQLiteStore] = []

    def one_more() -> SQLiteStore:
        stores.append(SQLiteStore(tmp_path / FILE))
        return stores[-1]

    yield one_more
    for store in stores:
        store.close()


WORDS = ("whale", "fern", "krill", "moss")
words = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
kinds = st.sampled_from([Kind.LESSON, Kind.TRIAL, Kind.TASK])


class AnySequence(RuleBasedStateMachine):
    """Two instances on one file take changes in turn; a dictionary says what must be there."""

    ids = Bundle("ids")
    links = Bundle("links")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        # Both search exactly, and the second among what the index names, if its package is here: all, of so few.
        self.stores = (SQLiteStore(self.folder / FILE), SQLiteStore(self.folder / FILE, sidecar_from=0))
        self.history: dict[str, list[Note]] = {}
        self.turn = 0

    @property
    def store(self) -> SQLiteStore:
        self.turn += 1
        return self.stores[self.turn % 2]

    @rule(target=ids, kind=kinds, contents=st.lists(words, min_size=1, max_size=3))
    def add(self, kind: Kind, contents: list[str]) -> object:
        notes = [note(kind, content) for content in contents]
        assert self.store.add(notes) == [one.id for one in notes]
        self.history |= {one.id: [one] for one in notes}
        return multiple(*(one.id for one in notes))

    @rule(target=links, source=ids, goal=ids, kind=st.sampled_from(LinkType))
    def link(self, source: str, goal: str, kind: LinkType) -> Link:
        made = Link(source=source, target=goal, type=kind)
        self.store.add([], [made])
        return made

    @rule(link=consumes(links))
    def unlink(self, link: Link) -> None:
        self.store.unlink(link)

    @rule(name=ids, content=words)
    def evolve(self, name: str, content: str) -> None:
        self.history[name] += self.store.evolve([proposal(self.history[name][-1], content)])

    @rule(name=ids, trial=ids)
    def support(self, name: str, trial: str) -> None:
        if self.history[trial][0].kind is Kind.TRIAL:
            self.history[name].append(self.store.support(name, Evidence(trials=(trial,))))

    @rule(name=ids)
    def forget(self, name: str) -> None:
        self.store.forget(name)

    @rule(name=ids)
    def revive(self, name: str) -> None:
        self.store.revive(name)

    @rule(name=ids, content=words)
    def add_again(self, name: str, content: str) -> None:
        again = self.history[name][0].model_copy(update={"content": content, "evidence": None})
        if self.store.add([again]):  # its adding was undone
            self.history[name].append(self.store.get(name))
            assert self.history[name][-1].content == content

    @rule(name=ids, content=words, goal=ids, fails=st.booleans())
    def together(self, name: str, content: str, goal: str, fails: bool) -> None:
        """Several changes as one, of which `undo` takes back all."""
        store, old = self.store, self.history[name]
        with suppress(NoteMissing), store.together("an act"):
            (first,) = store.evolve([proposal(old[-1], content)])
            (second,) = store.evolve([proposal(first, content + " fern")], [similar(goal, name)])
            store.forget(name)
            store.revive(goal)
            store.unlink(similar(goal, name))
            if fails:
                store.forget("lesson-nowhere")
            self.history[name] = [*old, first, second]

    @rule()
    def undo(self) -> None:
        change = self.store.undo()
        for name, revisions in self.history.items():
            now = self.store.revisions(name)
            assert now[: len(revisions)] == revisions
            assert len(now) - len(revisions) <= (change is not None)
            self.history[name] = now

    @rule()
    def embed(self) -> None:
        missing = self.store.missing_vectors("m")
        embed(self.store, missing, [direction(one) for one in missing])

    @invariant()
    def old_revisions_are_readable_and_links_resolve(self) -> None:
        for name, revisions in self.history.items():
            assert self.store.revisions(name) == revisions
            assert [self.store.get(name, number) for number in range(len(revisions))] == revisions
        for link in self.store.links(self.history):
            assert {self.store.get(link.source).id, self.store.get(link.target).id} <= self.history.keys()

    @invariant()
    def searches_agree_with_the_listing(self) -> None:
        listed = {one.id: one for one in self.store.notes()}
        assert self.store.count() == len(listed)
        assert all(self.history[name][-1] == one for name, one in listed.items())
        searched = {name: one for name, one in listed.items() if one.kind is not Kind.TRIAL}
        for word in WORDS:
            expected = {name for name, one in searched.items() if word in one.content}
            assert all(set(found(store, word)) == expected for store in self.stores)
        missing = {one.id for one in self.store.missing_vectors("m")}
        for store in self.stores:
            nearest = dict(store.nearest("m", directions(1)[0], 1000))
            assert nearest.keys() == searched.keys() - missing
            few = dict(store.nearest("m", directions(1)[0], min(len(nearest), 20)))
            assert few == dict(list(nearest.items())[:20])
            for name, cosine in nearest.items():
                assert cosine == pytest.approx(float(direction(listed[name]) @ directions(1)[0]), abs=1e-6)

    @invariant()
    def it_is_whole(self) -> None:
        assert self.store.check() == []

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


def similar(source: str, target: str) -> Link:
    return Link(source=source, target=target, type=LinkType.SIMILAR)


def direction(one: Note) -> np.ndarray:
    """A vector that stands for a note's text, as an embedding does."""
    return directions(1, seed=1 + sum(one.text.encode()))[0]


AnySequence.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, suppress_health_check=list(HealthCheck)
)
test_any_sequence_of_changes_keeps_the_memory_whole = AnySequence.TestCase


def test_another_instance_destroys_nothing_and_sees_everything(opened: Open) -> None:
    """A-MEM's public code resets the collection when a second system opens it."""
    one, other = opened(), opened()
    first = note(content="about whales")
    one.add([first])
    embed(one, [first], directions(1))
    third = opened()
    for store in (one, other, third):
        assert (list(store.notes()), found(store, "whales")) == ([first], [first.id])
        assert [name for name, _ in store.nearest("m", directions(1)[0], 1)] == [first.id]
    third.close()
    assert one.count() == other.count() == 1


def test_the_index_is_not_stale_after_an_evolution_by_another_instance(opened: Open) -> None:
    one, other = opened(), opened()
    first = note(content="about whales")
    one.add([first])
    a, b = directions(2)
    embed(one, [first], [a])
    assert [name for name, _ in other.nearest("m", a, 1)] == [first.id]  # its matrix is filled now
    (second,) = one.evolve([proposal(first, "about ferns")])
    for store in (one, other):
        assert (found(store, "whales"), found(store, "ferns"), store.nearest("m", a, 1)) == ([], [first.id], [])
        assert store.missing_vectors("m") == [second]
    embed(other, [second], [b])
    for store in (one, other):
        assert store.nearest("m", b, 1)[0][1] == pytest.approx(1.0)
        assert store.missing_vectors("m") == []
    other.forget(first.id)
    assert one.nearest("m", b, 1) == []
    one.undo()
    assert len(other.nearest("m", b, 1)) == 1


def test_of_two_instances_that_evolve_a_note_one_wins_and_the_other_retries(opened: Open) -> None:
    one, other = opened(), opened()
    first = note(content="first")
    one.add([first])
    read = [store.get(first.id) for store in (one, other)]
    one.evolve([proposal(read[0], "by one")])
    with pytest.raises(Conflict, match="read the note again"):
        other.evolve([proposal(read[1], "by the other")])
    other.evolve([proposal(other.get(first.id), "by both")])
    assert [revision.content for revision in one.revisions(first.id)] == ["first", "by one", "by both"]


def test_the_matrix_grows_and_filters_notes_that_came_later(opened: Open) -> None:
    one, other = opened(), opened()
    vectors = directions(60)
    for number in range(0, 60, 5):
        notes = [note(content=str(number + i), study=f"s{number}") for i in range(5)]
        other.add(notes)
        embed(other, notes, vectors[number : number + 5])
        assert len(one.nearest("m", vectors[0], 100)) == number + 5
        assert {name for name, _ in one.nearest("m", vectors[0], 100, Filter(studies=(f"s{number}",)))} == {
            n.id for n in notes
        }


def test_a_memory_is_the_same_after_it_is_opened_again(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "deep" / "er" / FILE)
    task, trial = note(Kind.TASK), note(Kind.TRIAL)
    link = Link(source=trial.id, target=task.id, type=LinkType.SAME_TASK)
    row = PastTrial(id=trial.id, task=task.id, study="s", number=0, config={"lr": 0.1}, state="complete", value=1.0)
    store.add([task, trial], [link], [row])
    journal = store.journal()
    store.close()
    store.close()
    again = SQLiteStore(str(tmp_path / "deep" / "er" / FILE))
    assert (list(again.notes()), again.links([task.id]), again.trials(task.id)) == ([task, trial], [link], [row])
    assert again.journal() == journal
    again.close()


def test_a_listing_leaves_out_what_is_forgotten_while_it_is_read(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_answers, "_PAGE", 2)
    store = opened()
    notes = [note(content=str(number)) for number in range(7)]
    store.add(notes)
    listing = store.notes()
    assert next(listing) == notes[0]
    store.forget(notes[4].id)
    assert list(listing) == [*notes[1:4], *notes[5:]]


def test_making_a_file_waits_for_another_process_that_makes_it(opened: Open, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.2, other.execute, ["ROLLBACK"])
        timer.start()
        assert opened().count() == 0
        timer.join()


def raw(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    foreign, text = tmp_path / "foreign.db", tmp_path / "text.db"
    raw(foreign, "CREATE TABLE mine (a)", "INSERT INTO mine VALUES (1)")
    text.write_text("this is no database, but long enough to be looked at" * 50)
    for path, words in ((foreign, "something else"), (text, "must be a whole memory")):
        before = path.read_bytes()
        with pytest.raises(MemoryFileError, match=words) as caught:
            SQLiteStore(path)
        assert str(path) in str(caught.value)
        assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign.db", "text.db"]


def test_a_file_of_another_application_with_no_table_is_refused(tmp_path: Path) -> None:
    raw(tmp_path / FILE, "PRAGMA application_id = 7")
    with pytest.raises(MemoryFileError, match="application id 7"):
        SQLiteStore(tmp_path / FILE)


def test_an_empty_file_becomes_a_memory(opened: Open, tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    store = opened()
    assert store.check() == []
    store.close()


def test_a_newer_version_asks_to_upgrade_luthier(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / FILE).close()
    raw(tmp_path / FILE, f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    with pytest.raises(MemoryFileError, match="upgrade Luthier"):
        SQLiteStore(tmp_path / FILE)


def test_migrations_are_applied_once_each_or_not_at_all(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SQLiteStore(tmp_path / FILE).close()
    applied = []

    def second(connection: sqlite3.Connection) -> None:
        applied.append(2)
        connection.execute("CREATE TABLE later (a)")

    def third(connection: sqlite3.Connection) -> None:
        applied.append(3)
        if len(applied) == 2:
            raise RuntimeError("killed")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, second, third))
    with pytest.raises(RuntimeError, match="killed"):
        SQLiteStore(tmp_path / FILE)
    for _ in range(2):
        store = opened()
        assert store.check() == []
        store.close()
    assert applied == [2, 3, 2, 3]


def test_a_file_of_the_first_version_knows_what_was_undone_and_what_was_forgotten(opened: Open, tmp_path: Path) -> None:
    store = opened()
    forgotten, undone, kept = notes = [note() for _ in range(3)]
    store.add([forgotten])
    store.add([undone])
    store.undo()
    store.add([kept])
    store.forget(kept.id)
    store.undo()
    store.forget(forgotten.id)
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("UPDATE notes SET forgotten = 1 WHERE forgotten = 2")  # as the first version had it
        connection.execute("DROP TABLE readings")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    assert opened().add(notes) == [undone.id]


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / FILE):
        with pytest.raises(MemoryFileError, match="must be writable") as caught:
            SQLiteStore(path)
        assert str(path) in str(caught.value)
        assert "choose another path" in str(caught.value)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Permissions do not bind root: take another user's part meanwhile."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_file_without_the_right_to_write_is_refused(mode: int) -> None:
    with tempfile.TemporaryDirectory() as made:  # pytest's own folder is closed to other users
        folder = Path(made)
        SQLiteStore(folder / FILE).close()
        (folder / FILE).chmod(mode)
        folder.chmod(0o555)
        with without_privileges(), pytest.raises(MemoryFileError, match="must be writable with its folder") as caught:
            SQLiteStore(folder / FILE)
        assert str(folder / FILE) in str(caught.value)
        with without_privileges(), pytest.raises(MemoryFileError, match="must be writable with its folder"):
            SQLiteStore(folder / "deeper" / FILE)
        folder.chmod(0o755)


def test_a_database_that_turns_read_only_is_told(opened: Open) -> None:
    store = opened()
    store._database._connection.execute("PRAGMA query_only = ON")  # what a read-only file does, for any user
    with pytest.raises(MemoryFileError, match="must be writable"):
        store.add([note()])
    assert store.count() == 0


def test_a_full_disk_is_told_and_the_change_taken_back(opened: Open, tmp_path: Path) -> None:
    store = opened()
    store.add([note()])
    pages = store._database._connection.execute("PRAGMA page_count").fetchone()[0]
    store._database._connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(MemoryFileError, match="must have room") as caught:
        store.add([note(content="x" * 20_000) for _ in range(10)])
    assert str(tmp_path / FILE) in str(caught.value)
    assert "free the disk" in str(caught.value)
    store._database._connection.execute("PRAGMA max_page_count = 100000")
    assert (store.count(), len(store.journal()), store.check()) == (1, 1, [])
    store.add([note()])
    store.close()


def test_a_writer_that_never_ends_is_told(opened: Open) -> None:
    store, other = opened(), opened()
    store._database._connection.execute("PRAGMA busy_timeout = 10")
    with other._database.writing(), pytest.raises(MemoryFileError, match="must be free"):
        store.add([note()])
    assert store.count() == 0  # readers need not wait
    store.add([note()])


def test_damage_is_told(opened: Open, tmp_path: Path) -> None:
    store = opened()
    store.add([note(content=f"{number} " * 200) for number in range(200)])
    store.close()
    whole = (tmp_path / FILE).read_bytes()
    half = len(whole) // 2
    (tmp_path / FILE).write_bytes(whole[:half] + bytes(len(whole) - half))
    damaged = opened()
    assert damaged.check() != []
    with pytest.raises(MemoryFileError, match="restore a copy"):
        list(damaged.notes())
    damaged.close()
    (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + bytes(4096))
    with pytest.raises(MemoryFileError, match="restore a copy"):
        SQLiteStore(tmp_path / FILE)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE links SET target = 'lesson-ffffff'", "links names what is not in notes"),
        ("UPDATE notes SET head = 5 WHERE kind = 'lesson'", "has lost a revision"),
        ("UPDATE notes SET kind = 'task' WHERE kind = 'trial'", "evidence that is no trial"),
        ("UPDATE notes SET kind = 'task' WHERE kind = 'trial'", "row but is no trial"),
        ("UPDATE notes SET forgotten = 1 WHERE kind = 'lesson'", "as it may not be"),
        ("DELETE FROM words", "missing from the full-text index"),
        ("UPDATE vectors SET dim = 3", "another size"),
        ("UPDATE vectors SET vector = x'00'", "another size"),
    ],
)
def test_check_names_what_is_wrong(opened: Open, tmp_path: Path, statement: str, words: str) -> None:
    store = opened()
    task, trial = note(Kind.TASK), note(Kind.TRIAL)
    lesson = note(evidence=Evidence(trials=(trial.id,)))
    row = PastTrial(id=trial.id, task=task.id, study="s", number=0, config={}, state="complete")
    store.add([task, trial, lesson], [Link(source=lesson.id, target=task.id, type=LinkType.SIMILAR)], [row])
    embed(store, [lesson], directions(1))
    raw(tmp_path / FILE, statement)
    assert any(words in fault for fault in store.check()), store.check()
    store.close()


def test_what_no_version_wrote_is_told(opened: Open, tmp_path: Path) -> None:
    store = opened()
    one = note()
    store.add([one])
    raw(tmp_path / FILE, "DROP TRIGGER revisions_stay", "UPDATE revisions SET keywords = '{'")
    with pytest.raises(MemoryFileError, match="must be readable"):
        store.get(one.id)
    assert any(one.id in fault for fault in store.check())


def test_the_file_itself_keeps_revisions_append_only(opened: Open, tmp_path: Path) -> None:
    store = opened()
    store.add([note()])
    for statement in ("UPDATE revisions SET content = 'x'", "DELETE FROM revisions"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw(tmp_path / FILE, statement)
