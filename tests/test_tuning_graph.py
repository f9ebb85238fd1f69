"""The tuning graph and its loop, with real studies and doubles for the script and the model."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles import SPACE, FunctionRunner, Listening

from luthier.agents.critic import Worth
from luthier.graphs.budgets import Spent, short_of_time
from luthier.graphs.events import NoiseMeasured, Said, Stopped, StopReason, TrialFinished, Warned
from luthier.graphs.gating import Gates
from luthier.graphs.loop import tune_study
from luthier.models.choosing import letters_of
from luthier.models.errors import ModelMissing
from luthier.models.fake import RandomChat, Scored, ScriptedChat, favouring
from luthier.predictor.workflow import WORKFLOWS
from luthier.trials.errors import SpecError, StudyError
from luthier.trials.records import Candidate, Cause, Config, Direction, Failure, Outcome, State, Trial
from luthier.trials.space import Choice, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study


def bowl(config: Config) -> float | None:
    """Best at lr 0.01; the largest networks do not fit."""
    if float(config["units"]) > 440:
        return None
    return (math.log10(float(config["lr"])) + 2) ** 2 + float(config["units"]) / 1000


class ListAdvisor:
    """Proposes three fixed steps from the default, by name."""

    name = "gp"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        if not trials:
            return [Candidate(space.default(), "default", "your present configuration")]
        k = len(trials)
        return [
            Candidate({"lr": 0.001 * 1.5 ** (k + j), "units": 32 + j, "optimizer": "adam"}, "gp", f"step {j}")
            for j in range(3)
        ]


ASKED = Gates(judge=None, worth=None)  # the critic asks the model


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "s", name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE)


def tune(study: Study, runner: FunctionRunner, trials: int = 4, **options: Any) -> StopReason:
    options = {"noise": 0, **options}
    return tune_study(study, runner, budget=Budget(trials=trials), **options)


def test_trial_zero_is_the_default_and_the_budget_is_kept(study: Study) -> None:
    runner, heard = FunctionRunner(bowl), Listening()
    assert tune(study, runner, 5, listen=heard) is StopReason.TRIALS
    assert [t.number for t in study.finished] == [0, 1, 2, 3, 4]
    assert study.trials[0].config == SPACE.default()
    assert len(runner.runs) == 5
    assert len({SPACE.key(t.config) for t in study.finished}) == 5
    assert [e.trial.number for e in heard.of(TrialFinished)] == [0, 1, 2, 3, 4]  # type: ignore[union-attr]
    assert heard.events[-1] == Stopped(StopReason.TRIALS)


def test_the_same_call_again_runs_nothing_and_a_larger_budget_goes_on(study: Study) -> None:
    runner = FunctionRunner(bowl)
    tune(study, runner, 2)
    tune(study, runner, 2)
    assert len(runner.runs) == 2
    tune(study, runner, 3)
    assert len(runner.runs) == 3


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize("model", [RandomChat(seed=1), None])
def test_every_workflow_tunes_with_and_without_a_model(study: Study, workflow: str, model: RandomChat | None) -> None:
    options = {"workflow": workflow, "model": model, "model_name": "random", "advisors": [ListAdvisor()]}
    tune(study, FunctionRunner(bowl), 4, **options)
    assert len(study.finished) == 4
    lines = [json.loads(line) for line in (study.folder / "workflows.jsonl").read_text().splitlines()]
    assert [line["workflow_id"].split("/")[0] for line in lines] == [workflow] * 4
    assert [line["label"] for line in lines] == [None, *(line["label"] for line in lines[1:])]
    assert {line["label"] for line in lines[1:]} <= {0, 1}
    assert all(line["ran"][-2:] == ["run", "record"] for line in lines)
    assert {t.extra["workflow"] for t in study.finished} == {workflow}
    facts = {"best_before", "noise", "scale", "index", "budget_left", "choice_probability", "source", "direction",
             "state", "cause", "tokens", "seconds", "money", "energy", "revisions", "fell_back"}  # fmt: skip
    assert all(facts <= set(line) for line in lines)
    assert [(line["index"], line["budget_left"]["trials"]) for line in lines] == [(0, 4), (1, 3), (2, 2), (3, 1)]
    asked = {name for line in lines for name in line["planned"]["models"]} - {""}
    assert asked == ({"random"} if model and WORKFLOWS[workflow].uses_model else set())


def test_a_model_s_choice_is_what_runs(study: Study) -> None:
    model = ScriptedChat.of(favouring("units 64 to 34"))
    heard = Listening()
    tune(study, FunctionRunner(bowl), 2, workflow="planner", model=model, advisors=[ListAdvisor()], listen=heard)
    said = [e for e in heard.of(Said) if e.role == "planner"]  # type: ignore[attr-defined]
    assert len(said) == 1
    trial = study.trials[1]
    assert trial.config["units"] == 34
    assert trial.extra["model_share"] > 0.5
    assert (trial.extra["choice_probability"], trial.extra["decisions"]) == (1.0, 1)
    assert {"role": "planner", "text": said[0].text} in trial.extra["agents"]  # type: ignore[attr-defined]
    assert trial.extra["tokens"] > 0


@pytest.mark.parametrize("workflow", ["planner", "planner-critic", "debate"])
def test_a_dead_model_costs_no_trial_and_is_told_once(study: Study, workflow: str) -> None:
    def down(messages: list[Any]) -> Scored:
        raise ModelMissing("the server does not have this model")

    heard = Listening()
    model = ScriptedChat.of(down)
    tune(study, FunctionRunner(bowl), 3, workflow=workflow, model=model, advisors=[ListAdvisor()], listen=heard)
    assert len(study.finished) == 3
    assert len(heard.of(Warned)) == 1
    assert all(t.source != "planner" for t in study.finished)
    assert any("failed" in said["text"] for said in study.trials[1].extra["agents"])
    lines = [json.loads(line) for line in (study.folder / "workflows.jsonl").read_text().splitlines()]
    assert all(line["fell_back"] and not {"criticise", "decide"} & set(line["ran"]) for line in lines[1:])
    assert all(set(line["skipped"]).isdisjoint(line["ran"]) for line in lines)


def test_a_refused_plan_goes_back_without_a_further_decision(study: Study) -> None:
    def script(messages: list[Any]) -> Scored:
        text = str(messages[-1].text)
        if "not worth a trial" in text:
            letters = letters_of(text)
            return Scored({k: 0.99 if v.startswith("not worth") else 0.01 for k, v in letters.items()})
        return Scored(dict.fromkeys("ABC", 0.25))

    heard = Listening()
    model = ScriptedChat.of(script)
    options = {"model": model, "advisors": [ListAdvisor()], "listen": heard, "gates": ASKED}
    tune(study, FunctionRunner(bowl), 2, workflow="planner-critic", **options)
    critic = [e.text for e in heard.of(Said) if e.role == "critic"]  # type: ignore[attr-defined]
    assert critic[0].startswith("sends it back")
    first = [s["text"] for s in study.trials[1].extra["agents"] if s["role"] == "planner"]
    assert [text.startswith("then") for text in first] == [False, True]  # the second by the same probabilities
    assert study.trials[1].extra["decisions"] == 2
    assert study.trials[1].config["units"] != 32
    line = json.loads((study.folder / "workflows.jsonl").read_text().splitlines()[1])
    assert line["revisions"] == line["ran"].count("plan") - 1 >= 1
    assert [line["task_id"], line["fell_back"]] == ["s/1", "take" in line["ran"]]


def test_after_two_refusals_the_advisors_decide(study: Study) -> None:
    def script(messages: list[Any]) -> Scored:
        letters = letters_of(str(messages[-1].text))
        return Scored({k: 0.99 if v.startswith("not worth") else 0.1 for k, v in letters.items()})

    stubborn = WORKFLOWS["planner-critic"].model_copy(update={"decisions": 9})
    model = ScriptedChat.of(script)
    tune(study, FunctionRunner(bowl), 2, workflow=stubborn, model=model, advisors=[ListAdvisor()], gates=ASKED)
    extra = study.trials[1].extra
    begin, end = ["summarize", "recall", "advise"], ["take", "gate", "run", "record"]
    assert extra["ran"] == [*begin, *["plan", "criticise"] * 3, *end]
    assert study.trials[1].reason == "step 0"


def test_a_debate_is_decided_by_the_critic_s_scores(study: Study) -> None:
    def script(messages: list[Any]) -> Scored:
        text = str(messages[-1].text)
        letters = letters_of(text)
        if "worth a trial" in letters.values():
            good = "64 to 33" in text
            return Scored({k: 0.9 if v.startswith("not worth") != good else 0.1 for k, v in letters.items()})
        wanted = "33" if "not been tried" in text else "34"
        return Scored({k: 0.9 if wanted in v else 0.05 for k, v in letters.items()})

    model = ScriptedChat.of(script)
    tune(study, FunctionRunner(bowl), 2, workflow="debate", model=model, advisors=[ListAdvisor()], gates=ASKED)
    trial = study.trials[1]
    assert trial.config["units"] == 33
    assert trial.extra["decisions"] == 4
    assert [s["role"] for s in trial.extra["agents"]] == ["summarizer", "planner explore", "planner exploit", "critic"]


@pytest.mark.parametrize(("workflow", "decisions"), [("planner-critic", 1), ("debate", 2)])
def test_a_learnt_scorer_judges_plans_without_the_model(study: Study, workflow: str, decisions: int) -> None:
    def script(messages: list[Any]) -> Scored:
        letters = letters_of(str(messages[-1].text))
        assert "worth a trial" not in letters.values()
        wanted = "33" if "not been tried" in str(messages[-1].text) else "34"
        return Scored({k: 0.9 if wanted in v else 0.05 for k, v in letters.items()})

    def worth(space: Space, trials: Sequence[Trial], direction: Direction, metric: str) -> Worth:
        assert (direction, metric, len(trials)) == (Direction.MINIMIZE, "loss", 1)
        return lambda config: {32: 0.5, 33: 0.4, 34: 0.1}[int(config["units"])]

    model, gates = ScriptedChat.of(script), Gates(judge=None, worth=worth)
    tune(study, FunctionRunner(bowl), 2, workflow=workflow, model=model, advisors=[ListAdvisor()], gates=gates)
    trial = study.trials[1]
    assert trial.config["units"] in (32, 33)  # 34 is far below what the advisors would run, 32
    assert trial.extra["decisions"] == decisions


@pytest.mark.parametrize("workflow", ["planner", "planner-critic"])
def test_a_model_decides_at_most_twice_a_trial(study: Study, workflow: str) -> None:
    tune(study, FunctionRunner(bowl), 6, workflow=workflow, model=RandomChat(seed=3), advisors=[ListAdvisor()])
    assert all(t.extra["decisions"] <= 2 for t in study.finished)
    assert study.trials[0].extra["decisions"] == 0


def test_a_budget_of_tokens_stops(study: Study) -> None:
    budget = Budget(trials=50, tokens=1500)
    runner, model = FunctionRunner(bowl), RandomChat(seed=3)
    reason = tune_study(study, runner, budget=budget, noise=0, model=model, advisors=[ListAdvisor()])
    tokens = [t.extra["tokens"] for t in study.finished]
    assert reason is StopReason.TOKENS
    assert sum(tokens[:-1]) < 1500 <= sum(tokens)


@pytest.mark.parametrize(("tokens", "decisions"), [(None, 2), (1, 1)])
def test_a_model_without_tokens_left_is_not_asked_again(study: Study, tokens: int | None, decisions: int) -> None:
    runner, model = FunctionRunner(bowl), RandomChat(seed=3)
    tune_study(study, runner, budget=Budget(trials=2, tokens=tokens), noise=0, workflow="planner-critic", model=model,
               advisors=[ListAdvisor()], gates=ASKED)  # fmt: skip
    assert study.trials[1].extra["decisions"] == decisions


class HalfAnHour(FunctionRunner):
    """Each run takes so long, and no two give the same value."""

    def run(self, config: Config, folder: Path, **options: Any) -> Outcome:
        self.runs.append(config)
        return Outcome(State.COMPLETE, (bowl(config) or 0.0) + len(self.runs), seconds=1800.0)


def test_hours_count_trials_noise_and_the_model(study: Study) -> None:
    runner = HalfAnHour(bowl)
    reason = tune_study(study, runner, budget=Budget(trials=9, hours=2.0), noise=2, advisors=[ListAdvisor()])
    assert reason is StopReason.HOURS
    assert (len(study.finished), len(study.noise)) == (2, 2)


@pytest.mark.parametrize(
    ("trials", "hours", "noise", "measured"),
    [
        (3, None, None, 2),
        (3, 2.0, None, 2),  # enough for each trial
        (9, 2.0, None, 0),  # three trials are left, and each of these runs would be one of them
        (9, 2.0, 1, 1),  # it was asked for
        (40, 15.0, None, 1),
        (40, 19.5, None, 1),
        (41, 20.5, None, 2),
    ],
)
def test_noise_is_measured_unless_that_takes_a_large_part_of_short_hours(
    study: Study, trials: int, hours: float | None, noise: int | None, measured: int
) -> None:
    tune_study(
        study, HalfAnHour(bowl), budget=Budget(trials=trials, hours=hours), noise=noise, advisors=[ListAdvisor()]
    )
    assert len(study.noise) == measured


def test_a_used_up_space_ends_the_study(tmp_path: Path) -> None:
    space = Space({"a": Choice(("x", "y", "z"), default="x"), "b": Choice((False, True), default=False)})
    study = Study.create(tmp_path / "s", name="s", space=space, metric="loss", direction=Direction.MINIMIZE)
    assert tune(study, FunctionRunner(lambda config: 1.0), 20, advisors=[]) is StopReason.EXHAUSTED
    assert len({space.key(t.config) for t in study.finished}) == len(study.finished) == 6


def test_an_advisor_that_fails_is_told_once_and_stops_nothing(study: Study) -> None:
    class Broken(ListAdvisor):
        def advise(self, *args: Any, **options: Any) -> list[Candidate]:
            raise ArithmeticError("not positive definite")

    heard = Listening()
    tune(study, FunctionRunner(bowl), 3, advisors=[Broken()], listen=heard)
    assert [t.source for t in study.finished] == ["default", "random", "random"]
    assert [e.text for e in heard.of(Warned)] == [  # type: ignore[attr-defined]
        "advisor gp failed (ArithmeticError: not positive definite); a random configuration runs"
    ]


def test_failures_are_recorded_and_the_budget_of_failures_stops(study: Study) -> None:
    def never(config: Config) -> float | None:
        return None if study.finished else 1.0

    reason = tune_study(study, FunctionRunner(never), budget=Budget(trials=9, failures=2), noise=0)
    assert reason is StopReason.FAILURES
    assert [t.state for t in study.finished] == [State.COMPLETE, State.FAILED, State.FAILED]


def test_noise_uses_other_seeds_and_stays_outside_the_budget(study: Study) -> None:
    runner = FunctionRunner(lambda config: bowl(config) or 0.0)
    runner._function = lambda config: (bowl(config) or 0.0) + len(runner.runs) / 100
    heard = Listening()
    tune(study, runner, 3, noise=3, listen=heard)
    assert len(study.noise) == 3
    assert len(runner.runs) == 3 + 3
    assert runner.seeds == [0, 1, 2, 3, 0, 0]
    assert len(heard.of(NoiseMeasured)) == 3


def test_a_deterministic_script_is_run_once_more_and_no_more(study: Study) -> None:
    runner = FunctionRunner(bowl)
    tune(study, runner, 3, noise=5)
    assert len(study.noise) == 1
    assert len(runner.runs) == 4


def test_a_hopeless_curve_is_stopped_early(study: Study) -> None:
    runner = FunctionRunner(lambda config: 1.0 if len(runner.runs) < 8 else 50.0, curve=[0.1] * 12)
    tune(study, runner, 9, advisors=[ListAdvisor()])
    assert [t.state for t in study.finished][:7] == [State.COMPLETE] * 7
    assert study.trials[-1].state is State.PRUNED
    assert study.trials[-1].extra["expected"] > 10  # what the advisors learn from it


class HourLong(FunctionRunner):
    """Each trial falls as the default does, and a little above it; a whole one takes an hour."""

    def __init__(self) -> None:
        curve = [1 / (step + 1) - 1 / 13 for step in range(12)]
        super().__init__(lambda config: 0.2 * (len(self.runs) > 1), curve)

    def run(self, config: Config, folder: Path, **options: Any) -> Outcome:
        found = super().run(config, folder, **options)
        return replace(found, seconds=3600.0 * len(found.trajectory.steps) / 13)


def test_where_hours_are_short_a_training_is_stopped_sooner_than_where_trials_are(tmp_path: Path) -> None:
    steps = {}
    for name, budget in (
        ("trials", Budget(trials=2)),
        ("time enough", Budget(trials=2, hours=2.0)),
        ("hours", Budget(trials=9, hours=1.9)),
    ):
        one = Study.create(tmp_path / name, name=name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
        tune_study(one, HourLong(), budget=budget, noise=0, advisors=[ListAdvisor()])
        steps[name] = len(one.finished[1].trajectory.steps)
    assert steps["hours"] < steps["time enough"] == steps["trials"] < 13


def test_where_hours_are_short_the_curves_of_all_trials_are_read(tmp_path: Path) -> None:
    found = {}
    for name, budget, stop_early in (
        ("trials", Budget(trials=6), True),
        ("hours", Budget(trials=99, hours=2.0), True),
        ("all run whole", Budget(trials=99, hours=4.5), False),
    ):
        one = Study.create(tmp_path / name, name=name, space=SPACE, metric="loss", direction=Direction.MINIMIZE)
        tune_study(one, HourLong(), budget=budget, noise=0, stop_early=stop_early)
        found[name] = [trial.reason for trial in one.finished]
    assert not any("curves" in reason for reason in (*found["trials"], *found["all run whole"]))
    assert "over the curves of 3 trials" in found["hours"][3]


@pytest.mark.parametrize(
    ("seconds", "hours", "short"),
    [
        ([], 1.0, False),  # nobody knows what a training takes
        ([0.0], 1.0, False),
        ([600.0], None, False),
        ([600.0], 1.0, True),  # five more in the time left, nine by their number
        ([600.0, 60.0, 60.0], 1.0, False),
        ([60.0], 1.0, False),
        ([3600.0, 3600.0], 1.0, True),  # the time is over
    ],
)
def test_short_of_time(seconds: list[float], hours: float | None, short: bool) -> None:
    trials = [Trial(i, {}, State.COMPLETE, value=1.0, seconds=s) for i, s in enumerate(seconds)]
    stopped = Trial(9, {}, State.PRUNED, value=1.0, seconds=1.0)  # says nothing of a full one
    used = Spent(trials=len(trials), seconds=sum(seconds), tokens=0, failures=0)
    assert short_of_time([*trials, stopped], used, Budget(trials=10, hours=hours)) is short


class BrokenSetup(FunctionRunner):
    """A runner whose script never reports the metric."""

    def run(self, config: Config, folder: Path, **options: Any) -> Outcome:
        return Outcome(State.FAILED, failure=Failure(Cause.NO_METRIC, "'loss' was never reported"))


def test_a_first_run_that_cannot_work_leaves_the_study_untouched(study: Study) -> None:
    with pytest.raises(StudyError, match="never reported"):
        tune(study, BrokenSetup(bowl))
    assert study.trials == []


def test_an_unknown_workflow_is_the_user_s_to_mend(study: Study) -> None:
    with pytest.raises(SpecError, match="did you mean 'debate'"):
        tune(study, FunctionRunner(bowl), workflow="debat")


def test_finished_threads_are_deleted_and_broken_checkpoints_rebuilt(study: Study) -> None:
    tune(study, FunctionRunner(bowl), 2)
    with sqlite3.connect(study.folder / "graph.db") as connection:
        assert connection.execute("select count(*) from checkpoints").fetchone() == (0,)
    connection.close()
    for leftover in study.folder.glob("graph.db-*"):
        leftover.unlink()
    (study.folder / "graph.db").write_bytes(b"no database" * 500)
    tune(study, FunctionRunner(bowl), 3)
    assert len(study.finished) == 3


def test_gain_s_raw_facts_are_kept(study: Study) -> None:
    tune(study, FunctionRunner(bowl), 3)
    extra = study.trials[2].extra
    values = [t.value for t in study.trials[:2] if t.value is not None]
    assert extra["best_before"] == min(values)
    assert extra["scale"] == pytest.approx((max(values) - min(values)) / 2)  # quartiles of two values
    assert (extra["index"], extra["budget_left"]) == (2, {"trials": 1})
    assert extra["ran"] == ["summarize", "recall", "advise", "take", "gate", "run", "record"]


def test_a_dead_model_is_asked_ever_more_rarely(study: Study) -> None:
    asked: list[int] = []

    def dead(messages: list[Any]) -> Scored:
        asked.append(study.next_number())
        raise ModelMissing("the server does not have it; run: ollama pull it")

    heard = Listening()
    model = ScriptedChat.of(dead)
    tune(study, FunctionRunner(bowl), 12, workflow="planner", model=model, advisors=[ListAdvisor()], listen=heard)
    assert list(dict.fromkeys(asked)) == [1, 2, 4, 8]
    assert sum("asked again after 1 more trials" in e.text for e in heard.of(Warned)) == 1  # type: ignore[attr-defined]
