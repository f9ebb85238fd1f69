"""The tuning benchmark where epochs are the budget: what is paid, what counts, and what it says of a loss."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from luthier.trials.records import Config, Direction, State
from luthier.trials.space import Float, Space

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import epochs  # noqa: E402
import methods_epochs  # noqa: E402
import report_epochs  # noqa: E402
import results  # noqa: E402
import stopping  # noqa: E402
import suites  # noqa: E402
import tuning  # noqa: E402

EPOCHS = 9
SPACE = Space({"x": Float(0.0, 1.0)})


def learn(config: Config) -> list[float]:
    """Falls towards (x - 0.3)², at once where x is far away; the upper end diverges half-way."""
    x = config["x"]
    curve = [(x - 0.3) ** 2 + math.exp(-epoch / 2) for epoch in range(EPOCHS)]
    return [v if x < 0.95 or epoch < 4 else math.nan for epoch, v in enumerate(curve)]


class Falling:
    """A suite with curves, as a user would add one."""

    name = "falling"
    defaults = ("common",)

    def tasks(self, data: Path | None) -> list[str]:
        return ["a", "b"]

    def task(self, data: Path | None, name: str) -> suites.Task:
        return suites.Task(
            name=name,
            space=SPACE,
            direction=Direction.MINIMIZE,
            objective=lambda: lambda config: learn(config)[-1],
            reference=lambda: suites.random_reference(SPACE, lambda config: learn(config)[-1], 50),
            starts=lambda default, seed: [{"x": 0.9}],
            learner=(lambda: learn) if name == "a" else None,
            epochs=EPOCHS,
        )


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The suite under its name, with its normalisers in a folder of their own."""
    monkeypatch.setattr(suites, "find_suite", lambda name: Falling())
    monkeypatch.setattr(suites, "NORMALISERS", tmp_path / "normalisers.json")
    suites.normaliser.cache_clear()
    tuning.load.cache_clear()
    assert tuning.main(["--suite", "falling", "--normalise"]) == 0
    yield
    suites.normaliser.cache_clear()
    tuning.load.cache_clear()


class TestMeter:
    def test_only_a_training_that_reached_its_end_counts(self) -> None:
        meter = epochs.Meter(learn, Direction.MINIMIZE, 100)
        stopped = meter.train({"x": 0.3}, lambda epoch, value: epoch == 3)
        assert (stopped.state, len(meter.best), stopped.value) == (State.PRUNED, 3, learn({"x": 0.3})[2])
        assert all(math.isnan(b) for b in meter.best)
        full = meter.train({"x": 0.9})
        assert full.state is State.COMPLETE
        assert meter.best[-2:] == pytest.approx([math.nan, full.value], nan_ok=True)
        assert meter.left == 100 - 3 - EPOCHS

    def test_a_diverged_training_is_paid_for_and_counts_nothing(self) -> None:
        meter = epochs.Meter(learn, Direction.MINIMIZE, 100)
        assert meter.train({"x": 0.99}).state is State.FAILED
        assert len(meter.best) == EPOCHS
        assert math.isnan(meter.best[-1])

    def test_the_budget_ends_a_training(self) -> None:
        meter = epochs.Meter(learn, Direction.MINIMIZE, EPOCHS + 4)
        meter.train({"x": 0.3})
        with pytest.raises(epochs.Spent):
            meter.train({"x": 0.5})
        assert len(meter.best) == EPOCHS + 4
        assert set(meter.best[EPOCHS - 1 :]) == {learn({"x": 0.3})[-1]}

    def test_trainings_are_counted_where_each_costs_next_to_nothing(self) -> None:
        meter = epochs.Meter(learn, Direction.MINIMIZE, 10_000)
        while meter.left:
            meter.train({"x": 0.5}, lambda epoch, value: True)
        assert len(meter.best) == epochs.MAX_TRAININGS


class TestMethods:
    @pytest.mark.parametrize("name", list(methods_epochs.KNOWN))
    def test_a_method_repeats_itself_and_trains_the_default_to_its_end(self, name: str) -> None:
        task, found = Falling().task(None, "a"), []
        for _ in range(2):
            space = suites.with_default(SPACE, {"x": 0.9})
            method = methods_epochs.KNOWN[name]
            found.append(methods_epochs.run(method, task, space, starts=[{"x": 0.9}], trainings=4, seed=1))
        assert np.array_equal(*found, equal_nan=True)
        assert len(found[0]) == 4 * EPOCHS
        assert found[0][EPOCHS - 1] == learn({"x": 0.9})[-1]


class TestShare:
    def test_it_is_the_share_of_the_epochs_that_the_peer_s_end_took(self) -> None:
        ours = np.tile(np.linspace(1.0, 0.0, 11)[1:], (5, 1))
        peer = np.full((5, 10), 0.5)
        assert report_epochs.share(ours, peer).mean == 0.5
        assert report_epochs.share(peer, ours).mean == 1.1  # never
        assert report_epochs.share(peer, peer).mean == 0.1

    def test_its_interval_is_over_tasks(self) -> None:
        easy, hard = np.array([1.0, 0.0, 0.0, 0.0]), np.ones(4)
        ours = np.array([easy, easy, easy, hard])
        found = report_epochs.share(ours, np.full((4, 4), 0.25))
        assert (found.low, found.mean, found.high) == (0.5, 0.5, 1.25)


class TestRun:
    def test_it_writes_figures_and_goes_on_where_it_stopped(
        self, falling: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["--suite", "falling", "--budget", "epochs", "--tasks", "a", "--seeds", "1", "--trials", "3"]
        command += ["--methods", "random,tpe-median,luthier", "--json", str(tmp_path / "out.json")]
        assert tuning.main(command) == 0
        figures = json.loads((tmp_path / "out.json").read_text())
        assert all(set(f) == {"suite", "method", "metric", "value", "low", "high"} for f in figures)
        assert {f["metric"] for f in figures if f["method"] == "random"} == {
            *(f"regret@{n}" for n in (1, 2, 3)),
            *(f"luthier-minus-it@{n}" for n in (1, 2, 3)),
        }
        assert {f["method"] for f in figures if f["metric"].startswith("epochs-to-")} == {"luthier"}
        assert "falling" in capsys.readouterr().out
        monkeypatch.setattr(tuning, "run", lambda job: pytest.fail(f"ran {job} again"))
        assert tuning.main(command) == 0
        assert json.loads((tmp_path / "out.json").read_text()) == figures

    def test_a_task_without_curves_is_refused(
        self, falling: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["--suite", "falling", "--budget", "epochs", "--tasks", "b", "--json", str(tmp_path / "out.json")]
        assert tuning.main(command) == 2
        assert "learning curves" in capsys.readouterr().err

    def test_a_loss_is_shown_as_a_win_is(self) -> None:
        def runs(ours: float, theirs: float) -> list[results.Result]:
            return [
                results.Result("falling", str(task), 0, method, "common", [1.0] * 9 + [regret])
                for task in range(3)
                for method, regret in (("luthier", ours), ("gp", theirs))
            ]

        won, lost = (report_epochs.figures(runs(*pair), 1) for pair in ((0.1, 0.2), (0.2, 0.1)))
        assert [f.value for f in won if f.metric == "luthier-minus-it@1"] == [pytest.approx(-0.1)]
        assert [f.value for f in lost if f.metric == "luthier-minus-it@1"] == [pytest.approx(0.1)]
        assert [f.value for f in won if f.metric == "epochs-to-gp"] == [1.0]
        assert [f.value for f in lost if f.metric == "epochs-to-gp"] == [1.1]


class TestStopping:
    def test_every_rule_sees_the_same_proposals_and_the_savings_are_told(self, falling: None, tmp_path: Path) -> None:
        assert stopping.main(["--suite", "falling", "--tasks", "1", "--json", str(tmp_path / "out.json")]) == 0
        found = json.loads((tmp_path / "out.json").read_text())
        spent = {f["method"]: f["value"] for f in found if (f["suite"], f["metric"]) == ("falling", "epochs")}
        assert set(spent) == set(methods_epochs.RULES)
        assert spent.pop("to the end") == 1.0
        assert all(0 < share < 1 for share in spent.values())
        lost = [f["value"] for f in found if f["metric"] == "regret-lost"]
        assert min(lost) >= 0

    def test_the_product_s_rule_is_shown_at_other_chances(self, falling: None, tmp_path: Path) -> None:
        told = ["--suite", "falling", "--tasks", "1", "--seeds", "1", "--json", str(tmp_path / "out.json")]
        assert stopping.main([*told, "--hopeless", "0.3,0.01,0"]) == 0
        found = json.loads((tmp_path / "out.json").read_text())
        spent = {f["method"]: f["value"] for f in found if (f["suite"], f["metric"]) == ("falling", "epochs")}
        assert set(spent) == {*methods_epochs.RULES, "product at 30 %", "product at 1 %", "product at 0 %"}
        assert spent["product at 30 %"] <= spent["product"] == spent["product at 1 %"] <= spent["product at 0 %"] == 1

    def test_a_chance_in_percent_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            stopping.main(["--hopeless", "5", "--json", str(tmp_path / "out.json")])
        assert "write 0.05 for 5 %" in capsys.readouterr().err

    def test_absent_data_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert stopping.main(["--data", str(tmp_path), "--json", str(tmp_path / "out.json")]) == 2
        assert "--data" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
