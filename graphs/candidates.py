"""Asking the advisors: what may run next, without a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..agents.critic import check_rules
from ..memory.transfer import FIRST, TransferAdvisor
from ..trials.advisor import Advisor, Silent, seed_for
from ..trials.advisors import DefaultAdvisor, RandomAdvisor, in_order
from ..trials.records import Candidate, Cause, Failure, State, Trial
from ..trials.space import Space
from ..trials.study import Study
from .state import Skip

EACH = {"local": 2}  # candidates of an advisor when a model chooses among them; one of every other

LIKELY = 0.5  # probability from which a refused configuration is a failure to the advisors


class SpaceExhausted(Exception):
    """Every configuration has been tried; the loop ends with `StopReason.EXHAUSTED`."""


def candidates_for(
    study: Study,
    trials: Sequence[Trial],
    number: int,
    advisors: Sequence[Advisor],
    *,
    several: bool,
    warn: Callable[[str, str], None],
    skips: Sequence[Skip] = (),
) -> list[Candidate]:
    """New candidates that no rule refuses, the better advisor first; never empty. Trial 0 has one: the default.

    Args:
        trials: the finished ones.
        skips: what gate 2 refused in this trial. What it takes for a failure is one to the advisors (the liar of
            Ginsbourger et al. 2010), so that they look elsewhere; what would not win is only not proposed again.
        several: ask every advisor, for a model to choose; else only until the first has something to say. The first
            trials go to what past studies did best with, where there are any.
        warn: called with a kind and a text when an advisor fails, or says why it is silent.

    Raises:
        SpaceExhausted: when every configuration has been tried.
    """
    space = study.space
    if space is None:
        return [Candidate({}, "default", "what the objective suggests by itself: the midpoint of each range")]
    found: list[Candidate] = []
    refused = [_as_failed(skip) for skip in skips]
    tried = [*trials, *(one for one, skip in zip(refused, skips, strict=True) if (skip["failure"] or 0.0) >= LIKELY)]
    barred = [Candidate(skip["config"], skip["source"]) for skip in skips]
    asked = advisors if number else [DefaultAdvisor(), *advisors]
    on = "the others go on" if len(asked) > 1 else "a random configuration runs"
    for advisor in in_order(asked, space):
        wanted = EACH.get(advisor.name, 1) if several else 1
        seed = seed_for(study.seed, number, advisor.name)
        try:
            made = advisor.advise(space, tried, study.direction, seed=seed, n=wanted + len(skips))
        except Exception as error:  # anybody's advisor may fail in any way, and the night must not stop for it
            warn(f"advisor {advisor.name}", f"advisor {advisor.name} failed ({_short(error)}); {on}")
            continue
        if not made and isinstance(advisor, Silent) and advisor.silence:
            warn(f"silent {advisor.name}", f"advisor {advisor.name}: {advisor.silence}; {on}")
        found += fresh(made, [*found, *barred], space, tried)
        # What served past studies best is tried before anybody chooses: no choice among cold candidates comes near it.
        known = advisor.name == TransferAdvisor.name and number < FIRST
        if found and (number == 0 or not several or known):
            break
    return found or [_drawn(study, space, [*trials, *refused], seed_for(study.seed, number, RandomAdvisor().name))]


def fresh(
    made: Sequence[Candidate], found: Sequence[Candidate], space: Space, trials: Sequence[Trial]
) -> list[Candidate]:
    """Those of `made` that are new against `found` and the trials, and that no rule of the critic refuses."""
    keys = {space.key(candidate.config) for candidate in found}
    kept = []
    for candidate in made:
        if check_rules(candidate.config, space, trials) is None and space.key(candidate.config) not in keys:
            keys.add(space.key(candidate.config))
            kept.append(candidate)
    return kept


def exhausted(study: Study, trials: Sequence[Trial]) -> bool:
    """Whether every configuration has been tried."""
    space = study.space
    return space is not None and not RandomAdvisor().advise(space, trials, study.direction, seed=study.seed)


def _as_failed(skip: Skip) -> Trial:
    failure = Failure(Cause.CRASH, skip["why"])
    return Trial(-1, skip["config"], State.FAILED, failure=failure, source=skip["source"])


def _drawn(study: Study, space: Space, trials: Sequence[Trial], seed: int) -> Candidate:
    drawn = RandomAdvisor().advise(space, trials, study.direction, seed=seed)
    if not drawn:
        raise SpaceExhausted
    return replace(drawn[0], reason="no advisor had anything new, so a random configuration")


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
