"""The tuning benchmark: statistics, suites, the cache, and a smoke run over a suite that needs no data folder."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.memory.past import PastStudy
from luthier.predictor.step_features import FEATURES
from luthier.trials.records import Config, Direction
from luthier.trials.space import Choice, Float, Int, Space
from luthier.trials.study import Study

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import memories  # noqa: E402
import methods  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import stats  # noqa: E402
import suites  # noqa: E402
import tuning  # noqa: E402
import worth  # noqa: E402

DATA = Path(os.environ.get("LUTHIER_DATA", BENCHMARKS.parent.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the measured data is not there: no folder {DATA}")

numbers = st.lists(st.floats(-10, 10), min_size=2, max_size=40)


def bowl(config: Config) -> float:
    """Best at x = 0.3, y = 3, kind = "good"."""
    return (config["x"] - 0.3) ** 2 + abs(config["y"] - 3) / 10 + (config["kind"] != "good")


SPACE = Space({"x": Float(0.0, 1.0), "y": Int(1, 10), "kind": Choice(("bad", "good"))})


class BowlSuite:
    """A suite as a user would add one."""

    name = "bowl"
    defaults = ("common", "none")

    def tasks(self, data: Path | None) -> list[str]:
        return ["a", "b", "c"]

    def task(self, data: Path | None, name: str) -> suites.Task:
        start: Config = {"x": 0.9, "y": 8, "kind": "bad"}
        return suites.Task(
            name=name,
            space=SPACE,
            direction=Direction.MINIMIZE,
            objective=lambda: bowl,
            reference=lambda: suites.random_reference(SPACE, bowl, 50),
            starts=lambda default, seed: [start] if default == "common" else [],
        )


@pytest.fixture
def bowl_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> BowlSuite:
    """The suite under its name, with its normalisers in a folder of their own."""
    suite = BowlSuite()
    monkeypatch.setattr(suites, "find_suite", lambda name: suite)
    monkeypatch.setattr(suites, "NORMALISERS", tmp_path / "normalisers.json")
    suites.normaliser.cache_clear()
    tuning.load.cache_clear()
    assert tuning.main(["--suite", "bowl", "--normalise"]) == 0
    yield suite
    suites.normaliser.cache_clear()
    tuning.load.cache_clear()


class TestStats:
    @given(numbers)
    def test_the_interval_holds_the_mean_within_the_range(self, values: list[float]) -> None:
        interval = stats.bootstrap(values)
        assert min(values) - 1e-9 <= interval.low <= interval.mean + 1e-9
        assert interval.mean - 1e-9 <= interval.high <= max(values) + 1e-9

    @given(numbers, st.floats(-5, 5))
    def test_a_shift_moves_the_interval_and_nothing_else(self, values: list[float], shift: float) -> None:
        plain, moved = stats.bootstrap(values), stats.bootstrap([v + shift for v in values])
        assert moved.low - plain.low == pytest.approx(shift, abs=1e-6)
        assert moved.high - plain.high == pytest.approx(shift, abs=1e-6)

    @given(numbers)
    def test_a_method_against_itself_is_a_tie(self, values: list[float]) -> None:
        assert stats.paired(values, values) == stats.Interval(0.0, 0.0, 0.0)

    def test_pairing_sees_what_two_separate_intervals_hide(self) -> None:
        rng = np.random.default_rng(0)
        hard = rng.uniform(0, 1, 34)
        ours, theirs = hard - 0.05 + rng.normal(0, 0.01, 34), hard
        assert stats.paired(list(ours), list(theirs)).high < 0
        assert stats.bootstrap(list(ours)).high > stats.bootstrap(list(theirs)).low

    def test_the_interval_covers_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(1)
        intervals = [stats.bootstrap(list(rng.normal(0.0, 1.0, 34)), seed=i) for i in range(200)]
        covered = np.mean([i.low <= 0.0 <= i.high for i in intervals])
        assert 0.88 <= covered <= 0.99  # 0.95, less what percentile intervals lose at 34 tasks, and noise of 200

    def test_no_tasks_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="at least one task"):
            stats.bootstrap([])

    def test_different_numbers_of_tasks_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            stats.paired([1.0], [1.0, 2.0])


class TestNormaliser:
    @given(st.lists(st.floats(-100, 100), min_size=3, max_size=30, unique=True))
    def test_the_best_has_regret_0_and_the_median_1_in_both_directions(self, values: list[float]) -> None:
        for direction in Direction:
            found = suites.Normaliser.of(values, direction)
            if found.best != found.median:
                assert found.regret(direction.best(values)) == 0
                assert found.regret(float(np.median(values))) == pytest.approx(1)

    def test_a_failed_trial_counts_as_the_worst(self) -> None:
        found = suites.Normaliser.of([1.0, 2.0, 3.0, math.nan, math.nan], Direction.MINIMIZE)
        assert found.median == 3.0
        assert found.regrets([math.nan, 2.0, math.nan]) == [1.0, 0.5, 0.5]

    def test_regret_never_rises(self) -> None:
        found = suites.Normaliser.of([0.0, 1.0, 2.0], Direction.MAXIMIZE)
        assert found.regrets([0.0, 3.0, 1.0]) == [2.0, -1.0, -1.0]

    @needs_data
    @pytest.mark.parametrize(("suite", "count"), [("lcbench", 34), ("taskset", 8), ("tables", 15), ("bayesmark", 20)])
    def test_every_task_of_a_suite_has_its_normaliser(self, suite: str, count: int) -> None:
        names = suites.find_suite(suite).tasks(DATA)
        kept = [suites.normaliser(suite, name) for name in names]
        assert len(kept) == count
        assert all(math.isfinite(k.best) and k.best != k.median for k in kept)


class TestSuites:
    @pytest.mark.parametrize("name", ["lcbench", "taskset", "bayesmark"])
    def test_absent_data_is_named(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code = tuning.main(["--suite", name, "--data", str(tmp_path), "--json", str(tmp_path / "out.json")])
        assert code == 2
        assert "--data" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("flag", "value", "listed"),
        [
            ("--suite", "lcbanch", "lcbench"),
            ("--methods", "gpp", "gp"),
            ("--default", "x", "common"),
            ("--tasks", "q", "a"),
        ],
    )
    def test_a_wrong_name_lists_the_right_ones(
        self,
        flag: str,
        value: str,
        listed: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        request: pytest.FixtureRequest,
    ) -> None:
        if flag != "--suite":
            request.getfixturevalue("bowl_suite")
        assert tuning.main([flag, value, "--json", str(tmp_path / "out.json")]) == 2
        message = capsys.readouterr().err
        assert value in message
        assert listed in message

    @needs_data
    @pytest.mark.parametrize("suite", ["lcbench", "taskset", "tables", "bayesmark"])
    def test_starts_lie_in_the_space_and_answers_repeat(self, suite: str) -> None:
        found = suites.find_suite(suite)
        task = found.task(DATA, found.tasks(DATA)[0])
        for default in found.defaults:
            for config in task.starts(default, 0):
                task.space.validate(config)
                assert task.objective()(config) == task.objective()(config)

    @needs_data
    def test_lcbench_answers_in_percent_and_the_common_default_is_not_a_straw_man(self) -> None:
        found = suites.find_suite("lcbench")
        regrets = []
        for name in found.tasks(DATA)[:12]:
            task = found.task(DATA, name)
            value = task.objective()(task.starts("common", 0)[0])
            assert 0 < value <= 100.5
            regrets.append(suites.normaliser("lcbench", name).regret(value))
        assert np.mean(regrets) < 0.5

    @needs_data
    def test_taskset_answers_with_the_nearest_row_once(self) -> None:
        found = suites.find_suite("taskset")
        task = found.task(DATA, found.tasks(DATA)[0])
        objective, [adam] = task.objective(), task.starts("common", 0)
        losses = list(task.reference())
        first, second = objective(adam), objective(adam)
        assert losses.index(first) != losses.index(second)
        every = [first, second, *(objective(adam) for _ in range(998))]
        assert sorted(every) == sorted(losses)

    @needs_data
    @pytest.mark.parametrize("suite", ["lcbench", "taskset"])
    def test_a_copy_of_an_objective_remembers_apart_from_it(self, suite: str) -> None:
        """Both arms from one state ask copies."""
        found = suites.find_suite(suite)
        task = found.task(DATA, found.tasks(DATA)[0])
        objective, [start] = task.objective(), task.starts("common", 0)
        first = copy.deepcopy(objective)(start)
        assert [copy.deepcopy(objective)(start), objective(start)] == [first, first]

    @needs_data
    def test_bayesmark_reproduces_a_published_score(self) -> None:
        import suite_bayesmark

        folder = DATA / "llambo_bayesmark"
        config, value = suite_bayesmark.trajectories(folder)["breast", "SVM", 0][7]
        assert suite_bayesmark.score(folder, "breast", "SVM", config) == pytest.approx(value, abs=1e-9)

    def test_obfuscation_changes_names_only(self) -> None:
        task = BowlSuite().task(None, "a")
        hidden = suites.obfuscated(task)
        [start], [hidden_start] = task.starts("common", 0), hidden.starts("common", 0)
        assert list(hidden.space) == ["x0", "x1", "x2"]
        assert list(hidden_start.values()) == list(start.values())
        assert hidden.objective()(hidden_start) == task.objective()(start)


class TestMemories:
    @pytest.mark.parametrize("kind", ["unrelated", "misleading"])
    def test_a_task_turned_over_keeps_its_values_at_other_places_of_the_space(
        self, kind: str, bowl_suite: BowlSuite
    ) -> None:
        plain, turned = (memories.past_of(k, "bowl", None, "a", False, 20, 0, SPACE) for k in ("leave-one-out", kind))
        assert [study.values for study in turned] == [study.values for study in plain]
        for before, after in zip(plain, turned, strict=True):
            assert before.configs != after.configs
            assert all(map(SPACE.contains, after.configs))

    def test_a_study_run_again_knows_an_earlier_one_of_the_task_itself(self, bowl_suite: BowlSuite) -> None:
        (study,) = memories.past_of("same", "bowl", None, "a", False, 10, 0, SPACE)
        assert (study.name, study.same, len(study.configs)) == ("a", True, 10)

    def test_what_is_turned_back_is_as_it_was(self) -> None:
        space = Space({"x": Float(0, 1), "y": Float(1, 100, log=True), "z": Float(-1, 0)})
        study = PastStudy("t", Direction.MINIMIZE, ({"x": 0.2, "y": 30.0, "z": -0.9},), (1.0,))
        source, reverse = np.array([2, 0, 1]), np.array([True, False, True])
        turned = memories.turned_over(study, space, source, reverse)
        assert turned.configs[0] == pytest.approx({"x": 0.9, "y": 100**0.2, "z": -math.log(30, 100)})
        back = np.argsort(source)
        assert memories.turned_over(turned, space, back, reverse[back]).configs[0] == pytest.approx(study.configs[0])


class TestRun:
    def arguments(self, folder: Path, *more: str) -> list[str]:
        return [
            "--suite",
            "bowl",
            "--json",
            str(folder / "out.json"),
            "--trials",
            "6",
            "--seeds",
            "1",
            "--tasks",
            "2",
            *more,
        ]

    def test_a_smoke_run_writes_every_run_with_one_shared_start(self, bowl_suite: BowlSuite, tmp_path: Path) -> None:
        assert tuning.main(self.arguments(tmp_path, "--methods", "random,tpe-mv,gp")) == 0
        runs = json.loads((tmp_path / "out.json").read_text())
        assert {(r["task"], r["seed"], r["method"]) for r in runs} == {
            (t, 0, m) for t in ("a", "b") for m in ("random", "tpe-mv", "gp")
        }
        assert all(set(r) == {"suite", "task", "seed", "method", "default", "regret"} for r in runs)
        assert len({r["regret"][0] for r in runs}) == 1
        assert all(len(r["regret"]) == 6 and r["regret"] == sorted(r["regret"], reverse=True) for r in runs)

    def test_hidden_names_keep_runs_of_their_own(self, bowl_suite: BowlSuite, tmp_path: Path) -> None:
        for more in ((), ("--obfuscate",)):
            assert tuning.main([*self.arguments(tmp_path, "--methods", "random"), *more]) == 0
        assert {path.name for path in tmp_path.glob("*.jsonl")} == {"out.cache.jsonl", "out-obfuscated.cache.jsonl"}

    def test_a_second_run_computes_nothing_again(
        self, bowl_suite: BowlSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = self.arguments(tmp_path, "--methods", "random")
        assert tuning.main(arguments) == 0
        first = (tmp_path / "out.json").read_text()
        with (tmp_path / "out.cache.jsonl").open("a") as file:
            file.write('{"suite": "bowl", "ta')  # what a kill leaves behind
        monkeypatch.setattr(tuning, "run", lambda job: pytest.fail(f"ran {job} again"))
        assert tuning.main(arguments) == 0
        assert (tmp_path / "out.json").read_text() == first

    def test_longer_runs_are_computed_and_shorter_ones_cut(self, bowl_suite: BowlSuite, tmp_path: Path) -> None:
        for trials in ("6", "8", "4"):
            assert tuning.main([*self.arguments(tmp_path, "--methods", "random"), "--trials", trials]) == 0
            assert {len(r["regret"]) for r in json.loads((tmp_path / "out.json").read_text())} == {int(trials)}

    @pytest.mark.parametrize("method", ["random", "tpe", "tpe-mv", "gp", "cmaes", "luthier"])
    def test_a_method_repeats_itself_and_begins_with_the_default(self, method: str) -> None:
        if method == "luthier":
            pytest.importorskip("luthier.trials.advisors")
        task = BowlSuite().task(None, "a")
        starts = task.starts("common", 0)
        space = suites.with_default(SPACE, starts[0])
        runs = []
        for _ in range(2):
            tune = methods.METHODS[method]
            runs.append(tune(bowl, space, Direction.MINIMIZE, starts=starts, trials=7, seed=3, model="none"))
        assert runs[0] == runs[1]
        assert runs[0][0] == bowl(starts[0])
        assert len(runs[0]) == 7

    def test_the_graph_proposes_what_the_advisors_alone_propose(self) -> None:
        start = BowlSuite().task(None, "a").starts("common", 0)
        runs = [
            tune(
                bowl,
                suites.with_default(SPACE, start[0]),
                Direction.MINIMIZE,
                starts=start,
                trials=7,
                seed=5,
                model="none",
            )
            for tune in (methods.luthier, methods.luthier_graph)
        ]
        assert runs[0] == runs[1]

    def test_the_table_names_a_loss_as_it_names_a_win(self) -> None:
        def run(task: str, method: str, regret: float) -> results.Result:
            return results.Result("bowl", task, 0, method, "common", [1.0, regret])

        won = [run(str(i), m, r) for i in range(5) for m, r in (("luthier", 0.1), ("gp", 0.2))]
        lost = [run(str(i), m, r) for i in range(5) for m, r in (("luthier", 0.2), ("gp", 0.1))]
        cells = [[list(column.cells) for column in report.paired_table(r).columns] for r in (won, lost)]
        assert [c[1] for c in cells] == [["-0.100"], ["+0.100"]]
        assert [c[3] for c in cells] == [["yes"], ["no"]]
        assert [c[4] for c in cells] == [["5/5"], ["0/5"]]


def test_the_model_s_worth_is_measured_from_equal_starts_and_goes_on(bowl_suite: BowlSuite, tmp_path: Path) -> None:
    words = "--suite bowl --default common --model random --tasks 2 --seeds 1 --trials 4"
    command = [
        *words.split(),
        "--arms",
        "none,always,gated,random-gate",
        "--folder",
        str(tmp_path / "w"),
        "--json",
        str(tmp_path / "o.json"),
    ]
    worth.main(command)
    rows = json.loads((tmp_path / "o.json").read_text())
    known = {(r["method"], r["metric"]): r["value"] for r in rows}
    assert known["always", "share"] == 1.0
    assert known["none", "share"] == 0.0
    assert known["always", "tokens"] > 0 == known["none", "tokens"]
    assert ("gated", "regret minus always") in known
    worth.main(command)  # from the kept studies
    assert {(r["method"], r["metric"]): r["value"] for r in json.loads((tmp_path / "o.json").read_text())} == known


def critics(folder: Path) -> list[dict[str, str]]:
    """What the critic said in a study."""
    study = Study.open(folder)
    said = [one for trial in study.finished for one in trial.extra.get("agents", [])]
    study.close()
    return [one for one in said if one["role"] == "critic"]


def test_the_critic_of_an_arm_can_have_a_scorer_of_its_own(bowl_suite: BowlSuite, tmp_path: Path) -> None:
    scorer, figures = tmp_path / "scorer.json", tmp_path / "o.json"
    scorer.write_text(json.dumps({"features": FEATURES, "start": -9.0, "trees": []}))  # all steps are as bad
    words = "--suite bowl --default common --model random --tasks 1 --seeds 1 --trials 4 --arms none,always"
    where = ["--folder", str(tmp_path / "w"), "--json", str(figures), "--scorer", str(scorer)]
    assert worth.main([*words.split(), *where]) == 0
    said = [t["text"] for file in (tmp_path / "w").rglob("study.db") for t in critics(file.parent)]
    assert said
    assert not any("sends it back" in text for text in said)  # so no plan is worse than what the advisors would run
