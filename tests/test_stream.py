"""Reading metrics from what scripts print: anything in, nothing lost, nothing breaks."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.trials.errors import SpecError
from luthier.trials.recorder import MAX_STEPS, Recorder
from luthier.trials.runner import Limits
from luthier.trials.stream import MAX_LINE, MAX_METRICS, Parser, Report

names = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "Z"]), min_size=1, max_size=20
)
metrics = st.dictionaries(names.filter(lambda n: n not in {"step", "luthier"}), st.floats(), min_size=1, max_size=5)


def same(a: Report, b: Report) -> bool:
    """Equality where NaN equals NaN."""
    return (
        a.step == b.step
        and a.metrics.keys() == b.metrics.keys()
        and all(
            (math.isnan(a.metrics[n]) and math.isnan(b.metrics[n])) or a.metrics[n] == b.metrics[n] for n in a.metrics
        )
    )


def parse(text: str, **patterns: str) -> list[Report]:
    parser = Parser(patterns)
    return parser.feed(text.encode()) + parser.finish()


@given(st.lists(st.tuples(st.none() | st.integers(0, 10**6), metrics), max_size=5), st.integers(1, 7), st.booleans())
def test_reports_survive_any_cutting(
    reports: list[tuple[int | None, dict[str, float]]], size: int, ascii: bool
) -> None:
    lines = [{"luthier": 1, **({} if s is None else {"step": s}), **m} for s, m in reports]
    data = "".join(f"noise\n{json.dumps(line, ensure_ascii=ascii)}\n" for line in lines).encode()
    parser = Parser()
    found = [r for start in range(0, len(data), size) for r in parser.feed(data[start : start + size])]
    assert len(found) == len(reports)
    assert all(same(a, Report(*b)) for a, b in zip(found, reports, strict=True))


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_read_without_error(pieces: list[bytes]) -> None:
    parser = Parser({"loss": r"loss[:=]\s*(\S+)"})
    for piece in pieces:
        for report in parser.feed(piece):
            assert report.metrics
    parser.finish()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_read_without_error(value: object) -> None:
    for report in parse(json.dumps(value)):
        assert all(isinstance(v, float) for v in report.metrics.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"luthier": 1, "step": 3, "val_loss": 0.2}', [Report(3, {"val_loss": 0.2})]),
        ('{"luthier": 1, "val_loss": 0.2}', [Report(None, {"val_loss": 0.2})]),
        ('epoch 1:  50%|####     | {"luthier": 1, "loss": 1}', [Report(None, {"loss": 1.0})]),
        ('10%\r20%\r{"loss": 1}\r\n', [Report(None, {"loss": 1.0})]),
        ('{"epoch": 2, "loss": 0.5, "note": "best", "ok": true}', [Report(2, {"loss": 0.5})]),
        ('{"epoch": 2, "step": 400, "loss": 0.5}', [Report(400, {"loss": 0.5})]),
        ('{"epoch": 0.5, "loss": 0.5}', [Report(None, {"loss": 0.5})]),
        ('{"loss": Infinity}', [Report(None, {"loss": math.inf})]),
        ('{"loss": 1' + "0" * 400 + "}", [Report(None, {"loss": math.inf})]),
        ('{"loss": 1' + "0" * 5000 + "}", []),
        ('{"luthier": "x", "loss": 1}', [Report(None, {"loss": 1.0})]),
        ('{"step": 3}', []),
        ('{"step": -3, "loss": 1}', [Report(None, {"loss": 1.0})]),
        ('{"loss": null}', []),
        ("[" * 100_000, []),
        ('{"a": ' * 20_000, []),
        ("{}", []),
        ("", []),
    ],
)
def test_lines(text: str, expected: list[Report]) -> None:
    assert parse(text) == expected


def test_nan_is_a_number() -> None:
    (report,) = parse('{"luthier": 1, "loss": NaN}')
    assert math.isnan(report.metrics["loss"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Epoch 3/10 - loss: 0.25 - acc: 91.5%", [Report(3, {"loss": 0.25, "acc": 91.5})]),
        ("loss: 1e-3,", [Report(None, {"loss": 0.001})]),
        ("loss: inf", [Report(None, {"loss": math.inf})]),
        ("loss: none yet", []),
        ("Epoch 4/10", []),
    ],
)
def test_patterns(line: str, expected: list[Report]) -> None:
    assert parse(line, step=r"Epoch (\d+)/", loss=r"loss: (\S+)", acc=r"acc: (\S+)") == expected


@pytest.mark.parametrize(
    ("pattern", "rule"), [("(", "regular expression"), ("loss", "one group"), ("(a)(b)", "one group")]
)
def test_a_wrong_pattern_is_explained(pattern: str, rule: str) -> None:
    with pytest.raises(SpecError, match=rule):
        Parser({"loss": pattern})


def test_a_long_line_is_skipped_and_the_next_one_read() -> None:
    parser = Parser()
    assert [r for _ in range(40) for r in parser.feed(b"x" * 8_192)] == []
    assert len(parser._rest) <= MAX_LINE  # what is kept is bounded
    assert parser.feed(b'{"loss": 1}\n{"loss": 2}\n') == [Report(None, {"loss": 2.0})]


def test_the_number_of_metrics_is_bounded() -> None:
    (report,) = parse(json.dumps({f"m{i}": i for i in range(1_000)}))
    assert len(report.metrics) == MAX_METRICS


def record(folder: Path, *reports: Report) -> Recorder:
    recorder = Recorder(folder, Limits())
    with recorder:
        for report in reports:
            recorder.take(report)
    return recorder


def test_reports_without_a_step_count_by_themselves(tmp_path: Path) -> None:
    pairs = [Report(None, m) for i in range(3) for m in ({"loss": float(i)}, {"acc": i / 10})]
    trajectory = record(tmp_path, *pairs).trajectory()
    assert trajectory.steps == (0, 1, 2)
    assert trajectory.metrics == {"loss": (0.0, 1.0, 2.0), "acc": (0.0, 0.1, 0.2)}


def test_steps_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    recorder = record(
        tmp_path, Report(5, {"a": 1.0}), Report(2, {"a": 2.0}), Report(5, {"b": 3.0}), Report(5, {"a": 4.0})
    )
    trajectory = recorder.trajectory()
    assert trajectory.steps == (2, 5)
    assert trajectory.metrics["a"] == (2.0, 4.0)
    assert math.isnan(trajectory.metrics["b"][0])
    assert recorder.metrics == {"a": 4.0, "b": 3.0}


def test_an_endless_trajectory_is_thinned(tmp_path: Path) -> None:
    trajectory = record(tmp_path, *(Report(i, {"a": float(i)}) for i in range(MAX_STEPS * 3))).trajectory()
    assert len(trajectory.steps) <= MAX_STEPS
    assert trajectory.steps[0] == 0
    assert trajectory.steps[-1] == MAX_STEPS * 3 - 1
    assert all(a < b for a, b in zip(trajectory.steps, trajectory.steps[1:], strict=False))
