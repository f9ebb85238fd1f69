"""The predictor that ships with the package: it opens everywhere, and says what it is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor.checkpoint import Stored, read
from luthier.predictor.encoding import Encoder
from luthier.predictor.logs import LoggedWorkflow, Pairs, Task
from luthier.predictor.study_logs import SUITE, as_planned, tuning_task
from luthier.predictor.workflow import WORKFLOWS
from luthier.predictor_open import open_checkpoint

PLACE = Path(str(files("luthier.predictor"))) / "shipped.pt"
SIZE = 600_000  # bytes: a package is no place for large files


class StandIn(HashEmbedder):
    """Goes by the name of the embedder that it was trained with; its vectors mean nothing."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(size)
        self._name = name

    @property
    def name(self) -> str:
        """Another's."""
        return self._name


@pytest.fixture(scope="module")
def shipped() -> Stored:
    return read(PLACE)


def test_it_is_small_and_its_card_lies_beside_it(shipped: Stored) -> None:
    assert PLACE.stat().st_size < SIZE
    assert PLACE.with_suffix(".md").read_text() == shipped.card.markdown() + "\n"
    assert {figure.split for figure in shipped.card.figures} == {"pair", "task", "workflow", "suite"}


def test_it_is_what_a_new_user_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path))
    assert open_checkpoint(None).path == PLACE


def test_it_predicts_and_abstains_where_it_knows_nothing(shipped: Stored) -> None:
    ability = shipped.ability(Encoder(StandIn(shipped.embedder, 384)))
    nodes = ("problem", "Think step by step.", "Choose the best answer.")
    suites = ("GSM8K", SUITE, "elsewhere")
    flows = [
        LoggedWorkflow("w", suite, nodes, ((0, 1), (1, 2)), ("problem", "Custom", "ScEnsemble")) for suite in suites
    ]
    said = [ability.predict(Pairs.all_of([w], [Task("", w.suite, "What is 3 + 4?")])) for w in flows]
    assert [bool(one.abstains[0]) for one in said] == [False, False, True]
    assert all(0 < one.probability[0] < 1 and np.isfinite(one.deviation[0]) for one in said)
    assert said[0].deviation[0] < said[2].deviation[0]


def test_of_tuning_workflows_it_says_even_odds_to_begin_with(shipped: Stored) -> None:
    """So gate 1 may start without it. Once it says more than this, gate 1 should read it."""
    ability = shipped.ability(Encoder(StandIn(shipped.embedder, 384)))
    flows = [as_planned(flow.bound("m", {}) if flow.uses_model else flow) for flow in WORKFLOWS.values()]
    said = ability.predict(Pairs.all_of(flows, [Task("new", SUITE, tuning_task("loss", "minimize", "new"))]))
    assert not said.abstains.any()
    assert ability.design.apart == (SUITE,)
    np.testing.assert_allclose(said.probability, 0.5, atol=0.1)
