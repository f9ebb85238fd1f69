"""The advisor protocol: a source of candidates that needs no language model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from .records import Candidate, Direction, Trial
from .space import Space


@runtime_checkable
class Advisor(Protocol):
    """Proposes candidates from the finished trials of a study.

    An advisor is a pure function of its arguments: equal arguments give equal candidates. It never touches the
    study's storage; it may return fewer candidates than asked, or none when it has nothing to say yet.
    """

    name: str

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` candidates, best first, each inside `space` and satisfying its constraints."""
        ...


@runtime_checkable
class Silent(Protocol):
    """An advisor that can say why it proposes nothing."""

    silence: str  # why there was nothing when it was last asked; "" where the user need not know


def seed_for(study_seed: int, trial_number: int, advisor: str) -> int:
    """A 32-bit seed of its own for each study, trial and advisor.

    A sampler that is rebuilt with one seed proposes the same point again and again.
    """
    digest = hashlib.sha256(f"{study_seed}/{trial_number}/{advisor}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
