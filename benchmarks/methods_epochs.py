"""The tuners under comparison where epochs are the budget. A method trains until the meter says that it is spent.

Optuna's samplers and pruners are as shipped (the Gaussian process after four start-up trials, as in `methods.py`), and
Hyperband's resource is the epoch. `luthier` is the product's tuning graph without model, as it ships: with its curve
stop and gate 2. Its other names say which part is off; `luthier-full` trains everything to the end.

Another way to tune is one more small function here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import methods
import suites
from epochs import METRIC, Meter, OnEpoch, Spent
from methods_product import luthier_with

from luthier.memory.past import PastStudy
from luthier.trials.advisors import DefaultAdvisor, RandomAdvisor
from luthier.trials.extrapolation import MIN_REPORTS
from luthier.trials.records import Candidate, Config, Direction, Outcome, State, Trial
from luthier.trials.space import Space
from luthier.trials.stopping import Stopper

if TYPE_CHECKING:
    import optuna

PATIENCE = 10  # trainings stopped in a row after which a run of Optuna's Gaussian process is given up


class Stop(Protocol):
    """The stopping of one training."""

    @property
    def expected(self) -> float | None:
        """What the training was expected to reach when it was stopped; None where the rule does not say."""
        ...

    def should_stop(self, step: int, value: float) -> bool:
        """Whether to stop after this report."""
        ...


StopRule = Callable[[Direction, Sequence[Trial]], Stop]  # of the next trial, after these


class EpochMethod(Protocol):
    """A tuner under a budget of epochs."""

    def __call__(
        self,
        meter: Meter,
        space: Space,
        direction: Direction,
        *,
        starts: Sequence[Config],
        seed: int,
        epochs: int,
        past: Sequence[PastStudy] = (),
    ) -> None:
        """Train `starts`, then its own proposals, until the meter raises `Spent`."""
        ...


def sampler_method(
    sampler: Callable[[int], optuna.samplers.BaseSampler],
    pruner: Callable[[int], optuna.pruners.BasePruner],
    patience: int | None = None,
) -> EpochMethod:
    """An Optuna sampler with a pruner, which is made for a number of epochs.

    With `patience` the run ends after so many stopped trainings in a row. Optuna's Gaussian process learns nothing from
    a stopped trial, so it proposes the same point again (seen: 17 times), and each proposal costs a second.
    """

    def tune(
        meter: Meter,
        space: Space,
        direction: Direction,
        *,
        starts: Sequence[Config],
        seed: int,
        epochs: int,
        past: Sequence[PastStudy] = (),
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            study_name=str(seed),  # Hyperband draws its brackets from the name
            direction=direction.value,
            sampler=sampler(seed),
            pruner=pruner(epochs),
        )
        for config in starts:
            study.enqueue_trial(dict(config))
        known = methods.distributions(space)
        stopped = 0
        while meter.left and (patience is None or stopped < patience):
            trial = study.ask(known)
            found = meter.train(trial.params, _reporting(trial))
            stopped = stopped + 1 if found.state is State.PRUNED else 0
            done = found.state is State.COMPLETE
            study.tell(trial, found.value if done else None, state=_state(found.state))

    return tune


def _reporting(trial: optuna.Trial) -> OnEpoch:
    def on_epoch(epoch: int, value: float) -> bool:
        trial.report(value, epoch)
        return trial.should_prune()

    return on_epoch


def _state(state: State) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    known = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED}
    return known.get(state, TrialState.FAIL)


def no_pruner(epochs: int) -> optuna.pruners.BasePruner:
    """Every training runs to its end."""
    import optuna

    return optuna.pruners.NopPruner()


def median(epochs: int) -> optuna.pruners.BasePruner:
    """Optuna's median pruner as it ships: five trainings first."""
    import optuna

    return optuna.pruners.MedianPruner()


def hyperband(epochs: int) -> optuna.pruners.BasePruner:
    """Optuna's Hyperband over 1 to all epochs, each rung a third of the trainings below."""
    import optuna

    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)


def product(direction: Direction, done: Sequence[Trial]) -> Stop:
    """The product's rule."""
    return Stopper(direction, METRIC, done)


def to_the_end(direction: Direction, done: Sequence[Trial]) -> Stop:
    """No rule."""
    return Stopper(direction, METRIC, ())  # which knows no curve, and so stops nothing


class PrunedBy:
    """An Optuna pruner on a copy of the trials; of a stopped trial it knows the reports."""

    expected = None

    def __init__(self, pruner: optuna.pruners.BasePruner, direction: Direction, done: Sequence[Trial]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(study_name="stopping", direction=direction.value, pruner=pruner)
        for trial in done:
            study.add_trial(
                optuna.trial.create_trial(
                    state=_state(trial.state),
                    value=trial.value if trial.state is State.COMPLETE else None,
                    intermediate_values=dict(trial.trajectory.curve(METRIC)),
                    system_attrs=dict(trial.extra.get("rungs", {})),
                )
            )
        self._study, self._trial = study, study.ask()

    def should_stop(self, step: int, value: float) -> bool:
        """What the pruner says."""
        self._trial.report(value, step)
        return self._trial.should_prune()

    @property
    def rungs(self) -> dict[str, float]:
        """What successive halving keeps of a trial."""
        kept = self._study.trials[self._trial.number].system_attrs
        return {name: value for name, value in kept.items() if name.startswith("completed_rung")}


def percentile(direction: Direction, done: Sequence[Trial]) -> Stop:
    """What the product did before: worse than three quarters at the same step, after a third of a training."""
    import optuna

    longest = max(len(trial.trajectory.steps) for trial in done)
    pruner = optuna.pruners.PercentilePruner(75.0, 4, math.ceil(longest / 3), n_min_trials=4)
    return PrunedBy(pruner, direction, done)


def halves(direction: Direction, done: Sequence[Trial]) -> Stop:
    """Optuna's median pruner as it ships."""
    import optuna

    return PrunedBy(optuna.pruners.MedianPruner(), direction, done)


def halving(direction: Direction, done: Sequence[Trial]) -> Stop:
    """Optuna's successive halving from one epoch on, a third going on at each rung."""
    import optuna

    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return PrunedBy(pruner, direction, done)


class Foresight:
    """Stops after three epochs what will not end as the best, and tells where it would have ended: nobody can."""

    def __init__(self, meter: Meter, direction: Direction) -> None:
        self._meter, self._direction = meter, direction

    @property
    def expected(self) -> float | None:
        """The final value; None where it would have been none."""
        return self._meter.ahead if math.isfinite(self._meter.ahead) else None

    def should_stop(self, step: int, value: float) -> bool:
        """What hindsight says."""
        end, best = self._meter.ahead, self._meter.incumbent
        return step >= MIN_REPORTS and not (math.isfinite(end) and self._direction.better(end, best))


def foreseen(
    meter: Meter,
    space: Space,
    direction: Direction,
    *,
    starts: Sequence[Config],
    seed: int,
    epochs: int,
    past: Sequence[PastStudy] = (),
) -> None:
    """The product's advisors with the perfect stop: how few epochs they could need."""
    advisors, done = methods.advisors_with(past), list[Trial]()
    while meter.left:
        candidate, stop = methods.propose(advisors, space, done, direction, seed), Foresight(meter, direction)
        found = meter.train(candidate.config, stop.should_stop if done else None)
        done.append(record(len(done), candidate, found, stop))


RULES: dict[str, StopRule] = {
    "to the end": to_the_end,
    "percentile": percentile,
    "median": halves,
    "halving": halving,
    "product": product,
}


def record(number: int, candidate: Candidate, found: Outcome, stop: Stop | None) -> Trial:
    """The record of a training, as the tuning graph would keep it."""
    extra: dict[str, Any] = {"rungs": stop.rungs} if isinstance(stop, PrunedBy) else {}
    if stop is not None and found.state is State.PRUNED and stop.expected is not None:
        extra["expected"] = stop.expected
    return Trial(
        number,
        candidate.config,
        found.state,
        value=found.value,
        metrics=found.metrics,
        trajectory=found.trajectory,
        source=candidate.source,
        reason=candidate.reason,
        extra=extra,
    )


METHODS: dict[str, EpochMethod] = {
    "random": sampler_method(methods.random_sampler, no_pruner),
    "tpe": sampler_method(methods.tpe, no_pruner),
    "tpe-median": sampler_method(methods.tpe, median),
    "tpe-hyperband": sampler_method(methods.tpe, hyperband),
    "gp": sampler_method(methods.gp, no_pruner),
    "gp-median": sampler_method(methods.gp, median, PATIENCE),
    "gp-hyperband": sampler_method(methods.gp, hyperband),
    "luthier": luthier_with(),
    "luthier-full": luthier_with(stop_early=False),
    "luthier-no-gate": luthier_with(gate=False),
}
ABLATIONS: dict[str, EpochMethod] = {
    "luthier-plain": luthier_with(stop_early=False, gate=False),
    "luthier-no-memory": luthier_with(memory=False),  # the same without --memory
    "luthier-no-summarizer": luthier_with(without="summarize"),
    "luthier-no-critic": luthier_with(critic=False),
    "luthier-patient": luthier_with(hurried=False),
    "luthier-foresight": foreseen,
    # What the curve stop does for proposals drawn at random.
    "luthier-random": luthier_with(gate=False, advisors=[DefaultAdvisor(), RandomAdvisor()]),
}
KNOWN = {**METHODS, **ABLATIONS}


def run(
    tune: EpochMethod,
    task: suites.Task,
    space: Space,
    *,
    starts: Sequence[Config],
    trainings: int,
    seed: int,
    past: Sequence[PastStudy] = (),
) -> list[float]:
    """The best result of a full training after each epoch of as many as `trainings` full ones have; NaN before any."""
    assert task.learner is not None  # the command line has refused such suites
    budget = trainings * task.epochs
    meter = Meter(task.learner(), task.direction, budget)
    with contextlib.suppress(Spent):
        tune(meter, space, task.direction, starts=starts, seed=seed, epochs=task.epochs, past=past)
    return meter.best + [meter.best[-1]] * (budget - len(meter.best))
