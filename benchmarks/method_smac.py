"""SMAC (random forest and expected improvement), for who has it installed: `pip install smac`.

Its default for a budget of ten trials: a Sobol design of at most a quarter of them, then its model. Lindauer et al.
2022 (arXiv 2109.09831).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from typing import Any

from suites import DataMissing, Objective

from luthier.memory.past import PastStudy
from luthier.trials.records import Config, Direction
from luthier.trials.space import Choice, Float, Space


def smac(
    objective: Objective,
    space: Space,
    direction: Direction,
    *,
    starts: Sequence[Config],
    trials: int,
    seed: int,
    model: str,
    past: Sequence[PastStudy] = (),
) -> list[float]:
    """Tell SMAC the starts, then ask it; a failed trial is told as a crash."""
    try:
        from ConfigSpace import Configuration
        from smac.runhistory import TrialInfo
    except ImportError as error:
        raise DataMissing("the method smac needs its package; install it: pip install smac") from error
    known, values = configuration_space(space, seed), []
    with tempfile.TemporaryDirectory() as folder:
        tuner = facade(known, trials, seed, folder)
        for number in range(trials):
            given = number < len(starts)
            asked = TrialInfo(Configuration(known, values=dict(starts[number])), seed=0) if given else tuner.ask()
            config = {n: plain(asked.config[n]) for n in space}
            values.append(objective(config))
            tuner.tell(asked, outcome(values[-1], direction))
    return values


def outcome(value: float, direction: Direction) -> Any:
    """A value as SMAC's cost, or a crash."""
    from smac.runhistory import StatusType, TrialValue

    if math.isnan(value):
        return TrialValue(cost=math.inf, status=StatusType.CRASHED)
    return TrialValue(cost=-direction.sign * value)


def facade(known: Any, trials: int, seed: int, folder: str) -> Any:
    """SMAC as it advises for hyperparameters; its target function is never called, since we ask and tell."""
    from smac import HyperparameterOptimizationFacade, Scenario

    scenario = Scenario(known, deterministic=True, n_trials=trials, seed=seed, output_directory=folder)
    return HyperparameterOptimizationFacade(scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False)


def plain(value: Any) -> Any:
    """A numpy scalar as Python's own."""
    return value.item() if hasattr(value, "item") else value


def configuration_space(space: Space, seed: int) -> Any:
    """The space as ConfigSpace knows it. Conditions and constraints are not carried: no suite here has any."""
    import ConfigSpace

    found = ConfigSpace.ConfigurationSpace(seed=seed)
    for name, p in space.parameters.items():
        if isinstance(p, Choice):
            found.add(ConfigSpace.Categorical(name, list(p.choices)))
        elif isinstance(p, Float):
            found.add(ConfigSpace.Float(name, (p.low, p.high), log=p.log))
        else:
            found.add(ConfigSpace.Integer(name, (p.low, p.high), log=p.log))
    return found
