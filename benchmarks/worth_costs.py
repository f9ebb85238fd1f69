"""What a study of `worth.py` found and cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from suites import Normaliser

from luthier.trials.study import Study

SMALL = 0.15  # of the turns 21 to 100: no more should a model have that answers at random


@dataclass(frozen=True)
class Run:
    """One study. Costs are of the trials after the starting points, NaN where nobody knows them."""

    values: tuple[float, ...]
    training: float = math.nan  # seconds
    model: float = math.nan  # seconds
    tokens: float = math.nan
    turns: int = 0
    asked: int = 0  # turns of a workflow that asks the model
    skips: float = math.nan  # by gate 2
    late: float = math.nan  # the model's share of turns 21 to 100, where there are any
    regret: float = math.nan

    def scored(self, normaliser: Normaliser) -> Run:
        """The same with the regret of its best value."""
        return replace(self, regret=normaliser.regrets(self.values)[-1])


METRICS: Mapping[str, Callable[[Run], float]] = {
    "regret": lambda run: run.regret,
    "cost": lambda run: run.training + run.model,
    "training": lambda run: run.training,
    "model": lambda run: run.model,
    "tokens": lambda run: run.tokens,
    "share": lambda run: run.asked / run.turns if run.turns else math.nan,
    "late share": lambda run: run.late,
    "late share small": lambda run: math.nan if math.isnan(run.late) else float(run.late < SMALL),
    "skips": lambda run: run.skips,
}


def run_of(study: Study, starts: int) -> Run:
    """What a finished study says, its first `starts` trials, which are the same for all, aside."""
    done = study.finished
    ours = done[max(1, starts) :]
    asked = [trial.extra.get("model", "none") != "none" for trial in ours]
    late = [a for trial, a in zip(ours, asked, strict=True) if 21 <= trial.number <= 100]
    return Run(
        values=tuple(math.nan if t.value is None else t.value for t in done),
        training=sum(t.seconds for t in ours),
        model=sum(float(t.extra.get("model_seconds", 0.0)) for t in ours),
        tokens=sum(int(t.extra.get("tokens", 0)) for t in ours),
        turns=len(ours),
        asked=sum(asked),
        skips=sum(len(t.extra.get("skips", [])) for t in ours),
        late=sum(late) / len(late) if late else math.nan,
    )
