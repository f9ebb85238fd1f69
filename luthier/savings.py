"""What the gates saved and lost, in words: two lines for a summary, all of it for `luthier show --savings`."""

from __future__ import annotations

from collections.abc import Iterator

from .predictor.audits import Facts, facts_of
from .predictor.bounded import Estimate
from .predictor.skipping import ENOUGH, Savings, Skipped, Spared, savings_of
from .predictor.study_logs import logged_trials, logs_beside
from .trials.study import Study
from .words import duration

SHARE = "{:.3g} of the scale"  # the interquartile range of a study's values


def savings_beside(study: Study) -> Savings:
    """The account of a study and of all in the folders beside it, whose logs are read."""
    facts = _facts(study)
    for file in logs_beside(study.folder):
        direction, trials = logged_trials(file)
        facts += facts_of(trials, direction, file.parent.name)
    return savings_of(facts)


def decided(study: Study) -> bool:
    """Whether a gate kept anything from running in this study: a candidate, or a model from a turn."""
    facts = _facts(study)
    return bool(facts.skips or facts.audits) or {turn.model for turn in facts.turns} == {True, False}


def short_lines(savings: Savings) -> list[str]:
    """The account in a line for each gate that decided anything."""
    gate, turns = savings.gate, savings.turns
    lines = []
    if gate.skips or gate.audits:
        said = f"Skipped: {_many(gate.skips, 'candidate')}{_over(gate.studies)}"
        lost = f"gain lost a skip: {_each(gate)}" if gate.gain is not None else f"gain lost: {_few(gate)}"
        lines.append(f"{said}; training saved: {_spared(gate)}; {lost}.")
    if turns.tokens is not None and turns.seconds is not None:
        said = f"Without the model: {_many(turns.compared, 'turn')}{_over(turns.studies)}"
        lines.append(f"{said}; {_tokens(turns.tokens)} and {_time(turns.seconds)} of it saved.")
    return lines


def long_lines(savings: Savings) -> list[str]:
    """The whole account, with intervals and what is not known."""
    if not savings.studies:
        return ["No gate decided anything here: nothing was skipped, and no turn was drawn."]
    return [
        f"What the gates decided in {_many(savings.studies, 'study', 'studies')} (intervals of 95 %; a scale is the",
        "interquartile range of a study's values before the trial; one gain counts for one scale at most)",
        "",
        *_of_gate(savings.gate),
        "",
        *_of_turns(savings.turns),
        "",
        "Energy: " + _energy(savings.gate),
    ]


def _facts(study: Study) -> Facts:
    return facts_of(study.finished, study.direction, study.folder.name)


def _of_gate(gate: Skipped) -> Iterator[str]:
    yield f"Run or skip: {_many(gate.skips, 'candidate')} skipped before {_many(gate.trials, 'trial')}."
    if not gate.skips and not gate.audits:
        return
    yield f"  Audits: {gate.audits} more that the gate refused ran all the same, by lot; {gate.wins} of them gained."
    if gate.audits and gate.skips:
        yield f"  So at most {gate.share_at_most:.1%} of the skipped ones would have gained (95 % certain)."
    yield f"  Training saved: {_spared(gate)}."
    if gate.gain is None:
        yield f"  Gain lost: {_few(gate)}."
        return
    yield f"  Gain that the skipped ones would have brought: {_scales(gate.gain)}, that is {_each(gate)} a skip."
    ran = f"what ran instead gained {gate.gained_instead:.3g} scales in {duration(gate.seconds_instead)}"
    if gate.lost is None:
        yield f"  Against it, {ran}; too few audits of first refusals to compare ({ENOUGH} are needed)."
    else:
        yield f"  Against it, {ran}: lost {_scales(gate.lost)} by the exchange ({_verdict(gate.lost)})."


def _of_turns(turns: Spared) -> Iterator[str]:
    yield f"Model or not, drawn: {_many(turns.turns, 'turn')} without the model, {turns.asked} with it."
    if not turns.turns and not turns.asked:
        return
    if turns.tokens is None or turns.seconds is None:
        yield "  Saved: not known, since no study had turns of both kinds."
        return
    part = (
        ""
        if turns.compared == turns.turns
        else f", in the {_many(turns.compared, 'turn')} of studies that had both kinds"
    )
    yield f"  Saved: {_tokens(turns.tokens, ends=True)} and {_time(turns.seconds, ends=True)} of the model{part}."
    if turns.lost is None:
        yield f"  Gain lost: not enough turns ({ENOUGH} of each kind, with something to beat, are needed)."
    else:
        yield f"  Gain lost: {_scales(turns.lost)} ({_verdict(turns.lost)})."


def _spared(gate: Skipped) -> str:
    if gate.seconds is None:
        return f"{duration(gate.seconds_expected)}, as the gate expected"
    return _time(gate.seconds, ends=True)


def _few(gate: Skipped) -> str:
    return f"not enough audits ({gate.standing} of {ENOUGH})" if gate.skips else "none, since nothing was skipped"


def _each(gate: Skipped) -> str:
    assert gate.gain is not None
    one = gate.gain.times(1 / gate.skips)
    return f"{SHARE.format(one.value)} ({one.low:.2g} to {one.high:.2g})"


def _energy(gate: Skipped) -> str:
    if gate.joules is None:
        return f"not measured (in {ENOUGH} audits, as it would have to be), so nothing is said of it."
    return f"{gate.joules.value:.3g} J saved ({gate.joules.low:.3g} to {gate.joules.high:.3g})."


def _verdict(lost: Estimate) -> str:
    return "a loss" if lost.low > 0 else "a win" if lost.high < 0 else "not told apart from none"


def _scales(found: Estimate) -> str:
    return f"{found.value:.3g} scales ({found.low:.3g} to {found.high:.3g})"


def _time(found: Estimate, *, ends: bool = False) -> str:
    span = f" ({_signed(found.low)} to {_signed(found.high)})" if ends else ""
    return _signed(found.value) + span


def _signed(seconds: float) -> str:
    return ("-" if seconds < 0 else "") + duration(abs(seconds))


def _tokens(found: Estimate, *, ends: bool = False) -> str:
    return f"{found.value:,.0f} tokens" + (f" ({found.low:,.0f} to {found.high:,.0f})" if ends else "")


def _over(studies: int) -> str:
    return f" in {studies} studies" if studies > 1 else ""


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"
