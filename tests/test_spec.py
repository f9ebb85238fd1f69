"""Study files: what they mean, both ways, and one message with line, rule, value and remedy for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.trials.errors import InputError, SpecError
from luthier.trials.records import Direction
from luthier.trials.space import Bool, Choice, Float, Int, Parameter, Space
from luthier.trials.spec import Budget, StudySpec, load_spec, space_from_dict, space_to_dict, spec_from_dict, validated
from luthier.trials.yaml_file import parse_yaml, to_yaml

GOOD = """\
name: digits
run: python train.py --lr {lr} --units {units} --optimizer {optimizer} --momentum {momentum} {amp:--amp}
metric: {name: val_accuracy, direction: maximize}
space:
  lr: {float: [1e-5, 0.5], log: true, default: 1.0e-3, description: learning rate}
  units: {int: [16, 512], log: true, default: 64}
  optimizer: {choice: [sgd, adam], default: adam}
  momentum: {float: [0, 0.99], default: 0.9, when: optimizer == "sgd"}
  amp: {bool: true, default: false}
constraints: ["units * 4 <= 1024"]
budget: {trials: 10, hours: 1}
model: embedded
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("")
    return tmp_path


def load(folder: Path, text: str) -> StudySpec:
    (folder / "study.yaml").write_text(text)
    return load_spec(folder / "study.yaml")


def test_the_example(folder: Path) -> None:
    spec = load(folder, GOOD)
    assert (spec.name, spec.model, spec.seed, spec.noise, spec.stop_early) == ("digits", "embedded", 0, None, True)
    assert spec.metric.direction is Direction.MAXIMIZE
    assert (spec.budget.trials, spec.budget.hours, spec.budget.tokens) == (10, 1.0, None)
    assert spec.to_space() == Space(
        {
            "lr": Float(1e-5, 0.5, log=True, default=1e-3, description="learning rate"),
            "units": Int(16, 512, log=True, default=64),
            "optimizer": Choice(("sgd", "adam"), default="adam"),
            "momentum": Float(0.0, 0.99, default=0.9, when='optimizer == "sgd"'),
            "amp": Bool(default=False),
        },
        ("units * 4 <= 1024",),
    )


def test_facts_of_the_data(folder: Path) -> None:
    assert load(folder, GOOD).data == {}
    assert load(folder, GOOD + "data: {rows: 1797, share: 0.5}\n").data == {"rows": 1797.0, "share": 0.5}


def test_what_the_study_stores_reads_back(folder: Path) -> None:
    spec = load(folder, GOOD + "data: {rows: 1797}\n")
    assert spec_from_dict(json.loads(spec.model_dump_json())) == spec


# What replaces what in GOOD, and the words that the message must hold.
BAD = {
    "malformed": (("name: digits", "name: [digits"), "not valid YAML: line 2", "brackets"),
    "a colon in a command": (("{lr}", "{lr} --more 'a: b'"), "line 2", "in quotes"),
    "a tab": (("  units", "\tunits"), "line 6", "spaces, not tabs"),
    "key twice": (("name: digits", "name: a\nname: b"), "line 2", "'name' is also on line 1"),
    "unknown key": (("budget:", "budgte:"), "line 11", "'budgte' in the study file; did you mean 'budget'?"),
    "unknown key inside": (("hours: 1", "huors: 1"), "line 11", "'huors' in `budget`; did you mean 'hours'?"),
    "unknown key of a range": (("log: true, default: 64", "lgo: true"), "line 6", "'lgo'", "'log'"),
    "unknown kind": (("{float: [0,", "{flaot: [0,"), "line 8", "'momentum'", "'flaot'", "did you mean 'float'?"),
    "a comma in a description": (("learning rate", "small, often"), "line 5", "comma needs quotes", "'often'"),
    "two kinds": (("{float: [0,", "{int: [0, 3], float: [0,"), "'momentum'", "one kind, but got int and float"),
    "no kind": (("{bool: true, default: false}", "{default: false}"), "'amp'", "needs one of float, int"),
    "no mapping": (("{bool: true, default: false}", "3"), "line 9", "'amp'", "mapping, but got 3"),
    "empty range": (("[16, 512]", "[16, 16]"), "line 6", "'units'", "must not be empty", "16"),
    "low above high": (("[16, 512]", "[512, 16]"), "line 6", "`low <= high`", "low=512, high=16", "swap"),
    "log with zero": (("[1e-5, 0.5]", "[0, 0.5]"), "line 5", "'lr'", "`low > 0`, but got low=0"),
    "default outside": (("default: 0.9", "default: 9"), "line 8", "'momentum'", "[0, 0.99], but got 9"),
    "default no choice": (("default: adam", "default: adm"), "line 7", "'adm' is not in ['sgd', 'adam']"),
    "text as bound": (("[16, 512]", "[16, many]"), "line 6", "whole number, but got 'many'"),
    "half a unit": (("[16, 512]", "[16.5, 512]"), "line 6", "whole number, but got 16.5"),
    "one bound": (("[16, 512]", "16"), "line 6", "two bounds, but got 16", "[low, high]"),
    "infinite bound": (("[0, 0.99]", "[0, .inf]"), "line 8", "finite number, but got inf"),
    "log as text": (("log: true, default: 64", "log: 'yes'"), "line 6", "`log` must be like `log: true`", "'yes'"),
    "choice of one text": (("[sgd, adam], default: adam", "adam"), "line 7", "takes a list, but got 'adam'"),
    "choice with a hole": (("[sgd, adam]", "[sgd, adam, null]"), "line 7", "but got None"),
    "no choices": (("[sgd, adam], default: adam", "[]"), "line 7", "at least one value"),
    "bool of values": (("bool: true", "bool: [true, false]"), "line 9", "`bool` takes only true"),
    "condition on a later one": (('optimizer == "sgd"', "amp"), "line 4", "before it, but it names 'amp'"),
    "condition that is code": (('optimizer == "sgd"', "open('x')"), "line 4", "may not hold `open('x')`"),
    "constraint with a slip": (("units *", "unit *"), "line 10", "'unit'; did you mean 'units'?"),
    "constraint that is code": (("units * 4", "__import__('os')"), "line 10", "may not hold `__import__('os')`"),
    "default against a constraint": (("units * 4", "units * 40"), "line 10", "must hold, but does not at"),
    "name that no file has": (("lr: {float", "l-r: {float"), "line 4", "identifier, but got 'l-r'"),
    "name of Luthier's own": (("  lr: {", "  seed: {"), "line 5", "'seed' is a name of Luthier's own"),
    "placeholder without a range": (("{lr}", "{lr} --depth {depth}"), "line 2", "`run` holds {depth}"),
    "placeholder with a slip": (("{units}", "{unit}"), "line 2", "did you mean {units}?"),
    "range that goes nowhere": (("--units {units} ", ""), "line 6", "'units' stands nowhere", "--units {units}"),
    "config without a file": (("{lr}", "{lr} --config {config}"), "line 2", "add `config_file"),
    "config file of another kind": (("model: embedded", "config_file: a.ini"), "line 12", "'a.ini'", ".json"),
    "config file elsewhere": (("model: embedded", "config_file: ../a.json"), "line 12", "'../a.json'"),
    "open quote": (("python train.py", 'python "train.py'), "line 2", "close the quot"),
    "no command": (("run: python", "run: '' # python"), "line 2", "empty"),
    "unknown program": (("python train", "pyhton train"), "line 2", "'pyhton' is neither on the PATH nor in"),
    "unknown interpreter": (("model: embedded", "python: .venv/bin/python"), "line 12", "`python` must name a program"),
    "missing script": (("train.py", "trian.py"), "line 2", "no 'trian.py'", "did you mean 'train.py'?"),
    "no metric": (
        ("metric: {name: val_accuracy, direction: maximize}", ""),
        "`metric` is missing",
        "direction: minimize}",
    ),
    "metric without direction": ((", direction: maximize", ""), "line 3", "`metric.direction` is missing"),
    "unknown direction": (("maximize", "max"), "line 3", "'minimize' or 'maximize', but got 'max'"),
    "a test metric": (("val_accuracy", "test_accuracy"), "line 3", "never see test metrics", "'test_accuracy'"),
    "no trials": (("trials: 10", "trials: 0"), "line 11", "`budget.trials`", "but got 0"),
    "trials as text": (("trials: 10", "trials: ten"), "line 11", "`budget.trials`", "'ten'", "trials: 10"),
    "trials as bool": (("trials: 10", "trials: true"), "line 11", "`budget.trials`", "True"),
    "negative hours": (("hours: 1", "hours: -1"), "line 11", "greater than 0, but got -1"),
    "a name with a slash": (("name: digits", "name: a/b"), "line 1", "`name`", "'a/b'"),
    "a number as name": (("name: digits", "name: 3"), "line 1", "`name`", "but got 3"),
    "unquoted braces": (("model: embedded", "env: {LR: {lr}}"), "line 12", "put it in quotes"),
    "pattern that is none": (("model: embedded", "patterns: {x: '('}"), "line 12", "'('"),
    "pattern without a group": (("model: embedded", "patterns: {x: 'loss'}"), "line 12", "one group"),
    "data in words": (
        ("model: embedded", "data: {rows: many}"),
        "line 12",
        "`data.rows`",
        "number",
        "data: {rows: 1797",
    ),
    "data without end": (("model: embedded", "data: {rows: .inf}"), "line 12", "finite number, but got inf"),
    "data as text": (("model: embedded", "data: 1797 rows"), "line 12", "`data`", "data: {rows: 1797"),
    "data as bool": (("model: embedded", "data: {rows: true}"), "line 12", "`data.rows`", "True"),
    "data named by a number": (("model: embedded", "data: {3: 4}"), "line 12", "`data.3", "data: {rows: 1797"),
    "a list on top": ((GOOD, "- a\n- b\n"), "keys and values, but this holds list"),
    "nothing": ((GOOD, "# later\n"), "holds nothing"),
    "no text at all": ((GOOD, "a: \x00"), "not valid YAML"),
    "nested without end": ((GOOD, "[" * 5_000), "not valid YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(folder: Path, case: str) -> None:
    (old, new), *words = BAD[case]
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        load(folder, GOOD.replace(old, new, 1))
    message = str(caught.value)
    assert [word for word in ["study.yaml", *words] if word not in message] == [], message
    assert "\n" not in message
    assert "pydantic" not in message


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.yaml does not exist; `luthier init"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="is a folder"):
        load_spec(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(SpecError, match="UTF-8"):
        load_spec(tmp_path / "latin.yaml")
    (tmp_path / "weights.yaml").write_bytes(b"0" * 1_000_001)
    with pytest.raises(SpecError, match="1,000,000 bytes"):
        load_spec(tmp_path / "weights.yaml")


def test_aliases_do_not_multiply(folder: Path) -> None:
    rows = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    with pytest.raises(SpecError, match="unknown key 'a0'"):
        load(folder, "\n".join(rows))


SCALARS = {
    "1e-5": 1e-5,
    "1E3": 1000.0,
    "-2.5e+3": -2500.0,
    "1.": 1.0,
    ".5": 0.5,
    "010": 10,
    "1_000": 1000,
    "-3": -3,
    "true": True,
    "False": False,
    "no": "no",
    "on": "on",
    "1:30": "1:30",
    "2024-01-01": "2024-01-01",
    "'1e-5'": "1e-5",
    "e5": "e5",
    "1e": "1e",
    "null": None,
    "~": None,
}


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_are_what_people_mean(text: str) -> None:
    value = parse_yaml(f"x: {text}").data["x"]
    assert value == SCALARS[text]
    assert type(value) is type(SCALARS[text])


@pytest.mark.parametrize("bounds", [["1e-5", "1e-1"], [1e-5, "0.1"]])
def test_quoted_numbers_are_numbers(bounds: list[Any]) -> None:
    assert space_from_dict({"lr": {"float": bounds, "log": True}}) == {"lr": Float(1e-5, 0.1, log=True)}


def test_whole_numbers_may_be_written_as_real_ones() -> None:
    assert space_from_dict({"n": {"int": [1.0, 1e6], "default": 1e3}}) == {"n": Int(1, 1_000_000, default=1000)}


def test_hyperparameters_may_come_by_config_file_or_environment(folder: Path) -> None:
    run = GOOD.splitlines()[1]
    load(folder, GOOD.replace(run, "run: python train.py --config {config}\nconfig_file: config.yaml"))
    load(folder, GOOD.replace(run, "run: python train.py\nconfig_file: config.toml"))
    env = ", ".join(f'{name.upper()}: "{{{name}}}"' for name in ("lr", "units", "optimizer", "momentum", "amp"))
    spec = load(folder, GOOD.replace(run, f"run: python train.py --seed {{seed}}\nenv: {{{env}, OMP_NUM_THREADS: 2}}"))
    assert spec.env["OMP_NUM_THREADS"] == "2"


def test_other_braces_in_a_command_are_text(folder: Path) -> None:
    load(folder, GOOD.replace("{lr}", "{lr} --more '{\"a\":1}'"))


def test_a_program_beside_the_study_file(folder: Path) -> None:
    (folder / "go.sh").write_text("")
    load(folder, GOOD.replace("python train.py", "./go.sh"))


def test_validated_says_it_in_our_words() -> None:
    assert validated(Budget, {"trials": 3}).trials == 3
    with pytest.raises(SpecError, match=r"`trials` is wrong: .* but got 0; write it like `trials: 10`"):
        validated(Budget, {"trials": 0})


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=15)
REALS = st.floats(-1e9, 1e9)
WHENS = st.sampled_from([None, "a_ > 1", "a_ in [1, 2] and not (a_ == 3)"])


@st.composite
def ranges(draw: st.DrawFn) -> Parameter:
    """Any valid range, choice or bool."""
    when, about = draw(WHENS), draw(TEXTS)
    match draw(st.sampled_from(["float", "int", "choice", "bool"])):
        case "float":
            low = draw(st.floats(1e-300, 1e9))
            high = low * draw(st.floats(1.001, 1e6))
            step = draw(st.none() | st.floats(1e-9, 1e9))
            inside = st.floats(low, high) if step is None else st.just(low)  # a default lies on the grid
            return Float(low, high, draw(st.booleans()), step, draw(st.none() | inside), when, about)
        case "int":
            low = draw(st.integers(1, 10**9))
            high = low + draw(st.integers(1, 10**9))
            step = draw(st.integers(1, 9))
            return Int(low, high, draw(st.booleans()), step, draw(st.sampled_from([None, low])), when, about)
        case "choice":
            items = draw(
                st.lists(
                    TEXTS | st.integers(-(10**9), 10**9) | REALS | st.booleans(),
                    min_size=1,
                    unique_by=lambda c: (isinstance(c, bool), c),
                )
            )
            return Choice(tuple(items), draw(st.none() | st.sampled_from(items)), when, about)
    return Bool(draw(st.none() | st.booleans()), when, about)


SPACES = st.dictionaries(
    st.from_regex(r"[a-z]\w{0,9}", fullmatch=True).filter(str.isascii), ranges(), min_size=1, max_size=5
)


@given(SPACES)
def test_a_space_reads_back_as_it_was_written(parameters: dict[str, Parameter]) -> None:
    written = space_to_dict(parameters)
    assert space_from_dict(written) == parameters
    assert list(space_from_dict(written)) == list(parameters)


@given(SPACES)
def test_also_through_yaml_and_json(parameters: dict[str, Parameter]) -> None:
    written = space_to_dict(parameters)
    lines = "".join(f"{name}: {to_yaml(entry)}\n" for name, entry in written.items())
    read = space_from_dict(parse_yaml(lines).data)
    assert read == parameters
    assert repr(read) == repr(parameters)  # types too: 1 is not 1.0, "1" is not 1
    assert space_from_dict(json.loads(json.dumps(written))) == parameters


@given(st.text(max_size=200))
def test_any_text_is_a_study_or_one_error(text: str) -> None:
    try:
        spec_from_dict(parse_yaml(text).data)
    except SpecError as error:
        message = str(error)
    assert message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from([*StudySpec.model_fields]),
)
def test_any_value_under_any_key_is_fine_or_one_error(value: Any, key: str) -> None:
    data = parse_yaml(GOOD).data
    try:
        spec_from_dict({**data, key: value})
    except InputError as error:
        assert isinstance(error, SpecError)  # noqa: PT017 - either outcome is right


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
    st.sampled_from(["float", "int", "choice", "bool", "log", "step", "default", "when", "description"]),
    st.sampled_from(["lr", "units", "optimizer", "amp"]),
)
def test_any_value_in_a_range_is_fine_or_one_error(value: Any, key: str, name: str) -> None:
    data = parse_yaml(GOOD).data
    data["space"][name][key] = value
    try:
        spec_from_dict(data)
    except InputError as error:
        assert isinstance(error, SpecError)  # noqa: PT017 - either outcome is right
