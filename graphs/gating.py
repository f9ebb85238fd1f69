"""The gates as a study has them, and gate 1: which workflow carries the next trial, so that a model gets the turns that
it earns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from ..agents.critic import Worth
from ..predictor.derived import Derived
from ..predictor.failure import Recalled
from ..predictor.step_reward import StepJudge
from ..predictor.trial_gate import Judgement, TrialGate
from ..predictor.turns import Arm, Drawn, draw_turn, turns_of
from ..predictor.turns import Turn as Past
from ..predictor.workflow import Workflow
from ..trials.advisor import seed_for
from ..trials.records import Config, Direction, Trial
from ..trials.space import Space
from .state import Turn

AUDITS = 0.05  # share of what gate 2 would skip that runs all the same

Success = Callable[[Sequence[Workflow]], Sequence[float | None]]
"""The trained predictor: the probability that a workflow beats what the advisors alone would try; None: it abstains."""


WorthMaker = Callable[[Space, Sequence[Trial], Direction, str], Worth]
"""Makes the critic's scorer from what a study has seen; the last argument is the metric's name."""


class TurnRule(Protocol):
    """How gate 1 draws."""

    def __call__(
        self, arms: Sequence[Arm], turns: Sequence[Past], *, seed: int, index: int, past: Sequence[Past]
    ) -> Drawn:
        """One of the arms, with the probability that it had.

        Args:
            turns: of this study so far.
            index: of the trial.
            past: turns of other studies.
        """
        ...


class Judge(Protocol):
    """Gate 2's word on configurations."""

    def fit(self, trials: Sequence[Trial], noise: float | None) -> object:
        """Learn from the finished trials; `noise` is the standard deviation of equal runs."""
        ...

    def judge(self, config: Config, *, searched: bool = False) -> Judgement:
        """Whether a configuration is to be skipped; `searched` where an advisor found it to be the most promising."""
        ...


class JudgeMaker(Protocol):
    """Makes a judge for a study."""

    def __call__(
        self,
        space: Space,
        direction: Direction,
        *,
        recalled: Sequence[Recalled],
        derived: Sequence[Derived],
        task: Mapping[str, float],
        seed: int,
    ) -> Judge:
        """A judge that has learnt nothing of the study yet.

        Args:
            recalled: trials of past studies, the most alike first.
            derived: features that may tell where runs fail.
            task: facts about the study's data.
        """
        ...


@dataclass(frozen=True)
class Gates:
    """What may be decided before money is spent.

    Args:
        rule: how gate 1 draws among the workflows, where there are several.
        success: a predictor's word on each workflow.
        past: turns of earlier studies.
        judge: makes gate 2's judge; None: nothing is skipped.
        audits: the share of its skips that run all the same.
        worth: makes the critic's scorer of planned steps; None: the critic asks the model.
    """

    rule: TurnRule = draw_turn
    success: Success | None = None
    past: Sequence[Past] = ()
    judge: JudgeMaker | None = TrialGate
    audits: float = AUDITS
    worth: WorthMaker | None = StepJudge.of


def draw(
    gates: Gates,
    workflows: Mapping[str, Workflow],
    model: str,
    trials: Sequence[Trial],
    direction: Direction,
    *,
    number: int,
    seed: int,
) -> Turn:
    """Which workflow carries the trial of this number; the first of them where there is nothing to decide yet.

    Args:
        workflows: by name, bound to `model`.
        trials: the finished ones.
        seed: of the study's lots.
    """
    if len(workflows) == 1 or number == 0:
        name, one = next(iter(workflows.items()))
        return Turn(workflow=name, model=_model(one, model), probability=1.0, random=False, reason="", arms=[])
    drawn = gates.rule(
        _arms(gates, workflows, model),
        turns_of(trials, direction),
        seed=seed_for(seed, number, "turn"),
        index=number,
        past=gates.past,
    )
    return cast(Turn, drawn.record())


def _arms(gates: Gates, workflows: Mapping[str, Workflow], model: str) -> list[Arm]:
    flows = list(workflows.values())
    known = [None] * len(flows) if gates.success is None else gates.success(flows)
    return [Arm(one.name, _model(one, model), success) for one, success in zip(flows, known, strict=True)]


def _model(workflow: Workflow, model: str) -> str:
    return model if workflow.uses_model else "none"
