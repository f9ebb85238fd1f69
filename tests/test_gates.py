"""Both gates in the tuning graph, with real studies and rules of our own in their place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import SPACE, FunctionRunner, Listening
from typer.testing import CliRunner

from luthier.cli import app
from luthier.graphs.events import Said, Warned
from luthier.graphs.gating import Gates, draw
from luthier.graphs.judging import audited
from luthier.graphs.loop import AUTO, WITH_MODEL, tune_study
from luthier.models.errors import ModelMissing
from luthier.models.fake import RandomChat, ScriptedChat
from luthier.predictor.audits import MAX_SKIPS
from luthier.predictor.trial_gate import Judgement
from luthier.predictor.turns import Arm, Drawn, Turn
from luthier.predictor.workflow import WORKFLOWS
from luthier.trials.errors import StudyError
from luthier.trials.records import Candidate, Config, Direction, Trial
from luthier.trials.space import Space
from luthier.trials.spec import Budget
from luthier.trials.study import INFO, Study, lots_of


def bowl(config: Config) -> float | None:
    """Best at lr 0.01."""
    return (math.log10(float(config["lr"])) + 2) ** 2


class Refusing:
    """Skips what a rule says; a judge of gate 2 without learning."""

    def __init__(self, rule: Callable[[Config], bool]) -> None:
        self._rule = rule
        self.seen: list[Sequence[Trial]] = []

    def __call__(self, space: Space, direction: Direction, **known: object) -> Refusing:
        return self

    def fit(self, trials: Sequence[Trial], noise: float | None) -> None:
        self.seen.append(trials)

    def judge(self, config: Config, *, searched: bool = False) -> Judgement:
        skip = self._rule(config)
        return Judgement(skip, "it fails with probability 90%" if skip else "", 0.9 if skip else 0.1, None, 2.0)


class Drawing:
    """Draws candidates at random; one that takes no time."""

    name = "random"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        rng = np.random.default_rng(seed + len(trials))
        return [Candidate(space.sample(rng), self.name, "drawn") for _ in range(n)]


class Always:
    """Gives every turn to one workflow, while it is there."""

    def __init__(self, workflow: str) -> None:
        self.workflow = workflow
        self.arms: list[Sequence[Arm]] = []

    def __call__(
        self, arms: Sequence[Arm], turns: Sequence[Turn], *, seed: int, index: int, past: Sequence[Turn]
    ) -> Drawn:
        self.arms.append(arms)
        arm = next((arm for arm in arms if arm.workflow == self.workflow), arms[-1])
        return Drawn(arm, 0.5, False, (), f"{arm.workflow}, always")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "s", name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE)


def tune(study: Study, trials: int = 4, **options: Any) -> FunctionRunner:
    runner = FunctionRunner(bowl)
    tune_study(study, runner, budget=Budget(trials=trials), noise=0, **options)
    return runner


def adam(config: Config) -> bool:
    return config["optimizer"] == "adam"


def test_what_the_gate_refuses_does_not_run_and_is_kept_with_the_trial(study: Study) -> None:
    judge, heard = Refusing(lambda c: not adam(c)), Listening()
    runner = tune(study, 8, gates=Gates(judge=judge, audits=0.0), advisors=[Drawing()], listen=heard)
    ran = [t for t in study.finished if not adam(t.config)]
    skips = [skip for t in study.finished for skip in t.extra["skips"]]
    assert len(runner.runs) == 8  # a skipped candidate costs no trial
    assert ran == []
    assert skips
    assert all(not adam(skip["config"]) and skip["failure"] == 0.9 and skip["seconds"] == 2.0 for skip in skips)
    assert any(isinstance(e, Said) and "skips" in e.text for e in heard.events)
    logged = [json.loads(line) for line in (study.folder / "workflows.jsonl").read_text().splitlines()]
    assert [line["skips"] for line in logged] == [t.extra["skips"] for t in study.finished]


def test_trial_zero_always_runs(study: Study) -> None:
    tune(study, 1, gates=Gates(judge=Refusing(lambda c: True), audits=0.0))
    assert study.finished[0].config == SPACE.default()
    assert study.finished[0].extra["skips"] == []


def test_where_all_candidates_are_refused_one_runs_and_it_is_said_once(study: Study) -> None:
    heard = Listening()
    tune(study, 4, gates=Gates(judge=Refusing(lambda c: True), audits=0.0), advisors=[Drawing()], listen=heard)
    assert [len(t.extra["skips"]) for t in study.finished] == [0, *[MAX_SKIPS] * 3]
    warned = [e for e in heard.events if isinstance(e, Warned)]
    assert len([e for e in warned if "every candidate" in e.text]) == 1
    for trial in study.finished[1:]:
        keys = {SPACE.key(skip["config"]) for skip in trial.extra["skips"]}
        assert len(keys) == MAX_SKIPS  # each time another one was asked for
        assert SPACE.key(trial.config) not in keys


def test_an_audit_runs_what_was_refused(study: Study) -> None:
    tune(study, 6, gates=Gates(judge=Refusing(lambda c: True), audits=1.0), advisors=[Drawing()])
    for trial in study.finished[1:]:
        assert trial.extra["skips"] == []
        assert trial.extra["audit"]["config"] == trial.config
        assert trial.extra["audit_rate"] == 1.0
    assert study.finished[0].extra["audit"] is None


def test_the_same_study_made_again_draws_the_same_lots(tmp_path: Path) -> None:
    def ran_anyway(parent: str, name: str, **options: Any) -> list[bool]:
        place = tmp_path / parent / name
        one = Study.create(place, name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE, **options)
        gates = Gates(judge=Refusing(lambda c: True), audits=0.3)
        tune(one, 4, gates=gates, advisors=[Drawing()])
        one.close()
        tune(again := Study.open(place), 9, gates=gates, advisors=[Drawing()])
        return [t.extra["audit"] is not None for t in again.finished]

    assert ran_anyway("a", "s") == ran_anyway("b", "s")
    assert len({tuple(ran_anyway(f"c{seed}", "s", seed=seed)) for seed in range(3)}) > 1
    assert len({tuple(ran_anyway("d", f"s-{number}")) for number in range(3)}) > 1


def test_lots_of_studies_with_one_seed_are_independent_and_as_frequent_as_they_say(tmp_path: Path) -> None:
    rate, places, studies = 0.05, 40, 200
    lots = [lots_of(tmp_path / f"s{number}", {"name": f"s{number}", "seed": 0}) for number in range(studies)]
    drawn = np.array([[audited(lot, place, 0, rate) for place in range(places)] for lot in lots])
    share, error = drawn.mean(), (rate * (1 - rate) / drawn.size) ** 0.5
    assert abs(share - rate) < 4 * error
    # Shared lots would put each study's audits at the same places: all or nothing of a column.
    assert drawn.mean(axis=0).max() < 5 * rate
    assert len({row.tobytes() for row in drawn}) > studies / 2


def test_what_gate_1_draws_is_not_shared_by_studies_of_one_seed(tmp_path: Path) -> None:
    def floor(name: str) -> list[int]:
        one = Study.create(tmp_path / name, name=name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
        flows = {flow: WORKFLOWS[flow] for flow in WITH_MODEL}
        turns = (draw(Gates(), flows, "m", [], one.direction, number=n, seed=one.lots) for n in range(1, 120))
        return [number for number, turn in enumerate(turns, 1) if turn["random"]]

    found = [floor(name) for name in "abc"]
    assert len({tuple(places) for places in found}) == 3
    assert all(0 < len(places) < 20 for places in found)


def test_a_study_from_before_lots_has_its_own_ones_and_keeps_them(study: Study, tmp_path: Path) -> None:
    def aged(one: Study) -> int:
        info = {fact: told for fact, told in one._info.items() if fact != "lots"}
        one._storage.set_study_user_attr(one._id, INFO, info)
        return Study.open(one.folder).lots

    other = Study.create(tmp_path / "o" / "s", name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    assert other.lots == study.lots
    assert aged(other) != aged(study) == Study.open(study.folder).lots


def half(config: Config) -> float | None:
    """Only small networks fit."""
    return None if float(config["units"]) > 100 else bowl(config)


def test_the_real_judge_learns_where_runs_fail(study: Study) -> None:
    runner = FunctionRunner(half)
    tune_study(study, runner, budget=Budget(trials=30), noise=0, advisors=[Drawing()], gates=Gates(audits=0.0))
    skips = [skip for t in study.finished for skip in t.extra["skips"]]
    assert skips
    assert sum(half(skip["config"]) is None for skip in skips) > len(skips) / 2
    assert any("fails with probability" in skip["why"] for skip in skips)


def test_a_model_reads_the_script_once_a_run_has_failed(study: Study, tmp_path: Path) -> None:
    tune_study(study, FunctionRunner(half), budget=Budget(trials=9), noise=0, advisors=[Drawing()],
               model=RandomChat(), model_name="random-32b", gates=Gates(audits=0.0))  # fmt: skip
    assert any(t.died_there for t in study.finished)
    kept = json.loads((study.folder / "features.json").read_text())
    assert all(isinstance(text, str) for text in kept)


@pytest.mark.parametrize("workflow", WITH_MODEL)
def test_the_workflow_that_gets_the_turn_carries_the_trial(study: Study, workflow: str) -> None:
    rule, heard = Always(workflow), Listening()
    tune(study, 4, model=RandomChat(), model_name="random", gates=Gates(rule=rule, judge=None), listen=heard)
    for trial in study.finished[1:]:
        turn = trial.extra["turn"]
        assert (trial.extra["workflow"], turn["workflow"], turn["probability"]) == (workflow, workflow, 0.5)
        assert trial.extra["choice_probability"] == 0.5
        assert trial.extra["agents"][0] == {"role": "gate", "text": f"the turn goes to {workflow}: {turn['reason']}"}
        assert trial.extra["model"] == ("none" if workflow in ("advisors", "chance") else "random")
    assert [arm.workflow for arm in rule.arms[0]] == list(WITH_MODEL)
    assert any(isinstance(e, Said) and e.role == "gate" and "the turn goes to" in e.text for e in heard.events)


def test_a_trial_shows_what_gate_1_weighed(study: Study) -> None:
    tune(study, 2, model=RandomChat(), model_name="ollama:x:y", gates=Gates(judge=None))
    shown = CliRunner().invoke(app, ["show", str(study.folder), "--trial", "1"]).stdout
    for arm in study.finished[1].extra["turn"]["arms"]:
        model = "" if arm["model"] == "none" else " by ollama:x:y"
        assert f"{arm['probability']:.2f} {arm['workflow']}{model}: gain {arm['ratio']:.3g} (" in shown
    assert shown.count("        turn  ") == len(WITH_MODEL)
    first = CliRunner().invoke(app, ["show", str(study.folder), "--trial", "0"])
    assert (first.exit_code, first.stdout.count("        turn  ")) == (0, 0)  # there is nothing to draw from


def test_chance_draws_among_the_candidates_that_a_planner_would_see(study: Study) -> None:
    tune(study, 8, workflow="chance", gates=Gates(judge=None))
    drawn = [t for t in study.finished if "draw" in t.extra["ran"] and "take" not in t.extra["ran"]]
    assert len({t.source for t in drawn}) > 1
    assert all(t.extra["decisions"] == 0 and 0 < t.extra["model_share"] <= 0.5 for t in drawn)


def test_a_model_that_fails_at_everything_rests(study: Study) -> None:
    rule = Always("planner")
    broken = ScriptedChat.of([ModelMissing("no model")] * 50)
    tune(study, 8, model=broken, model_name="broken", gates=Gates(rule=rule, judge=None))
    assert len(study.finished) == 8
    assert {arm.model for arm in rule.arms[2]} == {"none"}


def test_a_workflow_by_name_leaves_gate_1_nothing_to_decide(study: Study) -> None:
    tune(study, 3, workflow="planner", model=RandomChat(), model_name="random", gates=Gates(judge=None))
    assert {t.extra["workflow"] for t in study.finished} == {"planner"}


def test_without_a_model_the_advisors_decide(study: Study) -> None:
    tune(study, 3, workflow=AUTO, gates=Gates(judge=None))
    assert {t.extra["workflow"] for t in study.finished} == {"advisors"}


def test_a_predictor_that_abstains_or_speaks_reaches_the_rule(study: Study) -> None:
    rule = Always("advisors")
    gates = Gates(rule=rule, judge=None, success=lambda flows: [None if f.uses_model else 0.5 for f in flows])
    tune(study, 2, model=RandomChat(), model_name="random", gates=gates)
    assert {arm.workflow: arm.success for arm in rule.arms[0]}["advisors"] == 0.5
    assert {arm.workflow: arm.success for arm in rule.arms[0]}["planner"] is None


def test_the_graph_of_a_workflow_of_ones_own_is_not_printed(study: Study) -> None:
    tune(study, 1, workflow=WORKFLOWS["advisors"].model_copy(update={"name": "mine"}), gates=Gates(judge=None))
    with pytest.raises(StudyError, match="had one named 'mine'"):
        CliRunner().invoke(app, ["show", str(study.folder), "--graph"], catch_exceptions=False)
