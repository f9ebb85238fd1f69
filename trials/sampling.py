"""Asking Optuna's samplers for candidates on a copy of the study in memory: asking the real one creates trials."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .distributions import to_distributions
from .records import Config, Direction, State, Trial
from .space import Space

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

Key = tuple[tuple[str, str], ...]  # of `Space.key`
TRIES = 5  # asks for one candidate, before what is near the last wish will do: a GP's asks are dear
SPREADS = np.geomspace(0.02, 1.0, 300)  # of each (log) range: how far that search looks, ever wider


def observed(trials: Sequence[Trial], direction: Direction) -> list[tuple[Trial, float]]:
    """The trials that teach a sampler something, each with a value.

    A stopped trial counts as what its curve was expected to reach (`extra["expected"]`, see `Stopper`), without that as
    the worst finished value, unless its own is worse: left out, it would be proposed again. A failed one counts as the
    worst of all these: where all that ended is good, since the rest was stopped, a place that crashes would look as
    good. Nothing is known before one trial is complete.
    """
    ends = [t.value for t in trials if t.state is State.COMPLETE and t.value is not None]
    if not ends:
        return []
    worst_end = direction.worst(ends)
    told = [(trial, _told(trial, direction, worst_end)) for trial in trials if trial.finished]
    worst = direction.worst([value for _, value in told if value is not None])
    return [(trial, worst if value is None else value) for trial, value in told]


def _told(trial: Trial, direction: Direction, worst_end: float) -> float | None:
    """What a finished trial says of its end; None where it failed."""
    if trial.state is not State.PRUNED:
        return trial.value if trial.state is State.COMPLETE else None
    if (expected := trial.extra.get("expected")) is not None:
        return float(expected)
    return worst_end if trial.value is None else direction.worst([worst_end, trial.value])


def ask(
    sampler: optuna.samplers.BaseSampler,
    space: Space,
    trials: Sequence[Trial],
    direction: Direction,
    n: int,
    seed: int,
) -> list[Config]:
    """Up to `n` different new configurations from a sampler, inside the space and its constraints.

    Inactive hyperparameters stand at their default, so that each trial is a point of one complete space and the
    sampler never falls back to drawing at random. What was asked already counts as the worst value seen. A wish that
    was tried before or breaks a constraint is asked for anew, and in the end replaced by a draw near it.
    """
    import optuna

    known = observed(trials, direction)
    worst = direction.worst([value for _, value in known]) if known else 0.0
    ranges = to_distributions(space)
    with _quiet():
        study = optuna.create_study(direction=direction.value, sampler=sampler)
        for trial, value in known:
            params = space.clip(trial.config) if not space.contains(trial.config) else trial.config
            row = {**space.complete_default(), **params}
            study.add_trial(optuna.trial.create_trial(params=row, distributions=ranges, value=value))
        seen, rng = {space.key(trial.config) for trial in trials}, np.random.default_rng(seed)
        found: list[Config] = []
        while len(found) < n and (config := _wish(study, ranges, worst, space, seen, rng)) is not None:
            found.append(config)
            seen.add(space.key(config))
    return found


def _wish(
    study: optuna.Study,
    ranges: dict[str, BaseDistribution],
    worst: float,
    space: Space,
    seen: Collection[Key],
    rng: np.random.Generator,
) -> Config | None:
    for _ in range(TRIES):
        asked = study.ask(ranges)
        study.tell(asked, worst)
        if is_new(space, config := space.clip(asked.params), seen):
            return config
    return new_near(space, space.to_unit(asked.params), seen, rng)


def is_new(space: Space, config: Config, seen: Collection[Key]) -> bool:
    """Whether a configuration of the space satisfies its constraints and is none of `seen`."""
    return space.key(config) not in seen and space.satisfies(config)


def near(space: Space, centre: np.ndarray, spread: float, rng: np.random.Generator) -> Config:
    """A configuration drawn around a point of the unit cube, `spread` its standard deviation; constraints aside."""
    point = np.clip(centre + spread * rng.standard_normal(len(centre)), 0.0, 1.0)
    return space.clip(
        {name: p.from_unit(float(u)) for (name, p), u in zip(space.parameters.items(), point, strict=True)}
    )


def new_near(space: Space, centre: np.ndarray, seen: Collection[Key], rng: np.random.Generator) -> Config | None:
    """A new valid configuration close to a point of the unit cube; None when an ever wider search found none."""
    drawn = (near(space, centre, float(spread), rng) for spread in SPREADS)
    return next((config for config in drawn if is_new(space, config, seen)), None)


@contextmanager
def _quiet() -> Iterator[None]:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # A constant objective makes the GP's fit warn; the proposal is still a proposal.
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
