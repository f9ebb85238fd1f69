"""Into the memory and out of it: Markdown comes back exactly; Optuna's storages and tables become tasks."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from luthier.cli_memory_exchange import add_to
from luthier.memory.errors import ImportFault, MemoryFault, Refused
from luthier.memory.foreign import identifiers
from luthier.memory.imports import import_csv, import_optuna
from luthier.memory.markdown import export_notes, import_notes
from luthier.memory.note import CODE, Author, Evidence, Kind, Link, LinkType, Note, PastTrial, Proposal
from luthier.memory.note_file import NoteFile, from_text, to_text
from luthier.memory.recomputing import holds
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory.store import Filter
from luthier.memory.task import Task
from luthier.memory.testing_notes import HARD_TEXTS, MODEL, note, refused
from luthier.trials.errors import InputError
from luthier.trials.records import Direction
from luthier.trials.space import Choice, Float, Int, Space

MIN, MAX = Direction.MINIMIZE, Direction.MAXIMIZE
LOOK_ALIKES = (
    "---\nid: lesson-abcdef\n---\n",
    "---",
    "\n---\n",
    "x\n\n## Links\n",
    "\n\n## Links",
    "# t\n\n## Links\n\n- similar: [[lesson-abcdef]]",
    "[[lesson-abcdef]]",
    "a\r\nb\r\n",
    "a\r",
    "\n",
    "\n\n\n",
    "  tail \t ",
    "\ufeffmark",
    "*alias &anchor !tag",
    "yes",
    "1e-3",
)
optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def memory(path: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(path)
    try:
        yield made
    finally:
        made.close()


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.md")}


def family(store: SQLiteStore, text: str = "warm start", value: float | None = 0.5) -> tuple[Note, Note, Note]:
    """A task, a trial of it with its row, and a lesson from that trial."""
    task = note(Kind.TASK, text, study=text, context=text, keywords=(text, text), tags=(text,))
    trial = note(Kind.TRIAL, text, task=task.id, study=text)
    config = {text: text, "lr": 1e-5, "on": True, "n": 3, "one": 1.0}
    evidence = Evidence(trials=(trial.id,), metric=text, best=value, effect=-0.0, config=config, diagnosis=text)
    lesson = note(Kind.LESSON, text, task=task.id, evidence=evidence, author=Author(by="code", name=text))
    row = PastTrial(id=trial.id, task=task.id, study=text, number=7, config=config, value=value, state=text, cause=text)
    links = [
        Link(source=lesson.id, target=task.id, type=LinkType.DERIVED, author=Author(by="model", name=text)),
        Link(source=lesson.id, target=trial.id, type=LinkType.SUPPORTS),
        Link(source=lesson.id, target=task.id, type=LinkType.SAME_TASK),
        Link(source=trial.id, target=lesson.id, type=LinkType.SAME_TASK),
    ]
    store.add([task, trial, lesson], links, [row])
    return task, trial, lesson


def links_among(store: SQLiteStore, names: list[str]) -> list[str]:
    found = [link for link in store.links(names) if link.source in names and link.target in names]
    return sorted(map(repr, found))


def assert_comes_back(store: SQLiteStore, folder: Path) -> None:
    """An export, read into a new memory, is exported again byte by byte; reading it twice writes nothing."""
    count = export_notes(store, folder / "a")
    with memory(folder / "copy.db") as copy:
        assert len(import_notes(copy, folder / "a").added) == count
        export_notes(copy, folder / "b")
        assert files(folder / "a") == files(folder / "b")
        assert copy.check() == []
        names = [Path(name).stem for name in files(folder / "a")]
        assert links_among(copy, names) == links_among(store, names)
        journal = copy.journal(1000)
        again = import_notes(copy, folder / "a")
        assert (again.added, again.differing, copy.journal(1000)) == ((), (), journal)
        for one in store.notes(Filter(kinds=(Kind.TASK,))):
            assert list(map(repr, copy.trials(one.id))) == list(map(repr, store.trials(one.id)))


texts = st.text(max_size=40) | st.sampled_from((*LOOK_ALIKES, *HARD_TEXTS))
texts |= st.lists(st.sampled_from((*LOOK_ALIKES, "\n", "\r", " ", "a")), max_size=5).map("".join)
numbers = st.none() | st.floats()


@settings(max_examples=25)
@given(texts, texts, numbers, st.booleans(), st.booleans(), st.sampled_from(["lesson", "trial", "", "both"]))
def test_any_memory_comes_back(
    text: str, new: str, value: float | None, person: bool, recalled: bool, forgotten: str
) -> None:
    with tempfile.TemporaryDirectory() as name, memory(Path(name) / "memory.db") as store:
        _, trial, lesson = family(store, text, value)
        author = Author(by="person", name=text) if person else MODEL
        store.evolve([Proposal(note=lesson.id, revision=0, author=author, content=new, recalled=recalled)])
        store.evolve([Proposal(note=trial.id, revision=0, author=CODE, tags=(new,), recalled=recalled)])
        for one in (trial, lesson):
            if forgotten in (one.kind, "both"):
                store.forget(one.id)
        assert_comes_back(store, Path(name))


@settings(max_examples=300)
@given(texts, texts, st.datetimes(), st.dictionaries(texts, st.floats() | texts | st.booleans() | st.integers()))
def test_any_note_comes_back(text: str, word: str, time: Any, config: dict[str, Any]) -> None:
    shown = Evidence(trials=("trial-abcdef",), config=config)
    one = Note(
        id="lesson-abcdef", kind=Kind.LESSON, content=text, tags=(word,), context=text, time=time, evidence=shown
    )
    written = to_text(NoteFile(one))
    back = from_text(written)
    assert repr(back.note.model_dump(mode="json")) == repr(one.model_dump(mode="json"))
    assert to_text(back) == written


def test_a_file_that_a_tool_gave_crlf_is_read_as_before(store: SQLiteStore, tmp_path: Path) -> None:
    family(store, "two\nlines")
    export_notes(store, tmp_path / "a")
    for path in (tmp_path / "a").rglob("*.md"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with memory(tmp_path / "copy.db") as copy:
        import_notes(copy, tmp_path / "a")
        export_notes(copy, tmp_path / "b")
        assert {one.content for one in copy.notes()} == {"two\nlines"}


def test_a_filter_takes_along_what_its_notes_need(store: SQLiteStore, tmp_path: Path) -> None:
    task, trial, lesson = family(store)
    other = note(Kind.LESSON, "of nothing")
    store.add([other], [Link(source=lesson.id, target=other.id, type=LinkType.SIMILAR)])
    assert export_notes(store, tmp_path / "a", Filter(tasks=(task.id,), kinds=(Kind.LESSON,))) == 3
    assert {Path(name).stem for name in files(tmp_path / "a")} == {task.id, trial.id, lesson.id}
    with memory(tmp_path / "copy.db") as copy:
        import_notes(copy, tmp_path / "a")
        assert copy.links([other.id]) == []


def test_what_is_hidden_stays_hidden_after_an_import(store: SQLiteStore, tmp_path: Path) -> None:
    task, _, lesson = family(store)
    digest = note(Kind.LESSON, "in short")
    store.add([digest], [Link(source=digest.id, target=lesson.id, type=LinkType.DERIVED)])
    store.forget(lesson.id)
    export_notes(store, tmp_path / "a")
    with memory(tmp_path / "copy.db") as copy:
        import_notes(copy, tmp_path / "a")
        assert lesson.id not in {one.id for one in copy.notes()}
        assert list(copy.notes(Filter(hidden_tasks=(task.id,)))) == []


def test_what_is_here_stays_and_is_told_where_it_differs(store: SQLiteStore, tmp_path: Path) -> None:
    _, _, lesson = family(store)
    export_notes(store, tmp_path / "a")
    path = tmp_path / "a" / "lesson" / f"{lesson.id}.md"
    path.write_text(path.read_text().replace("warm start\n\n## Links", "cold start\n\n## Links"))
    assert import_notes(store, tmp_path / "a").differing == (lesson.id,)
    assert store.get(lesson.id).content == "warm start"


def test_what_was_undone_is_imported_again_and_what_was_forgotten_is_not(store: SQLiteStore, tmp_path: Path) -> None:
    task, trial, lesson = family(store)
    row = store.trials(task.id)
    export_notes(store, tmp_path / "a")
    with memory(tmp_path / "copy.db") as copy:
        import_notes(copy, tmp_path / "a")
        copy.undo()
        assert copy.count() == 0
        again = import_notes(copy, tmp_path / "a")
        assert set(again.added) == {task.id, trial.id, lesson.id}
        assert (copy.trials(task.id), again.differing, copy.check()) == (row, (), [])
        assert [len(copy.revisions(one.id)) for one in (task, trial, lesson)] == [2, 2, 2]
        copy.forget(lesson.id)
        assert import_notes(copy, tmp_path / "a").added == ()
        assert copy.count() == 2


def test_an_import_is_undone_as_one_whatever_it_holds(store: SQLiteStore, tmp_path: Path) -> None:
    _, trial, lesson = family(store)
    store.evolve([Proposal(note=lesson.id, revision=0, author=MODEL, content="reworded", recalled=True)])
    store.forget(trial.id)
    export_notes(store, tmp_path / "a")
    with memory(tmp_path / "copy.db") as copy:
        kept = note(content="was here before")
        copy.add([kept])
        import_notes(copy, tmp_path / "a")
        assert copy.get(lesson.id).author == MODEL
        assert trial.id not in {one.id for one in copy.notes()}
        assert [change.what for change in copy.journal()] == ["import a", "add 1 note"]
        copy.undo()
        assert (list(copy.notes()), copy.links([lesson.id, trial.id]), copy.check()) == ([kept], [], [])


def test_a_file_reads_well(store: SQLiteStore, tmp_path: Path) -> None:
    task, trial, lesson = family(store)
    export_notes(store, tmp_path / "a")
    shown = (tmp_path / "a" / "trial" / f"{trial.id}.md").read_text()
    links = f"- same task: [[{task.id}]]\n- same task: [[{lesson.id}]]\n"
    assert shown.endswith(f"---\n\nwarm start\n\n## Links\n\n{links}")
    assert shown.startswith(f'---\nid: {trial.id}\nkind: trial\ntask: {task.id}\nstudy: "warm start"\nkeywords: []\n')


def test_a_person_writes_a_note(store: SQLiteStore, tmp_path: Path) -> None:
    (tmp_path / "a" / "anywhere").mkdir(parents=True)
    (tmp_path / "a" / ".obsidian").mkdir()
    (tmp_path / "a" / ".obsidian" / "skip.md").write_text("no note")
    (tmp_path / "a" / "anywhere" / "lesson-mine01.md").write_text("---\nid: lesson-mine01\nkind: lesson\n---\nmine\n")
    assert import_notes(store, tmp_path / "a").added == ("lesson-mine01",)
    assert (store.get("lesson-mine01").content, store.get("lesson-mine01").author.by) == ("mine", "person")


def test_an_export_keeps_a_folder_for_itself(store: SQLiteStore, tmp_path: Path) -> None:
    _, _, lesson = family(store)
    export_notes(store, tmp_path / "a")
    assert export_notes(store, tmp_path / "a") == 3
    store.forget(lesson.id)
    with pytest.raises(ImportFault, match=rf"{lesson.id}.md is no note of this export; delete it"):
        export_notes(store, tmp_path / "a")


HEAD = "---\nid: lesson-abcdef\nkind: lesson\n"
BAD_NOTES = {
    "no front matter": ("just text", ["lesson-abcdef.md", "front matter"]),
    "not closed": (HEAD, ["lesson-abcdef.md", "front matter"]),
    "no YAML": ("---\nid: [\n---\n", ["must be YAML"]),
    "no mapping": ("---\n- a\n---\n", ["a mapping", "['a']"]),
    "an unknown key": (HEAD + "revision: 3\n---\n", ["'revision'", "take it out"]),
    "no id": ("---\nkind: lesson\n---\n", ["`id` is wrong", "got nothing"]),
    "an unknown kind": ("---\nid: lesson-abcdef\nkind: poem\n---\n", ["`kind` is wrong", "'poem'"]),
    "a changed id": ("---\nid: lesson-fedcba\nkind: lesson\n---\n", ["lesson-fedcba", "rename"]),
    "an endless reference": ("---\na: &a [*a]\n---\n", ["must not refer to itself"]),
    "a broken link": (HEAD + "---\nx\n\n## Links\n\n- similar: [[lesson-zzzzzz]]\n", ["a link", "no lesson-zzzzzz"]),
    "a link of no type": (HEAD + "---\nx\n\n## Links\n\n- friend: [[lesson-abcdef]]\n", ["- friend", "same task"]),
    "a link by nobody": (HEAD + "---\nx\n\n## Links\n\n- similar: [[lesson-abcdef]] <!-- me -->\n", ["author", "'me'"]),
    "no such task": (HEAD + "task: task-zzzzzz\n---\n", ["the task of a note", "no task-zzzzzz"]),
    "evidence from nowhere": (HEAD + "evidence: {trials: [trial-zzzzzz]}\n---\n", ["evidence", "no trial-zzzzzz"]),
    "evidence from a lesson": (
        HEAD + "evidence: {trials: [lesson-abcdef]}\n---\n",
        ["evidence must come from trials", "lesson-abcdef is a lesson"],
    ),
    "a row of no trial": (HEAD + "trial: {number: 1}\n---\n", ["`trial`", "kind trial"]),
    "too much content": (HEAD + "---\n" + "x" * 20_001, ["`content` is wrong", "20,000"]),
    "10 MB": (HEAD + "---\n" + "a line of a log\n" * 655_360, ["`content` is wrong", "20,000"]),
}


@pytest.mark.parametrize(("text", "words"), BAD_NOTES.values(), ids=BAD_NOTES)
def test_bad_notes_are_refused_by_name_and_nothing_is_written(
    store: SQLiteStore, tmp_path: Path, text: str, words: list[str]
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "lesson-good01.md").write_text("---\nid: lesson-good01\nkind: lesson\n---\ngood\n")
    (folder / "lesson-abcdef.md").write_text(text)
    with refused(store, ImportFault, "lesson-abcdef.md: ", *words):
        import_notes(store, folder)


def test_other_bad_folders(store: SQLiteStore, tmp_path: Path) -> None:
    with refused(store, ImportFault, "has none"):
        import_notes(store, tmp_path / "nowhere")
    for name in ("a", "b"):
        (tmp_path / "twice" / name).mkdir(parents=True)
        (tmp_path / "twice" / name / "lesson-abcdef.md").write_text(HEAD + "---\n")
    with refused(store, ImportFault, "one file", "lesson-abcdef.md"):
        import_notes(store, tmp_path / "twice")
    (tmp_path / "latin").mkdir()
    (tmp_path / "latin" / "lesson-abcdef.md").write_bytes(HEAD.encode() + b"---\n\xe9")
    with refused(store, ImportFault, "UTF-8", "lesson-abcdef.md"):
        import_notes(store, tmp_path / "latin")


def test_evidence_from_trials_that_the_memory_knows_to_be_recalled_is_refused(
    store: SQLiteStore, tmp_path: Path
) -> None:
    trial = note(Kind.TRIAL, "told", recalled=True)
    store.add([trial])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "lesson-abcdef.md").write_text(HEAD + f"evidence: {{trials: [{trial.id}]}}\n---\nx\n")
    with refused(store, Refused, trial.id, "recalled"):
        import_notes(store, tmp_path / "a")


def conditional(trial: optuna.Trial) -> float:
    """Every kind of range, a branch, and every end of a trial."""
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    layers = trial.suggest_int("layers", 1, 4)
    trial.suggest_categorical("opt", ["sgd", "adam", None])
    if trial.suggest_categorical("drop.out", [True, False]):
        trial.suggest_float("rate", 0.0, 0.5, step=0.1)
    trial.suggest_int("units", 8, 512 if trial.number < 3 else 1024, log=True)
    for step in range(3):
        trial.report(lr * layers / (step + 1), step)
    if trial.number == 2:
        raise optuna.TrialPruned
    if trial.number == 3:
        raise RuntimeError("out of luck")
    return float("inf") if trial.number == 4 else lr * layers


def made_study(storage: Any, name: str = "small", trials: int = 12, **options: Any) -> optuna.Study:
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=0),
        load_if_exists=True,
        **{"direction": "minimize", **options},
    )
    study.optimize(conditional, trials, catch=(RuntimeError,))
    return study


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


@contextmanager
def storage_at(url: str) -> Iterator[optuna.storages.RDBStorage]:
    storage = optuna.storages.RDBStorage(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_a_study_becomes_a_task_with_its_trials_and_lessons(store: SQLiteStore, url: str) -> None:
    with storage_at(url) as storage:
        study = made_study(storage)
        running = study.ask()
        (done,) = import_optuna(store, url)
        task = done.task
        assert task is not None
        assert (task.script, task.metric, task.direction, done.trials, done.new) == ("small", "value", MIN, 12, 12)
        space = task.space.parameters
        assert space["lr"] == Float(1e-4, 1e-1, log=True)
        assert space["layers"] == Int(1, 4)
        assert space["opt"] == Choice(("sgd", "adam", "None"))
        assert space["drop_out"] == Choice((True, False))
        assert space["rate"] == Float(0.0, 0.5, step=0.1)
        assert space["units"] == Int(8, 1024, log=True)
        rows = store.trials(task.id)
        assert [row.state for row in rows[2:5]] == ["pruned", "failed", "failed"]
        assert [(row.value, row.cause) for row in rows[3:5]] == [(None, "crash"), (None, "nan")]
        assert rows[2].value == study.trials[2].value
        assert all(("rate" in row.config) == row.config["drop_out"] for row in rows)
        assert rows[0].diagnosis
        assert rows[0].seconds > 0
        best = store.get(task.id).evidence
        assert best is not None
        assert best.best == study.best_value
        assert len(store.links([row.id for row in rows], [LinkType.NEXT_TRIAL])) == 11
        assert {one.kind for one in store.notes()} == {Kind.TASK, Kind.TRIAL, Kind.FAILURE, Kind.LESSON}
        read = Task.read(store.get(task.id))
        assert read is not None
        assert read.space == task.space
        study.tell(running, 0.1)
    (again,) = import_optuna(store, url.replace("sqlite:///", ""))
    assert (again.new, again.trials, again.task and again.task.id) == (1, 13, task.id)
    journal = store.journal(1000)
    assert import_optuna(store, url)[0].new == 0
    assert store.journal(1000) == journal
    assert store.check() == []


def test_a_study_whose_import_was_undone_is_imported_again(store: SQLiteStore, url: str) -> None:
    with storage_at(url) as storage:
        made_study(storage)
    (done,) = import_optuna(store, url)
    everything = {one.id: one.text for one in store.notes()}
    assert undone(store) == ["import small"]
    assert store.count() == 0
    (again,) = import_optuna(store, url)
    assert (again.task and again.task.id, again.new) == (done.task and done.task.id, 12)
    assert {one.id: one.text for one in store.notes()} == everything


def test_every_study_of_a_storage_or_one_by_name(store: SQLiteStore, url: str) -> None:
    with storage_at(url) as storage:
        low = made_study(storage, "low", 2)
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            low.set_metric_names(["loss"])
        made_study(storage, "high", 2, direction="maximize").set_user_attr("metric", "accuracy")
        two = optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"])
        two.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), 1)
        optuna.create_study(study_name="empty", storage=storage)
        flat = optuna.create_study(study_name="flat", storage=storage)
        flat.optimize(lambda _: 1.0, 1)
    progress: list[tuple[int, int]] = []
    found = {one.study: one for one in import_optuna(store, url, on_progress=lambda *at: progress.append(at))}
    assert {name: one.new for name, one in found.items()} == {"low": 2, "high": 2, "two": 0, "empty": 0, "flat": 0}
    tasks = {name: one.task for name, one in found.items() if one.task}
    assert {(t.metric, t.direction) for t in tasks.values()} == {("loss", MIN), ("accuracy", MAX)}
    assert "2 objectives" in found["two"].skipped
    assert "no finished trial" in found["empty"].skipped
    assert "at least one hyperparameter" in found["flat"].skipped
    assert progress[-1] == (5, 5)
    (one,) = import_optuna(store, url, "low", script="python train.py")
    assert one.task is not None
    assert (one.task.script, one.task.place, one.new) == ("python train.py", "", 2)
    with refused(store, ImportFault, "'lo' is not", "'low'"):
        import_optuna(store, url, "lo")


def test_ranges_are_merged(store: SQLiteStore, url: str) -> None:
    fixed, odd = optuna.distributions.FloatDistribution(1, 1), optuna.distributions.CategoricalDistribution([1, True])
    with storage_at(url) as storage:
        study = optuna.create_study(study_name="s", storage=storage)
        for low, high in ((1, 9), (5, 99)):
            ints = optuna.distributions.IntDistribution(low, high, step=2)
            log = optuna.distributions.FloatDistribution(low, high, log=True)
            given: dict[str, Any] = {"n": ints, "f": log, "one": fixed, "odd": odd}
            values = {"n": low, "f": float(low), "one": 1.0, "odd": True}
            study.add_trial(optuna.trial.create_trial(params=values, distributions=given, value=1.0))
        study.enqueue_trial({"f": 0.5})
        with pytest.warns(UserWarning, match="out of range"):
            study.optimize(lambda trial: trial.suggest_float("f", 1, 99, log=True), 1)
    (done,) = import_optuna(store, url)
    assert done.task is not None
    assert done.task.space.parameters == {
        "f": Float(0.5, 99.0, log=True),
        "n": Int(1, 99),
        "odd": Choice((1, True)),
        "one": Choice((1.0,)),
    }


def test_a_journal_is_a_storage_too(store: SQLiteStore, tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    made_study(optuna.storages.JournalStorage(backend), trials=3)
    before = path.read_bytes()
    assert [one.new for one in import_optuna(store, str(path))] == [3]
    assert [one.new for one in import_optuna(store, str(path))] == [0]
    assert path.read_bytes() == before


def test_no_storage_is_refused_and_none_is_made(store: SQLiteStore, tmp_path: Path) -> None:
    other, text, lines = tmp_path / "other.db", tmp_path / "notes.txt", tmp_path / "lines.jsonl"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = other.read_bytes()
    text.write_text("not a journal\nat all\n")
    lines.write_text('{"a": 1}\n{"b": 2}\n')
    missing = tmp_path / "missing.db"
    table = {
        f"sqlite:///{missing}": ["missing.db is no file"],
        str(missing): ["missing.db", "cannot be read"],
        f"sqlite:///{other}": ["other.db", "holds no Optuna study"],
        str(other): ["other.db", "holds no Optuna study"],
        str(text): ["a database or a journal"],
        str(lines): ["a database or a journal"],
        "nonsense://x": ["nonsense"],
        "://": ["like sqlite:///"],
    }
    for given_url, words in table.items():
        with refused(store, ImportFault, *words):
            import_optuna(store, given_url)
    assert not missing.exists()
    assert other.read_bytes() == before


TABLE = """lr,batch,opt,aug,note it,loss
0.001,16,adam,true,a b,0.5
0.01,32,sgd,false,,0.4
1.0,64,sgd,true,c,
0.1,16,adam,True,a b,nan
"""


def test_a_table_becomes_a_task(store: SQLiteStore, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(TABLE)
    done = import_csv(store, path, "loss", MIN, "python train.py")
    assert done.task is not None
    assert (done.study, done.trials, done.new, done.task.script) == ("runs", 4, 4, "python train.py")
    assert done.task.space.parameters == {
        "lr": Float(0.001, 1.0, log=True),
        "batch": Int(16, 64),
        "opt": Choice(("adam", "sgd")),
        "aug": Choice((False, True)),
        "note_it": Choice(("a b", "c")),
    }
    rows = store.trials(done.task.id)
    assert rows[0].config == {"lr": 0.001, "batch": 16, "opt": "adam", "aug": True, "note_it": "a b"}
    assert "note_it" not in rows[1].config
    assert [(row.value, row.cause) for row in rows] == [(0.5, ""), (0.4, ""), (None, "no metric"), (None, "nan")]
    assert store.check() == []


def test_a_table_that_has_grown_brings_its_new_rows_wherever_they_stand(store: SQLiteStore, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("lr,loss\n1,0.5\n2,0.4\n2,0.4\n")
    first = import_csv(store, path, "loss", MIN)
    assert first.task is not None
    journal = store.journal(1000)
    assert import_csv(store, path, "loss", MIN).new == 0
    assert store.journal(1000) == journal
    store.forget(store.trials(first.task.id)[0].id)
    # Newest first, a text among numbers by now, and one more of the same; the forgotten one stays forgotten.
    path.write_text("lr,loss\nauto,0.3\n2.0,0.4\n2,0.4\n2,0.4\n1,0.5\n")
    again = import_csv(store, path, "loss", MIN)
    assert (again.new, again.trials, again.task and again.task.id) == (2, 5, first.task.id)
    assert [row.number for row in store.trials(first.task.id)] == [1, 2, 3, 4]


def undone(store: SQLiteStore) -> list[str]:
    """Take everything back; which changes that was."""
    return [change.what for change in iter(store.undo, None)]


def test_a_table_whose_import_was_undone_is_imported_again(store: SQLiteStore, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("lr,loss\n" + "".join(f"{lr},{lr + lr % 2}\n" for lr in range(1, 13)) + "13,\n")
    first = import_csv(store, path, "loss", MIN)
    assert first.task is not None
    everything, rows = {one.id: one.text for one in store.notes()}, store.trials(first.task.id)
    assert {one.kind for one in store.notes()} == {Kind.TASK, Kind.TRIAL, Kind.LESSON, Kind.FAILURE}
    assert import_csv(store, path, "loss", MIN).new == 0
    with path.open("a") as file:
        file.write("14,15\n")
    assert import_csv(store, path, "loss", MIN).new == 1
    store.undo()  # the last import alone
    assert {one.id: one.text for one in store.notes()} == everything
    assert undone(store) == ["import runs.csv"]
    path.write_text(path.read_text().removesuffix("14,15\n"))
    assert (store.count(), store.trials(first.task.id)) == (0, [])
    again = import_csv(store, path, "loss", MIN)
    assert (again.new, again.trials) == (13, 13)
    assert {one.id: one.text for one in store.notes()} == everything
    assert [row.id for row in store.trials(first.task.id)] == [row.id for row in rows]
    assert store.check() == []


@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("a;loss\n1,5;2\n3;4,5\n", {"a": Float(1.5, 3.0)}),
        ("\ufeffa\tb\tloss\r\n1\tx y\t2\r\n\r\n300\tz\t3\r\n", {"a": Int(1, 300, log=True), "b": Choice(("x y", "z"))}),
        ('a|b|loss\n-1|"p|q"|2\n5|r|3\n', {"a": Int(-1, 5), "b": Choice(("p|q", "r"))}),
        ("a,b,loss\n7,NA,1\n7,x,2\n", {"a": Choice((7,)), "b": Choice(("x",))}),
        ("a,b,loss\nauto,,1\n0.1,,2\n", {"a": Choice(("auto", "0.1"))}),
        ("a,loss\n1e-3,1\n.5,2\n", {"a": Float(0.001, 0.5, log=True)}),
    ],
)
def test_columns_are_guessed(store: SQLiteStore, tmp_path: Path, text: str, space: dict[str, Any]) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    done = import_csv(store, path, "loss", MIN)
    assert done.task is not None
    assert done.task.space.parameters == space
    assert all(done.task.space[n].contains(v) for row in store.trials(done.task.id) for n, v in row.config.items())


MANY = "run,loss\n" + "".join(f"r{i},1\n" for i in range(60))
BAD_TABLES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "empty": ("", {}, ["at least one row"]),
    "a header alone": ("a,loss\n", {}, ["at least one row"]),
    "no metric": ("a,los\n1,2\n", {}, ["'loss' is not", "'los'"]),
    "a long row": ("a,loss\n1,2\n1,2,3\n", {}, ["line 3", "2 cells", "has 3"]),
    "a short row": ("a,loss\n\n1\n", {}, ["line 3", "has 1"]),
    "a name twice": ("a,a,loss\n1,2,3\n", {}, ["'a' is there twice"]),
    "a name missing": ("a,,loss\n1,2,3\n", {}, ["column 2 has none"]),
    "a metric that is text": ("a,loss\n1,2\n2,low\n", {}, ["line 3, column 'loss'", "'low'"]),
    "an endless number": ("a,loss\n1e999,2\n2,3\n", {}, ["line 2, column 'a'", "finite"]),
    "a name of each run": (MANY, {}, ["line 2, column 'run'", "60", "'r0'"]),
    "the metric alone": ("loss\n1\n", {}, ["besides the metric"]),
    "an unknown column": ("lr,loss\n1,2\n", {"columns": ["lrr"]}, ["'lrr' is not", "'lr'"]),
    "the metric twice": ("lr,loss\n1,2\n", {"columns": ["lr", "loss"]}, ["named as both"]),
}


@pytest.mark.parametrize(("text", "options", "words"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables_are_refused_and_nothing_is_written(
    store: SQLiteStore, tmp_path: Path, text: str, options: dict[str, Any], words: list[str]
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with refused(store, ImportFault, "runs.csv", *words):
        import_csv(store, path, "loss", MIN, "train", **options)


def test_columns_can_be_named(store: SQLiteStore, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("run,lr,loss\nr1,1,2\nr2,2,3\n")
    done = import_csv(store, path, "loss", MAX, columns=["lr"])
    assert done.task is not None
    assert list(done.task.space) == ["lr"]
    path.write_bytes("lr,loss\n1,é\n".encode("latin-1"))
    with refused(store, ImportFault, "UTF-8", "runs.csv"):
        import_csv(store, path, "loss", MAX)


def test_a_cell_of_any_length_is_kept_whole_and_a_forgotten_one_is_known_again(
    store: SQLiteStore, tmp_path: Path
) -> None:
    path, long = tmp_path / "runs.csv", "x" * 60_000
    path.write_text(f"prompt,loss\n{long},1\nshort,2\n")
    done = import_csv(store, path, "loss", MIN)
    assert done.task is not None
    rows = store.trials(done.task.id)
    assert [row.config["prompt"] for row in rows] == [long, "short"]
    store.forget(rows[0].id)
    assert import_csv(store, path, "loss", MIN).new == 0


@given(st.lists(st.text(min_size=1)))
def test_identifiers(names: list[str]) -> None:
    found = identifiers(names)
    assert found.keys() == set(names)
    assert all(name.isidentifier() for name in found.values())
    assert len(set(found.values())) == len(found)


def test_a_wide_task_comes_back_whole(store: SQLiteStore, tmp_path: Path) -> None:
    space = Space({"path": Choice(tuple(f"/data/collections/of/pictures/part-{n:05d}.tar" for n in range(900)))})
    task = Task(script="train", metric="loss", direction=MIN, space=space)
    store.add([task.note("s")])
    assert_comes_back(store, tmp_path / "notes")
    with memory(tmp_path / "other.db") as other:
        import_notes(other, tmp_path / "notes" / "a")
        assert Task.read(other.get(task.id)) == task


def learnt(store: SQLiteStore, folder: Path) -> dict[Kind, Note]:
    """A task that code has learnt of from a table, with a lesson and a failure."""
    (folder / "runs.csv").write_text("lr,loss\n" + "".join(f"0.{n},{n / 7}\n" for n in range(1, 9)) + "0.9,nan\n")
    done = import_csv(store, folder / "runs.csv", "loss", MIN)
    assert done.task is not None
    return {note.kind: note for note in store.notes() if note.kind is not Kind.TRIAL}


def test_what_code_has_learnt_comes_back(store: SQLiteStore, tmp_path: Path) -> None:
    assert [holds(store, made) for made in learnt(store, tmp_path).values()] == [True] * 3
    assert_comes_back(store, tmp_path / "notes")


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (Kind.LESSON, "effect: -", "effect: "),
        (Kind.TASK, "best: 0.1", "best: -9.1"),
        (Kind.FAILURE, "seconds: 0.0", "seconds: 7.0"),
    ],
)
def test_evidence_that_somebody_has_edited_is_computed_anew(
    store: SQLiteStore, tmp_path: Path, kind: Kind, old: str, new: str
) -> None:
    told = learnt(store, tmp_path)[kind]
    export_notes(store, tmp_path / "notes")
    path = tmp_path / "notes" / kind / f"{told.id}.md"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new).replace("went along", "goes along"))
    with memory(tmp_path / "other.db") as other:
        assert import_notes(other, tmp_path / "notes").corrected == (told.id,)
        now = other.get(told.id)
        assert (now.evidence, now.content, now.author) == (told.evidence, told.content, CODE)
        assert holds(other, other.get(told.id, 0)) is False
        assert [change.what for change in other.journal()] == ["import notes"]


def test_evidence_that_code_cannot_compute_is_taken_as_it_is(store: SQLiteStore, tmp_path: Path) -> None:
    _, trial, lesson = family(store)
    assert holds(store, lesson) is None
    made = learnt(store, tmp_path)
    for row in store.trials(made[Kind.TASK].id)[:1]:
        store.forget(row.id)
    assert holds(store, made[Kind.LESSON]) is None
    assert holds(store, trial) is None


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    app = typer.Typer()
    add_to(app)

    def run(*args: str, json_too: bool = True) -> Any:
        options = ["--memory", str(tmp_path / "m.db"), *(["--json"] if json_too else [])]
        done = CliRunner().invoke(app, [*args, *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if json_too else done.stdout

    return run


def test_commands(command: Callable[..., Any], url: str, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(TABLE)
    table = command("import-csv", str(tmp_path / "runs.csv"), "--metric", "loss", "--direction", "minimize")
    assert (table["study"], table["new"], table["skipped"]) == ("runs", 4, "")
    again = ("import-csv", str(tmp_path / "runs.csv"), "--metric", "loss", "--direction", "minimize")
    assert "0 of 4 trials are new" in command(*again, json_too=False)
    with storage_at(url) as storage:
        made_study(storage, trials=2)
    assert [one["new"] for one in command("import-optuna", url, "--study", "small")] == [2]
    assert "small: 0 of 2 trials are new" in command("import-optuna", url, json_too=False)
    written = command("export", str(tmp_path / "notes"))
    assert written["files"] == len(files(tmp_path / "notes"))
    assert command("import", str(tmp_path / "notes")) == {
        "files": written["files"],
        "added": [],
        "differing": [],
        "corrected": [],
    }
    assert "0 of" in command("import", str(tmp_path / "notes"), json_too=False)


def test_facts_of_the_data_make_an_import_the_task_of_studies_that_state_them(
    command: Callable[..., Any], url: str, tmp_path: Path
) -> None:
    (tmp_path / "runs.csv").write_text(TABLE)
    with storage_at(url) as storage:
        made_study(storage, trials=2)
    table = ("import-csv", str(tmp_path / "runs.csv"), "--metric", "loss", "--direction", "minimize")
    plain = command(*table)["task"]
    told = command(*table, "--data", "rows=1797, columns=64")["task"]
    command("import-optuna", url, "--data", "rows=1e6")
    read = {note.id: Task.read(note) for note in SQLiteStore(tmp_path / "m.db").notes(Filter(kinds=(Kind.TASK,)))}
    assert plain != told
    facts = [task.features for task in read.values() if task is not None]
    assert facts == [{}, {"rows": 1797.0, "columns": 64.0}, {"rows": 1e6}]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ("rows", "--data is NAME=VALUE between commas, but got 'rows'"),
        ("=5", "--data is NAME=VALUE between commas, but got '=5'"),
        ("rows=5,rows=6", "--data names 'rows' twice"),
        ("rows=many", "`data.rows`"),
    ],
)
def test_facts_that_are_no_numbers_are_refused(facts: str, said: str, command: Callable[..., Any], url: str) -> None:
    with pytest.raises(InputError, match=said):
        command("import-optuna", url, "--data", facts)


def test_an_import_that_writes_nothing_leaves_no_new_memory_and_an_old_one_as_it_is(tmp_path: Path) -> None:
    app, place, empty = typer.Typer(), tmp_path / "m.db", tmp_path / "empty"
    add_to(app)
    empty.mkdir()
    (tmp_path / "runs.csv").write_text("lr,loss\n1,many\n")
    table = ("import-csv", str(tmp_path / "runs.csv"), "--metric", "loss", "--direction", "minimize")
    for args in (("import", str(empty)), ("import-optuna", str(tmp_path / "none.db")), table):
        done = CliRunner().invoke(app, [*args, "--memory", str(place)])
        assert isinstance(done.exception, ImportFault)
        assert list(tmp_path.glob("m.db*")) == []
    SQLiteStore(place).close()
    assert CliRunner().invoke(app, ["import", str(empty), "--memory", str(place)]).exit_code == 1
    assert place.exists()


@pytest.mark.parametrize("name", ["export", "import", "import-optuna", "import-csv"])
def test_help_has_an_example(name: str) -> None:
    app = typer.Typer()
    add_to(app)
    shown = " ".join(CliRunner().invoke(app, [name, "--help"]).output.split())
    assert "Example: luthier memory" in shown


def test_faults_are_of_the_family_that_the_command_line_explains() -> None:
    from luthier.errors import explain

    assert issubclass(ImportFault, MemoryFault)
    assert explain(ImportFault("why")) == "why"
