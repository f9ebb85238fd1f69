"""What skipping saved and what it lost, estimated from audits (design, section 4, "Skipping honestly").

**What is estimated for gate 2.** A skipped candidate is worth what it would have gained over the best before it, had it
run at that moment: gain above noise, in units of the scale, at most `CAP` (`gain.py`). `gain` is the sum of that over
all candidates that were skipped: what running them as well would have brought at most, for two of them may hold the
same discovery. But a trial does not end with a skip; another candidate runs instead. `lost` is the difference between
the two at each trial: what the first skipped candidate would have gained, less what ran instead did gain. Below 0 the
gate won. It is of the trial alone: that a better best helps what comes after is in neither number.

An audited candidate was refused like the skipped ones, and only a lot decided that it runs. So it stands for those
refused at the same rate; where studies had different rates, each audit is weighted by (1 - rate) / rate, and the
weights are brought to the number of skips that is known (Horvitz and Thompson 1952; Hajek 1971).

**For gate 1**, the same over turns whose workflow was drawn. A turn with a model stands for those without: where a
model got the turn with probability p, it is weighted by (1 - p) / p, so that the weighted turns with a model are spread
over a study like those without. These count as they were: what ran in them, the advisors' choice mostly and chance's
rarely, is what the model's turns are compared with. Turns that do not tell p are left out.

Intervals are of 95 %, and honest where nothing was seen: see `bounded.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .audits import CAP, Audit, Facts, Ran, Turn
from .bounded import Estimate, bounded_mean, ratio

# Audits, and turns of each kind: fewer without a win could not even exclude that one skip in twenty would have won.
ENOUGH = 60
WON_LEVEL = 0.9  # two-sided: so the upper end of the share of wins alone is one of 95 %


@dataclass(frozen=True)
class Skipped:
    """What gate 2 did. Estimates are None where there are not enough audits, or nothing to estimate from."""

    skips: int
    trials: int  # in which something was skipped, and something else ran
    studies: int  # in which it refused anything
    audits: int
    standing: int  # of them, those that stand for skips: where all that is refused runs, none does
    wins: int  # audits that gained
    share: float  # of the audits, weighted: wins
    share_at_most: float  # the true share of wins, with 95 % certainty
    gain: Estimate | None  # that all skipped candidates together would have brought, scales
    lost: Estimate | None  # that, for one candidate a trial, less what ran instead, scales
    gained_instead: float  # by what ran in those trials, scales
    seconds: Estimate | None  # of training that all skipped candidates together would have taken
    seconds_expected: float  # the same as the gate expected
    seconds_instead: float  # of what ran in those trials
    joules: Estimate | None  # as seconds; None where fewer audits were measured
    enough_audits: bool


@dataclass(frozen=True)
class Spared:
    """What gate 1 did, in turns that a model could have had."""

    turns: int  # without a model
    asked: int  # with one
    compared: int  # of those without: in studies that have some with one, whose costs are known
    studies: int  # with those compared
    tokens: Estimate | None  # that the model would have taken in those compared; None where there are none
    seconds: Estimate | None  # of the model, likewise
    lost: Estimate | None  # gain of turns with a model less that of turns without, for those without, scales


@dataclass(frozen=True)
class Savings:
    """Of both gates, over all studies."""

    studies: int  # in which a gate decided anything
    gate: Skipped
    turns: Spared


def savings_of(facts: Facts) -> Savings:
    """The estimates from the facts of all studies."""
    deciding = {one.study for part in (facts.audits, facts.skips, facts.turns) for one in part}
    return Savings(len(deciding), _skipped(facts), _spared(facts.turns))


def _skipped(facts: Facts) -> Skipped:
    skips, audits, instead = facts.skips, facts.audits, facts.instead
    wins = [float(audit.gain > 0) for audit in audits]
    known = [audit for audit in audits if audit.weight > 0] if skips else []
    share = bounded_mean(wins, _even(audits), bound=1.0, level=WON_LEVEL)
    expected = sum(skip.expected for skip in skips)
    return Skipped(
        skips=len(skips),
        trials=len(instead),
        studies=len({one.study for part in (skips, audits) for one in part}),
        audits=len(audits),
        standing=len(known),
        wins=int(sum(wins)),
        share=share.value,
        share_at_most=share.high,
        gain=_gain(known).times(len(skips)) if len(known) >= ENOUGH else None,
        lost=_lost(known, instead),
        gained_instead=sum(one.gain for one in instead),
        seconds=_seconds(known, expect=expected) if len(known) >= ENOUGH else None,
        seconds_expected=expected,
        seconds_instead=sum(one.seconds for one in instead),
        joules=_joules(known, len(skips)),
        enough_audits=len(known) >= ENOUGH,
    )


def _even(audits: Sequence[Audit]) -> list[float]:
    """Weights of audits; alike where every one would count nothing, since nothing was skipped at its rate."""
    weights = [audit.weight for audit in audits]
    return weights if any(weights) else [1.0] * len(weights)


def _gain(audits: Sequence[Audit]) -> Estimate:
    return bounded_mean([audit.gain for audit in audits], [audit.weight for audit in audits], bound=CAP)


def _lost(audits: Sequence[Audit], instead: Sequence[Ran]) -> Estimate | None:
    # What is refused first in a trial is a candidate of its own kind: only the same among the audits stand for it.
    first = [audit for audit in audits if audit.first]
    if len(first) < ENOUGH or not instead:
        return None
    return _gain(first).times(len(instead)).plus(-sum(one.gain for one in instead))


def _seconds(audits: Sequence[Audit], *, expect: float) -> Estimate:
    """What the skips took in the gate's expectation, corrected by how far that was off for the audits."""
    took, expected = ([getattr(audit, name) for audit in audits] for name in ("seconds", "expected"))
    if not sum(expected):
        return Estimate(0.0, 0.0, 0.0)
    return ratio(took, expected, [audit.weight for audit in audits]).times(expect)


def _joules(audits: Sequence[Audit], skips: int) -> Estimate | None:
    measured = [audit for audit in audits if audit.joules is not None]
    if len(measured) < ENOUGH:
        return None  # nothing is modelled
    weights = [audit.weight for audit in measured]
    return ratio([audit.joules or 0.0 for audit in measured], [1.0] * len(measured), weights).times(skips)


def _spared(turns: Sequence[Turn]) -> Spared:
    asking = {turn.study for turn in turns if turn.model}
    # A study from before probabilities were kept tells by its turns with a model alone that there was one.
    without = [turn for turn in turns if not turn.model and (turn.asks or turn.study in asking)]
    compared = [turn for turn in without if turn.study in asking]
    asked = [turn for turn in turns if turn.model]
    return Spared(
        turns=len(without),
        asked=len(asked),
        compared=len(compared),
        studies=len({turn.study for turn in compared}),
        tokens=_as_asked(asked, compared, "tokens"),
        seconds=_as_asked(asked, compared, "model_seconds"),
        lost=_lost_turns(asked, without),
    )


def _as_asked(asked: Sequence[Turn], without: Sequence[Turn], fact: str) -> Estimate | None:
    """What turns without a model would have cost as those of their own study with it did, less what they did cost."""
    if not without:
        return None
    spent = sum(getattr(turn, fact) for turn in without)
    parts = []
    for number, study in enumerate(sorted({turn.study for turn in without})):
        known = [turn for turn in asked if turn.study == study]
        mean = ratio([getattr(turn, fact) for turn in known], [1.0] * len(known), [1.0] * len(known), seed=number)
        parts.append(mean.times(sum(turn.study == study for turn in without)))
    return _sum(parts).plus(-spent)


def _sum(parts: Sequence[Estimate]) -> Estimate:
    """Of independent estimates, as `Estimate.minus` puts two together."""
    value = sum(part.value for part in parts)
    down = np.hypot.reduce([part.value - part.low for part in parts])
    up = np.hypot.reduce([part.high - part.value for part in parts])
    return Estimate(value, float(value - down), float(value + up))


def _lost_turns(asked: Sequence[Turn], without: Sequence[Turn]) -> Estimate | None:
    # One that nobody else could have had stands for none.
    known, spared = ([t for t in kind if t.gain is not None and 0 < (t.asks or 0.0) < 1] for kind in (asked, without))
    if min(len(known), len(spared)) < ENOUGH:
        return None
    weights = [1 / turn.asks - 1 for turn in known if turn.asks]
    gained = bounded_mean([turn.gain or 0.0 for turn in known], weights, bound=CAP)
    return gained.minus(bounded_mean([turn.gain or 0.0 for turn in spared], bound=CAP)).times(len(spared))
