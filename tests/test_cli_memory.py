"""`luthier memory` as a user meets it. Errors are one line, looking makes no file, and a note's text is only text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from luthier import cli
from luthier.doctor import Check, _embedder
from luthier.graphs.evolving import evolve
from luthier.memory.note import Author, Evidence, Kind, Link, LinkType, Note, Proposal
from luthier.memory.retrieval import embed_missing
from luthier.memory.sqlite_store import SQLiteStore
from luthier.memory_graph import graph_of
from luthier.models import embedder as embedders
from luthier.models.call_log import CallLog
from luthier.models.caller import Caller
from luthier.models.errors import ModelMissing
from luthier.models.fake import ScriptedChat
from luthier.models.fake_embedder import HashEmbedder

OPEN_EMBEDDER = embedders.open_embedder
COMMANDS = ("search", "show", "list", "trials", "forget", "undo", "check", "graph", "evolve")
EXCHANGE = ("import", "export", "import-optuna", "import-csv")
NASTY = "</script><script>document.title='taken over'</script>\x1b[31m <b>bold</b> [red]red[/]"
TASK, TRIAL, OTHER = "task-0000aa", "trial-0000aa", "trial-0000bb"
LESSON, FAILURE, TALK = "lesson-3f9a1c8d2e11", "failure-0000aa", "conversation-0000aa"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A memory with a note of each kind, a revision by a model, links and evidence."""
    place = tmp_path / "memory.db"
    store = SQLiteStore(place)
    effect = Evidence(
        trials=(TRIAL, OTHER), metric="loss", effect=0.12, low=0.03, high=0.2, config={"from": 1, "to": 8}
    )
    notes = [
        Note(id=TASK, kind=Kind.TASK, content="tune: loss of digits.py"),
        Note(id=TRIAL, kind=Kind.TRIAL, content="trial 0 of digits", task=TASK, study="digits"),
        Note(id=OTHER, kind=Kind.TRIAL, content="trial 1 of digits", task=TASK, study="digits"),
        Note(id=LESSON, kind=Kind.LESSON, content="batch norm helps", task=TASK, tags=("effect",), evidence=effect),
        Note(id=FAILURE, kind=Kind.FAILURE, content=f"out of memory\n{NASTY}", task=TASK, keywords=("width",)),
        Note(id=TALK, kind=Kind.CONVERSATION, content=f"{NASTY} said the user"),
    ]
    ties = [
        Link(source=TALK, target=LESSON, type=LinkType.DERIVED),
        Link(source=LESSON, target=FAILURE, type=LinkType.REFUTES),
    ]
    store.add(notes, ties)
    model = Author(by="model", name="qwen", prompt="ab12")
    store.evolve(
        [Proposal(note=LESSON, revision=0, author=model, content="batch norm helps deep nets", tags=("nets",))]
    )
    store.close()
    return place


@pytest.fixture
def run(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command on that memory as the entry point does; (exit code, standard output, standard error)."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(embedders, "open_embedder", _not_here)

    def command(*args: str, memory: Path | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["luthier", "memory", *args, "--memory", str(memory or path)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def _not_here(*args: Any, **kwargs: Any) -> HashEmbedder:
    raise ModelMissing("minilm-l6 is not here; fetch it with: luthier models pull minilm-l6")


@pytest.mark.parametrize("name", [*COMMANDS, *EXCHANGE])
def test_every_command_has_an_example_and_the_same_options(name: str) -> None:
    shown = CliRunner().invoke(cli.app, ["memory", name, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
    assert f"Example: luthier memory {name}" in plain
    assert {"--memory", "--json"} <= set(plain.split())


SHOWN = [
    (("search", "BATCH norm"), [LESSON, "1.00", "holds the words 'batch norm'", f"same task as {LESSON}"]),
    (("search", "batch", "--kind", "failure"), ["no note of", "'batch'"]),
    (("search", "memory", "--task", TASK), [FAILURE]),
    (("show", LESSON), ["revision 1 of 0 to 1", "model qwen (prompt ab12)", "+batch norm helps deep nets"]),
    (
        ("show", LESSON),
        ["-batch norm helps", "-tags: effect", "0.12 [0.03, 0.2]", f"2: {TRIAL}, {OTHER}", "from=1 to=8"],
    ),
    (("show", LESSON), [f"from  derived  {TALK}", f"to    refutes  {FAILURE}", "out of memory"]),
    (("show", LESSON), ["evidence, which code cannot check", "runs on fresh seeds"]),
    (("show", LESSON, "--revision", "0"), ["revision 0 of 0 to 1", "effect"]),
    (("list",), [TASK, TRIAL, OTHER, LESSON, FAILURE, TALK, "batch norm helps deep nets"]),
    (("check",), ["whole", "6 notes"]),
    (("forget", LESSON), [f"forgot {LESSON}: batch norm helps deep nets", "undo"]),
    (("undo",), ["undone: change 2", f"evolve {LESSON}", "model qwen"]),
    (("graph",), ["2 trial", "1 lesson", "4 same task", "1 refutes", "with the most links"]),
]


@pytest.mark.parametrize(("command", "words"), SHOWN)
def test_what_people_read(run: Callable[..., Any], command: tuple[str, ...], words: list[str]) -> None:
    code, out, _ = run(*command)
    assert code == 0
    assert [word for word in words if word not in out] == []
    assert "\x1b[31m" not in out


def test_filters_of_a_list(run: Callable[..., Any]) -> None:
    def listed(*args: str) -> list[str]:
        return [one["id"] for one in json.loads(run("list", "--json", *args)[1])]

    assert listed("--kind", "trial") == [TRIAL, OTHER]
    assert listed("--task", TASK) == [TASK, TRIAL, OTHER, LESSON, FAILURE]
    assert listed("--task", TASK, "--kind", "lesson") == [LESSON]


def test_a_search_keeps_to_a_budget_of_tokens(run: Callable[..., Any]) -> None:
    def found(*args: str) -> list[str]:
        return [one["note"]["id"] for one in json.loads(run("search", "batch", "--json", *args)[1])]

    assert found() == [LESSON, TASK]
    assert found("--tokens", "12") == [LESSON]
    assert "goes with 'batch' in 1 tokens" in run("search", "batch", "--tokens", "1")[1]
    assert run("search", "batch", "--tokens", "0")[0] == 2


def test_programs_get_json(run: Callable[..., Any]) -> None:
    found = json.loads(run("search", "batch", "--json", "-k", "1")[1])
    assert [(one["note"]["id"], one["score"], one["why"]) for one in found] == [(LESSON, 1.0, "holds the word 'batch'")]
    shown = json.loads(run("show", LESSON, "--json", "--revision", "0")[1])
    assert (shown["note"]["content"], shown["forgotten"], len(shown["revisions"])) == ("batch norm helps", False, 2)
    assert [link["type"] for link in shown["links"]] == ["derived", "refutes"]
    graph = json.loads(run("graph", "--json")[1])
    assert (len(graph["notes"]), len(graph["links"]), graph["left_out"]) == (6, 6, {})
    assert json.loads(run("check", "--json")[1]) == {"faults": [], "notes": 6}
    assert json.loads(run("forget", LESSON, "--json")[1]) == {"forgotten": LESSON, "was_forgotten": False}
    assert json.loads(run("show", LESSON, "--json")[1])["forgotten"] is True
    assert json.loads(run("undo", "--json")[1])["undone"]["what"] == f"forget {LESSON}"


def test_what_is_forgotten_is_in_no_search_until_it_is_undone(run: Callable[..., Any]) -> None:
    run("forget", LESSON)
    assert LESSON not in run("search", "batch")[1]
    assert "forgotten" in run("show", LESSON)[1]
    assert "forgotten already" in run("forget", LESSON)[1]
    assert f"'forget {LESSON}', by person" in run("undo")[1]
    assert LESSON in run("search", "batch")[1]
    for _ in range(2):
        run("undo")
    assert run("undo")[1] == "nothing is left to undo\n"
    assert "is empty; luthier tune fills it" in run("list")[1]


def test_a_search_without_the_embedding_model_says_so_in_one_line(run: Callable[..., Any]) -> None:
    code, out, err = run("search", "batch", "--json")
    assert code == 0
    assert json.loads(out)
    assert err.count("\n") == 1
    assert "words alone" in err
    assert "luthier models pull" in err


def test_a_search_with_the_embedding_model_embeds_what_is_new(
    run: Callable[..., Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = HashEmbedder()
    monkeypatch.setattr(embedders, "open_embedder", lambda *_: embedder)
    code, out, err = run("search", "batch norm helps deep nets", "--kind", "lesson")
    assert (code, err) == (0, "")
    assert "alike (" in out
    store = SQLiteStore(path)
    assert embed_missing(store, embedder) == 0
    store.close()


def test_the_environment_names_another_embedder_which_embeds_anew(
    run: Callable[..., Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {None: HashEmbedder(), "ollama:other": HashEmbedder(64)}
    monkeypatch.setattr(embedders, "open_embedder", known.get)
    run("search", "batch")
    monkeypatch.setenv("LUTHIER_EMBEDDER", " ollama:other ")
    code, out, err = run("search", "batch norm helps deep nets", "--kind", "lesson")
    assert (code, err, "alike (" in out) == (0, "", True)
    store = SQLiteStore(path)
    assert [embed_missing(store, embedder) for embedder in known.values()] == [0, 0]
    store.close()


def test_a_wrong_name_in_the_environment_is_one_message_and_a_server_that_is_down_is_not(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedders, "open_embedder", OPEN_EMBEDDER)
    monkeypatch.setenv("LUTHIER_EMBEDDER", "olama:other")
    for command in (("search", "batch"), ("evolve", "--model", "none")):
        code, out, err = run(*command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("error: LUTHIER_EMBEDDER must name an embedder: ")
        assert "did you mean 'ollama'?" in err
    assert _embedder() == Check("text embedder", False, "olama:other, by LUTHIER_EMBEDDER", err[7:-1])
    monkeypatch.setenv("LUTHIER_EMBEDDER", "ollama:other")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    code, out, err = run("search", "batch")
    assert (code, LESSON in out, "words alone" in err) == (0, True, True)
    assert (_embedder().ok, _embedder().found) == (None, "ollama:other, by LUTHIER_EMBEDDER")
    monkeypatch.setenv("LUTHIER_EMBEDDER", "none")
    assert run("search", "batch")[2] == ""
    assert _embedder().ok


WRONG = [
    (("show", "lesson-3f9a1c8d2e1"), [f"did you mean '{LESSON}'"]),
    (("forget", "qqq"), ["'qqq'", "luthier memory list"]),
    (("show", LESSON, "--revision", "7"), ["7", "0 to 1"]),
    (("list", "--kind", "leson"), ["trial, task, lesson, failure or conversation", "'leson'", "did you mean 'lesson'"]),
    (("search", "x", "--kind", "?"), ["a kind is"]),
    (("search", "trial 1 of digits", "--kind", "trial"), ["trials are rows", "luthier memory trials TASK"]),
    (("search", "x", "--task", LESSON), ["is a lesson", "--kind task"]),
    (("list", "--task", "task-0000ab"), [f"did you mean '{TASK}'"]),
    (("graph", "--html", "no/such/folder/g.html"), ["no/such/folder"]),
]


@pytest.mark.parametrize(("command", "words"), WRONG)
def test_bad_input_is_one_message_and_exit_code_two(
    run: Callable[..., Any], command: tuple[str, ...], words: list[str]
) -> None:
    code, _, err = run(*command)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, len(errors)) == (2, 1), err
    assert [word for word in words if word not in errors[0]] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_looking_for_a_memory_that_is_not_there_makes_none(run: Callable[..., Any], name: str, tmp_path: Path) -> None:
    place = tmp_path / "new" / "memory.db"
    args = [name, LESSON] if name in ("search", "show", "trials", "forget") else [name]
    code, out, err = run(*args, memory=place)
    assert (code, out, err) == (2, "", f"error: no memory yet at {place}; luthier tune makes one\n")
    assert not place.parent.exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_of_something_else_is_refused_and_stays(run: Callable[..., Any], name: str, tmp_path: Path) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("My diary. " * 500)
    args = [name, LESSON] if name in ("search", "show", "trials", "forget") else [name]
    code, _, err = run(*args, memory=place)
    assert code == 2
    assert err.startswith(f"error: {place} must be")
    assert place.read_text() == "My diary. " * 500


def test_check_finds_what_is_wrong(run: Callable[..., Any], path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM words")
    connection.commit()
    connection.close()
    code, out, _ = run("check")
    assert code == 1
    assert f"{LESSON} is missing from the full-text index" in out
    code, out, _ = run("check", "--json")
    assert (code, len(json.loads(out)["faults"])) == (1, 4)


def evolved_elsewhere(path: Path, folder: Path) -> Path:
    """The call log of a model that read the notes of a copy of the memory: what `replay:` answers from."""
    copy, log = folder / "copy.db", folder / "calls.jsonl"
    shutil.copy(path, copy)
    said = {"keywords": ["normalisation"], "tags": [], "context": "What batch statistics do."}
    store = SQLiteStore(copy)
    evolve(store, Caller(ScriptedChat.of([said] * 3), name="scripted", log=CallLog(log)), None)
    store.close()
    return log


def test_evolve_replays_goes_on_where_it_stopped_and_is_undone(
    run: Callable[..., Any], path: Path, tmp_path: Path
) -> None:
    model = ("--model", f"replay:{evolved_elsewhere(path, tmp_path)}")
    code, out, err = run("evolve", *model, "-k", "2", "--json")
    told = json.loads(out)
    assert (code, told["read"], told["changed"], told["failed"]) == (0, 2, 2, 0)
    assert "searching by words alone" in err
    code, out, _ = run("evolve", *model)
    assert (code, f"{model[1]} read 1 note in" in out, "new words for 1, 0 links" in out) == (0, True, True)
    assert "has read every note already" in run("evolve", *model)[1]
    shown = run("show", LESSON)[1]
    assert "normalisation" in shown
    assert "+batch norm helps deep nets" in shown  # what was written before is still there
    for _ in range(3):
        assert "by model replay:" in run("undo")[1]
    assert "normalisation" not in json.loads(run("show", LESSON, "--json")[1])["note"]["keywords"]
    assert (tmp_path / "memory-calls.jsonl").exists()


def test_evolve_with_a_model_that_says_nothing_of_these_notes(
    run: Callable[..., Any], path: Path, tmp_path: Path
) -> None:
    log = evolved_elsewhere(path, tmp_path)
    log.write_text(
        log.read_text().replace("batch norm", "layer norm").replace("memory", "disk").replace("said", "told")
    )
    before = run("list", "--json")[1]
    code, _, err = run("evolve", "--model", f"replay:{log}")
    assert code == 0
    assert "failed at 3 of the notes, which stay as they were" in err
    assert err.count("failed at") == 1
    assert run("list", "--json")[1] == before


def test_evolve_without_a_model_links_by_code_and_a_wrong_model_is_one_line(run: Callable[..., Any]) -> None:
    assert run("evolve", "--model", "none")[:2] == (0, "0 new links between notes that are alike\n")
    assert json.loads(run("evolve", "--model", "none", "--json")[1]) == {"model": "none", "links": 0}
    code, _, err = run("evolve", "--model", "olama:qwen")
    assert (code, "did you mean 'ollama'?" in err) == (2, True)
    assert run("evolve", "--minutes", "-1")[0] == 2


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "crowd.db")
    trials = [Note(id=f"trial-{n:06d}", kind=Kind.TRIAL, content=f"trial {n}") for n in range(30)]
    lessons = [Note(id=f"lesson-{n:06d}", kind=Kind.LESSON, content=f"lesson {n}") for n in range(10)]
    ties = [Link(source=t.id, target=lessons[0].id, type=LinkType.SIMILAR) for t in trials]
    store.add([*lessons, *trials], ties)
    yield store
    store.close()


def test_a_picture_of_too_much_says_what_it_leaves_out(crowd: SQLiteStore) -> None:
    graph = graph_of(crowd, most=15)
    assert [note.kind for note in graph.notes].count(Kind.LESSON) == 10
    assert len(graph.links) == 5
    assert graph.missing() == "Left out beyond 15 notes: 25 of kind trial."
    assert graph.missing() in graph.lines()
    fewer = graph_of(crowd, most=5)
    assert fewer.missing() == "Left out beyond 5 notes: 5 of kind lesson, 30 of kind trial."
    assert graph_of(crowd).missing() == ""


def test_the_same_memory_gives_the_same_picture(crowd: SQLiteStore) -> None:
    from luthier.memory_picture import draw

    assert draw(graph_of(crowd)).to_dict() == draw(graph_of(crowd)).to_dict()


def test_an_empty_memory_has_a_picture_too(tmp_path: Path, run: Callable[..., Any]) -> None:
    SQLiteStore(tmp_path / "empty.db").close()
    code, out, _ = run("graph", "--html", str(tmp_path / "g.html"), memory=tmp_path / "empty.db")
    assert code == 0
    assert "is empty; luthier tune fills it" in out
    assert "is empty" in run("search", "x", memory=tmp_path / "empty.db")[1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_the_picture_opens_without_a_network_and_runs_no_text_of_a_note(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    place = tmp_path / "memory.html"
    code, out, _ = run("graph", "--html", str(place))
    assert code == 0
    assert f"picture: {place}" in out
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000"]
    blocked = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom"]
    done = subprocess.run(
        ["chromium", *options, *blocked, place.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    drawn = done.stdout
    assert "Luthier: memory" in drawn
    assert len(re.findall(r'class="legendtext"', drawn)) >= 8  # five kinds, three types
    assert "<title>taken over" not in drawn
