"""The predictor benchmark: figures, folds, cache and networks on small logs, and the fold file where the data are."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from luthier.models.embedder import Embedder
from luthier.predictor import metrics
from luthier.predictor.ability import Rasch
from luthier.predictor.aflow import read_aflow
from luthier.predictor.baselines import LogisticRegression, Majority, SuiteMean
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimates, Estimator
from luthier.predictor.logs import Logs, Pairs
from luthier.predictor.splits import SPLITS, folds
from luthier.predictor.testing import EstimatorContract, Make, generated

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import predictor_chance as by_chance  # noqa: E402
import predictor_figures as figures  # noqa: E402
import predictor_folds  # noqa: E402
import predictor_nets  # noqa: E402
import predictor_probes as probes  # noqa: E402
import predictor_runs as runs  # noqa: E402
import predictor_tables as tables  # noqa: E402
import predictor_timing as timing  # noqa: E402
from predictor_models import BASELINES, MODELS, OURS, Factory  # noqa: E402

import predictor as benchmark  # noqa: E402

DATA = Path(os.environ.get("LUTHIER_DATA", BENCHMARKS.parent.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the measured data is not there: no folder {DATA}")


class Letters:
    """An embedder that counts letters: enough to tell texts apart."""

    name, size = "letters", 26

    def embed(self, texts: list[str]) -> np.ndarray:
        found = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32) + 0.01
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def encoder() -> Encoder:
    embedder: Embedder = Letters()  # type: ignore[assignment]
    return Encoder(embedder)


class Probing(SuiteMean):
    """Adds to the suite's mean what the probes of a workflow say."""

    def __init__(self) -> None:
        super().__init__()
        self._won: dict[str, float] = {}

    def probed(self, given: Logs) -> Probing:
        other = Probing()
        other.__dict__.update(self.__dict__)
        other._won = {
            given.workflows[w].graph_key: float(given.frequency[given.workflow == w].mean())
            for w in np.unique(given.workflow)
        }
        return other

    def predict(self, pairs: Pairs) -> Estimates:
        found = super().predict(pairs)
        told = np.array([self._won.get(pairs.workflows[w].graph_key, 0.5) for w in pairs.workflow])
        return replace(found, probability=0.5 * found.probability + 0.5 * np.clip(told, 0.01, 0.99))


SMALL: dict[str, Factory] = {
    "majority": lambda e: Majority(),
    "suite mean": lambda e: SuiteMean(),
    "logistic": LogisticRegression,
    OURS: lambda e: Probing(),
}


@pytest.fixture(scope="module")
def logs() -> Logs:
    return generated(tasks=24, workflows=16)


def evaluated(logs: Logs, folder: Path, splits: tuple[str, ...] = tuple(SPLITS)) -> list[figures.Figure]:
    dealt = {split: folds(logs, split) for split in splits}
    kept = runs.Kept(folder)
    assert len(list(runs.run_all(logs, dealt, SMALL, encoder(), kept))) == sum(4 * len(set(f)) for f in dealt.values())
    return list(benchmark.evaluate(logs, dealt, list(SMALL), kept))


def test_every_figure_is_there_once_and_lies_in_its_interval(logs: Logs, tmp_path: Path) -> None:
    found = evaluated(logs, tmp_path)
    names = [(f.split, f.domain, f.model, f.metric) for f in found]
    assert len(set(names)) == len(names)
    assert {f.split for f in found} == set(SPLITS)
    assert {f.model for f in found} == {*SMALL, benchmark.ALONE, benchmark.KNOWING, benchmark.HALVES}
    every = {"accuracy", "auc", "auc-within", "brier", "log-loss", "calibration-error", "kendall-tau", "top-1-regret"}
    assert {*every, "utility", "auc-minus-best", "auc-within-minus-best", "auc-within-in-fold"} <= {
        f.metric for f in found if f.model == OURS
    }
    assert all(np.isfinite([f.value, f.low, f.high]).all() for f in found if f.metric in every - {"auc", "auc-within"})
    for one in found:
        if np.isfinite([one.value, one.low, one.high]).all():
            assert one.low - 1e-9 <= one.value <= one.high + 1e-9, one


def test_figures_are_those_of_the_plain_metrics(logs: Logs, tmp_path: Path) -> None:
    found = {(f.model, f.metric): f.value for f in evaluated(logs, tmp_path, ("pair",)) if f.domain == "pooled"}
    fold = folds(logs, "pair")
    kept = runs.gather(logs, "pair", fold, "logistic", runs.Kept(tmp_path))
    p, weight = kept["probability"], logs.runs.astype(float)
    assert found["logistic", "auc"] == pytest.approx(metrics.auc(p, logs.label))
    assert found["logistic", "accuracy"] == pytest.approx(metrics.accuracy(p, logs.label))
    assert found["logistic", "brier"] == pytest.approx(metrics.brier(p, logs.frequency, weight))
    assert found["logistic", "log-loss"] == pytest.approx(metrics.log_loss(p, logs.frequency, weight))
    assert found["logistic", "calibration-error"] == pytest.approx(metrics.calibration_error(p, logs.frequency, weight))
    each = [metrics.auc(p[rows], logs.label[rows]) for s in ("sums", "words") for rows in [logs.suite == s]]
    assert found["logistic", "auc-within"] == pytest.approx(np.mean(each))
    best = max(found[b, "auc"] for b in BASELINES if b in SMALL)
    assert found[OURS, "auc-minus-best"] == pytest.approx(found[OURS, "auc"] - best)


def test_the_chosen_baseline_is_the_best_one_of_the_other_domains(logs: Logs, tmp_path: Path) -> None:
    found = {(f.domain, f.model, f.metric): f.value for f in evaluated(logs, tmp_path, ("task",))}
    for domain, other in (("sums", "words"), ("words", "sums")):
        chosen = max((b for b in BASELINES if b in SMALL), key=lambda name: found[other, name, "auc"])
        ahead = found[domain, OURS, "auc"] - found[domain, chosen, "auc"]
        assert found[domain, OURS, "auc-minus-chosen"] == pytest.approx(ahead)
    assert ("pooled", OURS, "auc-minus-chosen") not in found
    gap = figures.Figure("task", "sums", OURS, "auc-minus-chosen", 0.1, 0.0, 0.2)
    assert tables.shown(gap) == "+10.0 [+0.0, +20.0]"


def test_a_perfect_ranking_has_tau_1_and_no_regret(logs: Logs) -> None:
    for split in ("task", "workflow"):
        part = figures.Part.of(logs, np.arange(len(logs)), split)
        tau = figures.ranking(part, logs.frequency, logs.frequency, metrics.kendall_tau)
        regret = figures.ranking(part, logs.frequency, logs.frequency, metrics.top_regret)
        assert tau[0] == pytest.approx(1)
        assert regret == pytest.approx(0)


def test_probes_help_to_rank_new_workflows(logs: Logs, tmp_path: Path) -> None:
    found = {(f.model, f.metric): f.value for f in evaluated(logs, tmp_path, ("workflow",)) if f.domain == "pooled"}
    assert found[OURS, "kendall-tau-after-10"] > found[OURS, "kendall-tau"] + 0.2
    assert found[benchmark.ALONE, "kendall-tau-after-10"] > found[benchmark.ALONE, "kendall-tau-after-3"]
    assert found[benchmark.KNOWING, "kendall-tau-after-10"] > found[benchmark.ALONE, "kendall-tau-after-10"] - 0.1
    assert ("suite mean", "kendall-tau-after-3") not in found


def test_each_suite_of_a_domain_has_its_own_ranking_after_probes(logs: Logs, tmp_path: Path) -> None:
    """The mean over suites hides a suite in which there is nothing to rank."""
    named = {"sums": "GSM8K", "words": "MATH"}
    of_math = replace(logs, workflows=tuple(replace(w, suite=named[w.suite]) for w in logs.workflows))
    every = evaluated(of_math, tmp_path, ("workflow",))
    found = {(f.domain, f.model, f.metric): f.value for f in every}
    each = [found[suite, OURS, "kendall-tau-after-3"] for suite in named.values()]
    assert found["Math", OURS, "kendall-tau-after-3"] == pytest.approx(np.mean(each))
    assert ("GSM8K", benchmark.HALVES, "kendall-tau") in found
    shown = tables.tables(every, ["kendall-tau-after-3"])
    assert [[str(column.header) for column in table.columns] for table in shown] == [
        ["model", "Math"],
        ["model", "GSM8K", "MATH"],
    ]


def test_probes_are_single_runs_on_different_tasks_and_the_same_for_everyone(logs: Logs) -> None:
    drawn = probes.draw(logs, 3, (0, 1))
    assert (drawn.runs == 1).all()
    assert len({*zip(drawn.workflow, drawn.task, strict=True)}) == len(drawn) == 3 * len(logs.workflows)
    assert (probes.draw(logs, 3, (0, 1)).successes == drawn.successes).all()
    assert (probes.draw(logs, 99, (0, 1)).workflow == np.sort(logs.workflow)).all()


def test_chosen_probes_are_on_the_tasks_of_most_worth(logs: Logs) -> None:
    worth = np.random.default_rng(0).random(len(logs))
    drawn, again = (probes.draw(logs, 3, (0, seed), worth) for seed in (1, 2))
    assert (drawn.runs == 1).all()
    assert (drawn.task == again.task).all()  # whatever the draw: only the run is chance
    for w in range(len(logs.workflows)):
        rows = np.flatnonzero(logs.workflow == w)
        assert set(drawn.task[drawn.workflow == w]) == set(logs.task[rows[np.argsort(-worth[rows])[:3]]])


def test_only_those_who_can_choose_are_asked_for_probes(logs: Logs) -> None:
    train, test = logs.take(logs.workflow % 4 != 0), logs.take(logs.workflow % 4 == 0)
    assert set(probes.after_probes(Rasch().fit(train), train, test, 3, 0)) == {"after 3", "after 3 chosen"}
    assert set(probes.after_probes(Probing().fit(train), train, test, 3, 0)) == {"after 3"}
    assert probes.after_probes(Majority().fit(train), train, test, 3, 0) == {}


def test_an_area_within_folds_compares_rows_of_one_fold_only(logs: Logs) -> None:
    fold = folds(logs, "task")
    part = figures.Part.of(logs, np.arange(len(logs)), "task")
    level = np.linspace(0.1, 0.9, 5)[fold]
    flat = figures.aucs(part, Estimates(level, level, level > 2), fold)
    assert flat["auc-within-in-fold"][0] == pytest.approx(0.5)
    ranked = np.clip(0.01 * logs.label + 0.9 * level, 0.01, 0.99)
    within = figures.aucs(part, Estimates(ranked, level, level > 2), fold)
    assert within["auc-within-in-fold"] == pytest.approx(1)
    assert within["auc-within"][0] < 1


def test_known_difficulties_come_from_the_other_workflows(logs: Logs) -> None:
    known = probes._elsewhere(logs)
    row = 5
    others = (logs.task == logs.task[row]) & (logs.suite == logs.suite[row]) & (np.arange(len(logs)) != row)
    assert known[row] == pytest.approx(np.clip(logs.frequency[others].mean(), probes.EDGE, 1 - probes.EDGE))


def test_a_task_counts_in_one_half_alone(logs: Logs) -> None:
    before = probes.halves(logs, 0)
    for task in np.unique(logs.task):
        turned = np.where(logs.task == task, logs.runs - logs.successes, logs.successes)
        after = probes.halves(replace(logs, successes=turned), 0)
        for suite in np.unique(logs.suite[(logs.task == task) & (turned != logs.successes)]):
            rows = logs.suite == suite
            assert sum(not np.allclose(a[rows], b[rows]) for a, b in zip(before, after, strict=True)) == 1


def test_halves_rank_alike_where_tasks_show_the_same(logs: Logs) -> None:
    steady = replace(logs, successes=np.where(logs.workflow // 2 % 2, logs.runs, 0))
    everything = figures.Part.of(steady, np.arange(len(logs)), "workflow")
    assert figures.halves_tau(everything)[0] == pytest.approx(1.0)


def test_a_run_goes_on_where_it_stopped_and_redo_does_it_again(logs: Logs, tmp_path: Path) -> None:
    made: list[str] = []

    def counting(encoder: Encoder) -> Estimator:
        made.append("x")
        return Majority()

    dealt = {"pair": folds(logs, "pair")}
    jobs = runs.run_all(logs, dealt, {"majority": counting}, encoder(), runs.Kept(tmp_path))
    next(jobs), next(jobs)
    for expected in (5, 5):
        list(runs.run_all(logs, dealt, {"majority": counting}, encoder(), runs.Kept(tmp_path)))
        assert len(made) == expected
    list(runs.run_all(logs, dealt, {"majority": counting}, encoder(), runs.Kept(tmp_path, redo=["majority"])))
    assert len(made) == 10
    other = replace(logs, successes=logs.runs - logs.successes)
    list(runs.run_all(other, dealt, {"majority": counting}, encoder(), runs.Kept(tmp_path)))
    assert len(made) == 15


def test_abstaining_counts_wrong_and_sure_pairs_only(logs: Logs) -> None:
    part = figures.Part.of(logs, np.arange(len(logs)), "suite")
    wrong = np.where(logs.label > 0, 0.1, 0.9)
    half = np.arange(len(logs)) % 2 == 0
    deviation = np.zeros(len(logs))
    assert figures.abstaining(part, Estimates(wrong, deviation, half))[0] == pytest.approx(half.mean())
    assert np.isnan(figures.abstaining(part, Estimates(1 - wrong, deviation, half))[0])
    unsure = np.where(logs.label > 0, 0.4, 0.6)
    assert np.isnan(figures.abstaining(part, Estimates(unsure, deviation, half))[0])


def test_tables_and_json_show_what_was_found(logs: Logs, tmp_path: Path) -> None:
    found = evaluated(logs, tmp_path / "kept", ("pair",))
    (table,) = tables.tables([f for f in found if f.domain == "pooled"], ["brier"])
    text = tables.markdown(table)
    assert text.startswith("**brier, unseen pairs")
    assert all(f"| {model} |" in text for model in SMALL)
    benchmark.write(tmp_path / "out.json", [*found, replace(found[0], value=float("nan"))])
    rows = json.loads((tmp_path / "out.json").read_text())
    assert set(rows[0]) == {"split", "domain", "model", "metric", "value", "low", "high"}
    assert rows[-1]["value"] is None


def test_the_fold_file_keeps_the_folds_and_knows_its_logs(logs: Logs, tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps(predictor_folds.make(logs)))
    for split in SPLITS:
        assert (predictor_folds.read(logs, split, path) == folds(logs, split)).all()
    with pytest.raises(predictor_folds.WrongFolds, match="other logs"):
        predictor_folds.read(generated(tasks=10), "task", path)


def test_a_wrong_request_is_one_line_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--json", str(tmp_path / "x.json")]
    for wrong, words in (
        (["--data", str(tmp_path), "--models", "gnc"], "a model must be one of majority"),
        (["--data", str(tmp_path), "--splits", "pears"], "a split must be one of pair"),
        (["--data", str(tmp_path)], "workflows.jsonl.gz is missing"),
    ):
        assert benchmark.main([*wrong, *out]) == 2
        assert words in capsys.readouterr().err


def test_candidates_whose_estimates_are_timed_were_never_seen(logs: Logs) -> None:
    made = timing.candidates(logs, np.random.default_rng(0))
    keys = {workflow.graph_key for workflow in made.workflows}
    assert len(made) == timing.CANDIDATES
    assert not keys & {workflow.graph_key for workflow in logs.workflows}
    assert len(keys) > timing.CANDIDATES / 4  # these logs have few steps to put in order


def test_a_timing_is_of_the_round_in_the_middle_and_says_whether_it_is_enough(logs: Logs) -> None:
    seconds = iter([0.0, 0.02, 0.001])
    row = timing.timed("sleep", lambda: time.sleep(next(seconds)), rounds=3, target=0.0001)
    assert row.seconds >= 0.001
    assert "to reach 0.0001: NO" in str(row)
    told = [*timing.training(logs, encoder(), Rasch(), report=False)]
    assert told[-1].seconds == pytest.approx(sum(one.seconds for one in told[:-1]))


@pytest.mark.parametrize("name", predictor_nets.CONVOLUTIONS)
class TestGraphNet(EstimatorContract):
    @pytest.fixture
    def make(self, name: str) -> Make:
        return lambda: predictor_nets.GraphNet(name, encoder())


def test_networks_leave_torch_as_it_was(logs: Logs) -> None:
    import torch

    state, threads = torch.get_rng_state(), torch.get_num_threads()
    predictor_nets.GraphNet("gcn", encoder()).fit(logs)
    assert (torch.get_rng_state() == state).all()
    assert torch.get_num_threads() == threads


@needs_data
def test_the_fold_file_fits_the_data() -> None:
    logs = read_aflow(DATA / "aflow_runs")
    for split in SPLITS:
        assert (predictor_folds.read(logs, split) == folds(logs, split)).all()
    assert set(benchmark.domains(logs)) == {"Coding", "Math", "Reason", "pooled"}
    assert {*BASELINES, OURS} <= set(MODELS)


def test_a_calibration_error_by_chance_is_none_where_nothing_is_uncertain_and_falls_with_the_tasks() -> None:
    rng, n = np.random.default_rng(0), 2000
    said = Estimates(rng.uniform(0.05, 0.95, n), np.full(n, 2.0), np.zeros(n, bool))
    runs = np.full(n, 5)

    def error(found: Estimates, tasks: int) -> float:
        return float(by_chance.calibration_by_chance(found, np.arange(n) % tasks, runs)[0])

    assert error(replace(said, deviation=np.zeros(n)), 20) < 1e-9
    assert error(said, 20) > 2 * error(said, 2000) > 0


def test_a_model_that_is_right_errs_as_much_as_chance_says() -> None:
    rng, tasks = np.random.default_rng(1), 50
    errors = []
    p, deviation, runs = rng.uniform(0.1, 0.9, tasks), np.full(tasks, 1.5), np.full(tasks, 5)
    centre = np.log(p / (1 - p)) * np.sqrt(1 + np.pi * deviation**2 / 8)
    for _ in range(200):
        came = 1 / (1 + np.exp(-(centre + deviation * rng.normal(0, 1, tasks))))
        errors.append(metrics.calibration_error(p, came, runs.astype(float)))
    told = by_chance.calibration_by_chance(Estimates(p, deviation, np.zeros(tasks, bool)), np.arange(tasks), runs)
    assert told[0] == pytest.approx(np.mean(errors), rel=0.15)
