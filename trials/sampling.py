"""Asking Optuna's samplers for candidates on a copy of the study in memory: asking the real one creates trials."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .distributions import to_distributions
from .records import Config, Direction, State, Trial
from .space import Space

if TYPE_CHECKING:
    import optuna

TRIES = 20  # asks for one candidate before giving up: each refused one is told to the sampler as bad


def observed(trials: Sequence[Trial], direction: Direction) -> list[tuple[Trial, float]]:
    """The trials that teach a sampler something, each with a value.

    A failed trial counts as the worst finished value, and so does a stopped one unless its own value is worse:
    left out, it would be proposed again. Nothing is known before one trial is complete.
    """
    values = [t.value for t in trials if t.state is State.COMPLETE and t.value is not None]
    if not values:
        return []
    worst = direction.worst(values)
    known: list[tuple[Trial, float]] = []
    for trial in trials:
        if trial.state is State.COMPLETE and trial.value is not None:
            known.append((trial, trial.value))
        elif trial.finished:
            known.append((trial, worst if trial.value is None else direction.worst([worst, trial.value])))
    return known


def ask(
    sampler: optuna.samplers.BaseSampler,
    space: Space,
    trials: Sequence[Trial],
    direction: Direction,
    n: int,
) -> list[Config]:
    """Up to `n` different new configurations from a sampler, inside the space and its constraints.

    Inactive hyperparameters stand at their default, so that each trial is a point of one complete space and the
    sampler never falls back to drawing at random. What was asked and not taken counts as the worst value seen.
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
        seen = {space.key(trial.config) for trial in trials}
        found: list[Config] = []
        for _ in range(TRIES + n):
            asked = study.ask(ranges)
            config = space.clip(asked.params)
            if space.key(config) not in seen and space.satisfies(config):
                found.append(config)
                seen.add(space.key(config))
            if len(found) == n:
                break
            study.tell(asked, worst)
    return found


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
