"""The tuners under comparison. A method proposes, the objective answers; each starts from the same configurations.

The samplers are Optuna's. `luthier` is the product's advisors without model, asked as the tuning graph asks them, with
the transfer advisor where there is a memory; with `--model` it is the graph itself. What else uses a memory stands in
`methods_memory.py`.
"""

from __future__ import annotations

import math
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import methods_memory
from method_smac import smac
from suites import Objective, as_trial

from luthier.memory.past import PastStudy
from luthier.trials.advisor import Advisor, seed_for
from luthier.trials.records import Candidate, Config, Direction, Outcome, State, Trial
from luthier.trials.runner import OnReport, Runner
from luthier.trials.space import Choice, Float, Space

if TYPE_CHECKING:
    import optuna

    from luthier.graphs.gating import Gates
    from luthier.predictor.workflow import Workflow

STARTUP = 4  # random trials before the GP, the default among them (Optuna's own 10 make ten "GP" trials random)


class Method(Protocol):
    """A tuner."""

    def __call__(
        self,
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
        """Evaluate `starts`, then its own proposals, `trials` in all; the values in order, NaN for a failed one."""
        ...


def distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """The space as Optuna knows it. Conditions and constraints are not carried: no suite here has any."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, p in space.parameters.items():
        if isinstance(p, Choice):
            found[name] = CategoricalDistribution(p.choices)
        elif isinstance(p, Float):
            found[name] = FloatDistribution(p.low, p.high, log=p.log, step=p.step)
        else:
            found[name] = IntDistribution(p.low, p.high, log=p.log, step=p.step)
    return found


def sampler_method(make: Callable[[int], optuna.samplers.BaseSampler]) -> Method:
    """A method that asks an Optuna sampler."""

    def tune(
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
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction=direction.value, sampler=make(seed))
        for config in starts:
            study.enqueue_trial(dict(config))
        known, values = distributions(space), []
        for _ in range(trials):
            trial = study.ask(known)
            values.append(objective(trial.params))
            failed = math.isnan(values[-1])
            study.tell(trial, None if failed else values[-1], state=optuna.trial.TrialState.FAIL if failed else None)
        return values

    return tune


def random_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Uniform draws."""
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """TPE as Optuna ships it: its first 10 trials are random."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed)


def tpe_multivariate(seed: int) -> optuna.samplers.BaseSampler:
    """TPE over all hyperparameters at once, after 5 start-up trials."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=5)


def gp(seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's Gaussian process after four start-up trials."""
    import optuna

    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)


def cmaes(seed: int) -> optuna.samplers.BaseSampler:
    """CMA-ES as Optuna ships it; below one population it has not updated yet. Needs the package `cmaes`."""
    import optuna

    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


def luthier(
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
    """The product. `space` states the default that Luthier begins with; further starts are run as they are given."""
    if model != "none":
        return luthier_graph(
            objective, space, direction, starts=starts, trials=trials, seed=seed, model=model, past=past
        )
    advisors = advisors_with(past)
    done: list[Trial] = []
    for number in range(trials):
        if len(starts) > 1 and number < len(starts):
            candidate = Candidate(starts[number], "start")
        else:
            candidate = propose(advisors, space, done, direction, seed)
        done.append(as_trial(number, candidate, objective(candidate.config)))
    return [math.nan if t.value is None else t.value for t in done]


def advisors_with(past: Sequence[PastStudy]) -> list[Advisor]:
    """The product's advisors: with the transfer advisor where there are past studies."""
    from luthier.memory.transfer import TransferAdvisor
    from luthier.trials.advisors import default_advisors, with_advisor

    return with_advisor(default_advisors(), TransferAdvisor(past)) if past else default_advisors()


def propose(
    advisors: Sequence[Advisor], space: Space, done: Sequence[Trial], direction: Direction, seed: int
) -> Candidate:
    """The candidate of the first advisor that has something to say."""
    from luthier.trials.advisors import in_order

    listened = in_order(advisors, space)
    asked = (a.advise(space, done, direction, seed=seed_for(seed, len(done), a.name), n=1) for a in listened)
    return next(found[0] for found in asked if found)


class ObjectiveRunner:
    """A runner that calls the objective in this process, for benchmarks whose trials take milliseconds."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """The value of a configuration; nothing is written to the folder."""
        value = self._objective(config)
        return Outcome(State.FAILED) if math.isnan(value) else Outcome(State.COMPLETE, value, {"value": value})

    def close(self) -> None:
        """Nothing to close."""


class TimedRunner(ObjectiveRunner):
    """The same for objectives that really train: how long they take counts."""

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """The value of a configuration and the seconds it took."""
        begun = time.perf_counter()
        outcome = super().run(config, folder, seed=seed, on_report=on_report)
        return replace(outcome, seconds=time.perf_counter() - begun)


def luthier_graph(
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
    """The product's whole tuning graph on a study in a temporary folder, with a model or `none`."""
    runner = ObjectiveRunner(objective)
    done = by_graph(
        runner, space, direction, starts=starts, trials=trials, seed=seed, model=model, past=past, stop_early=False
    )
    return [math.nan if t.value is None else t.value for t in done]


def by_graph(
    runner: Runner,
    space: Space,
    direction: Direction,
    *,
    starts: Sequence[Config],
    trials: int,
    seed: int,
    model: str = "none",
    past: Sequence[PastStudy] = (),
    hours: float | None = None,
    stop_early: bool = True,
    gates: Gates | None = None,
    workflow: Workflow | None = None,
    advisors: Sequence[Advisor] | None = None,
) -> list[Trial]:
    """The finished trials of the product's tuning graph on a study in a temporary folder; the rest as `tune_study`."""
    from luthier.graphs.loop import tune_study
    from luthier.models.open import open_model
    from luthier.trials.spec import Budget
    from luthier.trials.study import Study

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "study"
        study = Study.create(place, name="benchmark", space=space, metric="value", direction=direction, seed=seed)
        try:
            for number, config in enumerate(starts if len(starts) > 1 else ()):
                study.begin(number, Candidate(config, "start"))
                study.finish(number, runner.run(config, study.trial_folder(number)))
            with study.lock():
                tune_study(
                    study,
                    runner,
                    budget=Budget(trials=trials, hours=hours),
                    model=open_model(model),
                    model_name=model,
                    workflow=workflow,
                    advisors=advisors or advisors_with(past),
                    noise=0,
                    stop_early=stop_early,
                    gates=gates,
                )
            return study.finished
        finally:
            study.close()


METHODS: dict[str, Method] = {
    "random": sampler_method(random_sampler),
    "tpe": sampler_method(tpe),
    "tpe-mv": sampler_method(tpe_multivariate),
    "gp": sampler_method(gp),
    "cmaes": sampler_method(cmaes),
    "smac": smac,
    "luthier": luthier,
    "luthier-graph": luthier_graph,
    **methods_memory.METHODS,
}


def quiet() -> None:
    """Keep libraries to one thread, and their notes about experimental samplers out of the progress bar."""
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="optuna")
    warnings.filterwarnings("ignore", module="sklearn.gaussian_process")  # a length scale at the edge of its bounds
