"""The arms of `worth.py`: the product with the model off, drawn at random, always on, gated, and gated at random."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from luthier.graphs.gating import Gates, TurnRule
from luthier.graphs.loop import AUTO
from luthier.predictor.step_reward import StepJudge, StepReward
from luthier.predictor.study_logs import FILE, logged_trials
from luthier.predictor.turns import Arm as Workflow
from luthier.predictor.turns import Drawn, Turn, turns_of

GATED, KEPT = "gated", "gated-kept"
RANDOM = {"random-gate": GATED, "random-gate-kept": KEPT}  # arms that ask as often as another one, at random
ALWAYS = "planner-critic"


@dataclass(frozen=True)
class Arm:
    """A way to tune."""

    name: str
    workflow: str
    asks: bool  # a model
    gates: Gates | None = None
    kept: bool = False  # whether it knows the turns of its earlier studies, those of other tasks

    def gates_in(self, folder: Path) -> Gates | None:
        """The gates of a study in `ARM/TASK/SEED`."""
        return self.gates if self.gates is None or not self.kept else replace(self.gates, past=turns_before(folder))


def gates_of(arm: Arm, folder: Path, scorer: Path | None) -> Gates | None:
    """An arm's gates, with the critic's scorer of a file in place of the one that ships."""
    gates = arm.gates_in(folder)
    if scorer is None:
        return gates
    worth = partial(StepJudge.of, scorer=StepReward.of(json.loads(scorer.read_text())))
    return replace(gates or Gates(judge=None), worth=worth)


def turns_before(folder: Path) -> list[Turn]:
    """The turns of an arm's finished studies of other tasks, as a user would have them beside a new study."""
    found = []
    for file in sorted(folder.parents[1].glob(f"*/*/{FILE}")):
        if file.parents[1] != folder.parent:
            direction, trials = logged_trials(file)
            found += turns_of(trials, direction, study="/".join(file.parts[-3:-1]))
    return found


def always(workflow: str, share: float = 1.0) -> TurnRule:
    """A rule that gives a share of the turns to one workflow, and the others to the advisors."""

    def rule(arms: Sequence[Workflow], turns: Sequence[Turn], *, seed: int, index: int, past: Sequence[Turn]) -> Drawn:
        wanted = workflow if np.random.default_rng(seed).random() < share else "advisors"
        arm = next((arm for arm in arms if arm.workflow == wanted), arms[-1])
        return Drawn(arm, share if wanted == workflow else 1 - share, True, (), "")

    return rule


def random_gate(name: str, share: float) -> Arm:
    """An arm that asks the model at random, and skips nothing."""
    return Arm(name, AUTO, True, Gates(rule=always(ALWAYS, share), judge=None))


ARMS = {
    arm.name: arm
    for arm in (
        Arm("none", "advisors", False),
        Arm("chance", "chance", False),
        Arm("always", ALWAYS, True),
        Arm(GATED, AUTO, True, Gates()),
        Arm(KEPT, AUTO, True, Gates(), kept=True),
    )
}
