"""What gate 1 starts from: the user's own predictor or the one that ships, and the turns of the studies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from doubles import SPACE, FunctionRunner, Listening

from luthier.gates import Prior, gates_of, turns_beside
from luthier.graphs.events import Warned
from luthier.graphs.gating import Gates
from luthier.graphs.loop import tune_study
from luthier.models.catalogue import EMBEDDER, present
from luthier.models.errors import ModelDown
from luthier.models.fake import RandomChat
from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor.ability import Ability
from luthier.predictor.card import Card
from luthier.predictor.checkpoint import save
from luthier.predictor.encoding import Encoder
from luthier.predictor.logs import Logs, Task
from luthier.predictor.mixed import Priors
from luthier.predictor.study_logs import SUITE, as_planned
from luthier.predictor.testing import generated
from luthier.predictor.workflow import WORKFLOWS
from luthier.savings import savings_beside
from luthier.trials.records import Direction
from luthier.trials.spec import Budget
from luthier.trials.study import Study
from luthier.trust import trust_of

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


class Gone(HashEmbedder):
    """Behind a server that goes away after so many answers."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._answers = answers

    def _ask(self) -> None:
        self._answers -= 1
        if self._answers < 0:
            raise ModelDown("the server is gone")

    @property
    def size(self) -> int:
        self._ask()
        return super().size

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self._ask()
        return super().embed(texts)


def tuning_logs() -> Logs:
    """The planner fails ten times, the advisors win ten times."""
    planned = tuple(as_planned(flow) for flow in FLOWS)
    tasks = tuple(Task(f"t{i}", SUITE, "tune loss (minimize) of digits") for i in range(10))
    pairs = [(w, t) for t in range(10) for w in range(2)]
    workflow, task = np.array(pairs).T
    return Logs(planned, tasks, workflow, task, runs=np.ones(20, int), successes=1 - workflow)


def test_without_a_predictor_of_one_s_own_and_without_the_embedder_it_is_told_once(study: Study) -> None:
    heard = Listening()
    prior = Prior(study, heard)
    assert prior(FLOWS) == prior(FLOWS) == [None, None]
    (told,) = heard.events
    assert f"run: luthier models pull {EMBEDDER}; a workflow's turns alone" in told.text  # type: ignore[union-attr]


def test_without_a_model_no_predictor_is_missed(study: Study) -> None:
    heard = Listening()
    tune_study(study, FunctionRunner(lambda c: float(c["lr"])), budget=Budget(trials=3), noise=0, listen=heard,
               gates=gates_of(study, 0.05, heard))  # fmt: skip
    assert heard.of(Warned) == []


def test_a_server_that_is_gone_leaves_the_turns_to_tell(
    study: Study, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ability = Ability(Encoder(Gone(1000)), priors=Priors(4.0, 0.5)).fit(tuning_logs())
    save(ability, home / "predictor.pt", CARD, spec="openai:fake@http://127.0.0.1:1/v1")
    for answers in range(2):  # asked for its size, asked for vectors
        monkeypatch.setattr("luthier.models.embedder.open_embedder", lambda spec, left=answers: Gone(left))
        heard = Listening()
        prior = Prior(study, heard)
        assert prior(FLOWS) == prior(FLOWS) == [None, None]
        (told,) = heard.events
        assert "the server is gone; a workflow's turns alone" in told.text  # type: ignore[union-attr]


@pytest.mark.parametrize("odd", ["link", "folder"])
def test_what_lies_in_the_place_of_a_predictor_and_is_none_is_told(study: Study, home: Path, odd: str) -> None:
    home.mkdir(parents=True)
    place = home / "predictor.pt"
    place.symlink_to(home / "gone.pt") if odd == "link" else place.mkdir()
    heard = Listening()
    prior = Prior(study, heard)
    assert prior(FLOWS) == prior(FLOWS) == [None, None]
    (told,) = heard.events
    assert f"{place}: a checkpoint must be a file" in told.text  # type: ignore[union-attr]


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


def test_a_folder_in_the_place_of_a_log_beside_is_passed_over(study: Study) -> None:
    (study.folder.parent / "odd" / "workflows.jsonl").mkdir(parents=True)
    assert turns_beside(study.folder) == []
    assert savings_beside(study).studies == 0
    assert trust_of(study, beside=True).studies == [study.folder.name]
