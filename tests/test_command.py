"""The runner of commands: words, placeholders, files, environment."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from luthier.trials import config_file, template
from luthier.trials.command import CommandRunner
from luthier.trials.errors import SpecError
from luthier.trials.records import Cause, State, Value

values = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
)
configs = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True), values, max_size=6)

PRINT = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}))
print('{"luthier": 1, "m": 1}')
"""


def runner(folder: Path, run: str = "python show.py", **options: Any) -> CommandRunner:
    (folder / "show.py").write_text(PRINT)
    return CommandRunner(run, cwd=folder, metric="m", **options)


def seen(runner: CommandRunner, folder: Path, config: dict[str, Value]) -> dict[str, Any]:
    """What the script saw."""
    outcome = runner.run(config, folder / "0")
    assert outcome.state is State.COMPLETE, outcome.failure
    shown: dict[str, Any] = json.loads((folder / "0" / "log.txt").read_text().splitlines()[0])
    return shown


@pytest.mark.parametrize(
    ("run", "config", "words"),
    [
        ("t --lr {lr}", {"lr": 1e-5}, ["t", "--lr", "1e-05"]),
        ("t --lr={lr} -u {units}", {"lr": 0.1, "units": 64}, ["t", "--lr=0.1", "-u", "64"]),
        ("t lr={lr} model.units={units}", {"units": 3}, ["t", "model.units=3"]),
        ("t --momentum {momentum} --lr {lr}", {"lr": 0.1}, ["t", "--lr", "0.1"]),
        ("t --momentum={momentum} --lr {lr}", {"lr": 0.1}, ["t", "--lr", "0.1"]),
        ("t {momentum} out.txt", {}, ["t", "out.txt"]),
        ("t --verbose --lr {lr}", {}, ["t", "--verbose"]),
        ("t '{a b}' {{x}} {\"k\":1}", {}, ["t", "{a b}", "{x}", "{k:1}"]),
        ("t --name {name}", {"name": "two words; $(rm) 'q'"}, ["t", "--name", "two words; $(rm) 'q'"]),
        ("t {nesterov:--nesterov}", {"nesterov": True}, ["t", "--nesterov"]),
        ("t {nesterov:--nesterov}", {"nesterov": False}, ["t"]),
        ("t {nesterov:--nesterov|--no-nesterov}", {"nesterov": False}, ["t", "--no-nesterov"]),
        ("t {nesterov:--nesterov|--no-nesterov}", {}, ["t"]),
        ("t --flag {flag}", {"flag": True}, ["t", "--flag", "True"]),
    ],
)
def test_placeholders(run: str, config: dict[str, Value], words: list[str]) -> None:
    assert template.fill(template.split(run), config) == words


@given(values)
def test_a_value_is_one_word_and_reads_back(value: Value) -> None:
    (word,) = template.fill(["{x}"], {"x": value})
    assert word == value if isinstance(value, str) else type(value)(eval(word, {"inf": float("inf")})) == value


@given(configs, st.sampled_from(["c.json", "c.yaml", "c.toml"]))
@example({"a": "\x85"}, "c.yaml")
def test_a_configuration_file_reads_back(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Value], name: str
) -> None:
    path = tmp_path_factory.mktemp("config") / name
    config_file.write(path, config)
    read: Any = {"c.json": json.loads, "c.yaml": yaml.safe_load, "c.toml": tomllib.loads}[name](
        path.read_text(encoding="utf-8")
    )
    assert read == config
    assert [type(v) for v in read.values()] == [type(v) for v in config.values()]


def test_what_a_script_sees(tmp_path: Path) -> None:
    env = {"LR": "{lr}", "MOMENTUM": "{momentum}", "PLAIN": "yes"}
    shown = seen(runner(tmp_path, "python show.py {lr} {trial}", env=env), tmp_path, {"lr": 0.25})
    folder = str(tmp_path / "0")
    assert shown["argv"] == ["0.25", folder]
    assert shown["cwd"] == str(tmp_path)
    assert {k: shown["env"].get(k) for k in ("LR", "MOMENTUM", "PLAIN")} == {
        "LR": "0.25",
        "MOMENTUM": None,
        "PLAIN": "yes",
    }
    assert shown["env"]["LUTHIER_TRIAL"] == folder


def test_no_shell_reads_a_value(tmp_path: Path) -> None:
    nasty = "$(touch owned); `touch owned` > owned"
    assert seen(runner(tmp_path, "python show.py {x}"), tmp_path, {"x": nasty})["argv"] == [nasty]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.toml"])
def test_a_configuration_file_reaches_the_script(tmp_path: Path, name: str) -> None:
    shown = seen(runner(tmp_path, "python show.py {config}", config_file=name), tmp_path, {"lr": 0.5, "deep": True})
    assert shown["argv"] == [str(tmp_path / "0" / name)]
    assert "lr" in (tmp_path / "0" / name).read_text()


def test_patterns_read_an_unmodified_script(tmp_path: Path) -> None:
    code = "import sys; [print('epoch', i, 'loss', i / 2, file=sys.stderr) for i in range(3)]"
    run = CommandRunner(
        f'python -c "{code}"', cwd=tmp_path, metric="loss", patterns={"loss": r"loss (\S+)", "step": r"epoch (\d+)"}
    )
    outcome = run.run({}, tmp_path / "0")
    assert outcome.value == 1.0
    assert outcome.trajectory.curve("loss") == ((0, 0.0), (1, 0.5), (2, 1.0))


def test_python_can_be_another_interpreter(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    relative = runner(tmp_path, python="bin/python")
    assert relative.command({}, tmp_path)[0] == str(tmp_path / "bin" / "python")
    assert runner(tmp_path, "pythonic show.py").command({}, tmp_path)[0] == "pythonic"


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("no-such-program --lr {lr}", "'no-such-program' was not found"),
        ("./show.py", "not executable"),
        ("sh -c 'no-such-program-within'", "no-such-program-within"),
    ],
)
def test_a_missing_command_is_told_apart(tmp_path: Path, run: str, words: str) -> None:
    outcome = runner(tmp_path, run).run({"lr": 0.1}, tmp_path / "0")
    assert outcome.failure is not None
    assert outcome.failure.cause is Cause.NOT_FOUND
    assert words in outcome.failure.detail


def test_a_crash_keeps_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import sys\nfor i in range(99): print('line', i, file=sys.stderr)\nsys.exit(3)")
    outcome = CommandRunner("python bad.py", cwd=tmp_path, metric="m").run({}, tmp_path / "0")
    assert outcome.failure is not None
    assert outcome.failure.cause is Cause.CRASH
    assert "exit code 3" in outcome.failure.detail
    assert "line 98" in outcome.failure.detail
    assert "line 10\n" not in outcome.failure.detail


def test_another_metric_is_named(tmp_path: Path) -> None:
    outcome = CommandRunner("echo '{\"val_acuracy\": 0.5}'", cwd=tmp_path, metric="val_accuracy").run(
        {}, tmp_path / "0"
    )
    assert outcome.failure is not None
    assert outcome.failure.cause is Cause.NO_METRIC
    assert "did you mean 'val_acuracy'?" in outcome.failure.detail


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"run": ""}, "it is empty"),
        ({"run": "python 'x"}, "close the quotation"),
        ({"run": "t {config}"}, "add `config_file"),
        ({"run": "t {lrr}", "known": ["lr"]}, r"did you mean \{lr\}"),
        ({"config_file": "c.ini"}, "ending in"),
        ({"config_file": "../c.json"}, "plain name"),
        ({"patterns": {"m": "("}}, "regular expression"),
    ],
)
def test_bad_input_is_explained(tmp_path: Path, options: dict[str, Any], rule: str) -> None:
    with pytest.raises(SpecError, match=rule):
        runner(tmp_path, **options)


def test_a_repair_renames_what_carries_a_hyperparameter(tmp_path: Path) -> None:
    first = runner(tmp_path, "python show.py --epochs 3 --lrate {lr} --units={units}")
    repaired = first.with_edit({"--lrate": "--lr", "--units": "--width"})
    assert repaired.command({"lr": 0.1, "units": 8}, tmp_path)[2:] == ["--epochs", "3", "--lr", "0.1", "--width=8"]
    assert first.command({"lr": 0.1, "units": 8}, tmp_path)[4] == "--lrate"


def test_a_repair_renames_keys_of_the_file(tmp_path: Path) -> None:
    first = runner(tmp_path, "python show.py {config}", config_file="c.json", known=["lr"])
    seen(first.with_edit({"lr": "learning_rate"}), tmp_path, {"lr": 0.5})
    assert json.loads((tmp_path / "0" / "c.json").read_text()) == {"learning_rate": 0.5}
    assert json.loads((tmp_path / "0" / "config.json").read_text()) == {"lr": 0.5}


@pytest.mark.parametrize(
    "extra",
    [
        {"--epochs": "--steps"},
        {"3": "100"},
        {"--lrate": "--epochs"},
        {"--lrate": "--lr 5"},
        {"--lrate": "lr"},
        {"python": "rm"},
    ],
)
def test_a_repair_can_touch_nothing_else(tmp_path: Path, extra: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="a repair"):
        runner(tmp_path, "python show.py --epochs 3 --lrate {lr}").with_edit(extra)
