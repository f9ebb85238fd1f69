"""What gate 1 starts from: the user's own predictor or the one that ships, and the turns of the studies beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from doubles import SPACE, FunctionRunner, Listening

from luthier.gates import Prior, gates_of, turns_beside
from luthier.graphs.events import Warned
from luthier.graphs.gating import Gates
from luthier.graphs.loop import tune_study
from luthier.models.catalogue import EMBEDDER, present
from luthier.models.fake import RandomChat
from luthier.predictor.ability import Ability
from luthier.predictor.card import Card
from luthier.predictor.checkpoint import save
from luthier.predictor.encoding import Encoder
from luthier.predictor.logs import Logs, Task
from luthier.predictor.mixed import Priors
from luthier.predictor.study_logs import SUITE, as_planned
from luthier.predictor.testing import generated
from luthier.predictor.workflow import WORKFLOWS
from luthier.trials.records import Direction
from luthier.trials.spec import Budget
from luthier.trials.study import Study

CARD = Card(
    name="mine", data_hash="ab12", counts={"pairs": 48}, suites=["sums"], parts=["text"], settings={"axes": 20},
    embedder="none", seed=0, folds=5,
)  # fmt: skip
FLOWS = [WORKFLOWS["advisors"], WORKFLOWS["planner"].bound("m", {})]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "predictor"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    place = tmp_path / "studies" / "s"
    return Study.create(place, name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE)


def tuning_logs() -> Logs:
    """The planner fails ten times, the advisors win ten times."""
    planned = tuple(as_planned(flow) for flow in FLOWS)
    tasks = tuple(Task(f"t{i}", SUITE, "tune loss (minimize) of digits") for i in range(10))
    pairs = [(w, t) for t in range(10) for w in range(2)]
    workflow, task = np.array(pairs).T
    return Logs(planned, tasks, workflow, task, runs=np.ones(20, int), successes=1 - workflow)


def test_without_a_predictor_of_one_s_own_and_without_the_embedder_nothing_is_said(study: Study) -> None:
    heard = Listening()
    assert Prior(study, heard)(FLOWS) == [None, None]
    assert heard.events == []


@pytest.mark.model
@pytest.mark.skipif(not present(EMBEDDER), reason=f"needs `luthier models pull {EMBEDDER}`")
def test_on_the_first_day_the_one_that_ships_speaks(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LUTHIER_HOME")  # where models are
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # where a predictor of one's own would be
    heard = Listening()
    assert all(said is not None and 0 < said < 1 for said in Prior(study, heard)(FLOWS))
    assert heard.events == []


def test_a_predictor_that_cannot_be_read_is_told_once(study: Study, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "predictor.pt").write_bytes(b"not a checkpoint")
    heard = Listening()
    prior = Prior(study, heard)
    assert prior(FLOWS) == prior(FLOWS) == [None, None]
    assert [type(e) for e in heard.events] == [Warned]


def test_a_predictor_for_other_workflows_abstains_and_it_is_told_once(study: Study, home: Path) -> None:
    save(Ability(Encoder(None), priors=Priors(4.0, 0.5)).fit(generated()), home / "predictor.pt", CARD)
    heard = Listening()
    prior = Prior(study, heard)
    assert prior(FLOWS) == prior(FLOWS) == [None, None]
    assert "has not seen suite 'tuning'" in heard.events[0].text  # type: ignore[union-attr]
    assert len(heard.events) == 1


def test_a_predictor_that_saw_tuning_says_who_wins(study: Study, home: Path) -> None:
    save(Ability(Encoder(None), priors=Priors(4.0, 0.5)).fit(tuning_logs()), home / "predictor.pt", CARD)
    advisors, planner = Prior(study, Listening())(FLOWS)
    assert advisors is not None
    assert planner is not None
    assert advisors > planner


def test_the_turns_of_the_studies_beside_are_read_and_broken_lines_passed_over(study: Study) -> None:
    other = Study.create(
        study.folder.parent / "other", name="other", space=SPACE, metric="loss", direction=Direction.MINIMIZE
    )
    tune_study(other, FunctionRunner(lambda c: float(c["lr"])), budget=Budget(trials=3), noise=0,
               model=RandomChat(), model_name="random", gates=Gates(judge=None))  # fmt: skip
    with (other.folder / "workflows.jsonl").open("a") as file:
        file.write("{broken\n")
    turns = turns_beside(study.folder)
    assert len(turns) == 3
    assert {turn.study for turn in turns} == {"other"}
    assert [turn.gain is None for turn in turns] == [True, False, False]
    assert len(gates_of(study, 0.05, Listening()).past) == 3
