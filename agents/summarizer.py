"""The Trajectory Context Summarizer: raw trials in, what a small model can act on out. Deterministic, no model.

After Expert Blocks (arXiv 2509.15561, section 3): the diagnoses come from curves, the effects from all trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from ..trials.diagnosis import diagnose
from ..trials.records import Config, Direction, State, Trial, best_trial
from ..trials.space import Choice, Space, describe
from .context import Comparison, Context, Noise, TrialRow
from .effects import effects

ROWS = 12  # trials kept in full: the best ones and the latest
FAILURES = 8
ROUNDING = 1e-12  # of a value: sums in another order differ by that much
ROUGH_BELOW = 4  # values of one configuration; fewer give a rough noise floor
GAP = 1 / 3  # of a (log) range without a trial that counts as unexplored


def summarize(
    *,
    name: str,
    space: Space | None,
    trials: Sequence[Trial],
    direction: Direction,
    metric: str,
    noise: Sequence[float] = (),
    budget: Mapping[str, float] | None = None,
    recalled: Sequence[str] = (),
) -> Context:
    """The context of a study.

    Args:
        trials: in any order; running ones do not count.
        noise: values of the extra runs of trial 0.
        budget: what is left of each budget, by its name.
        recalled: lessons of past studies, the most useful first.
    """
    done = sorted((t for t in trials if t.finished), key=lambda t: t.number)
    best, floor = best_trial(done, direction), _noise(done, noise)
    reference = None if best is None else best.value

    def row(trial: Trial | None) -> TrialRow | None:
        return None if trial is None else _row(trial, direction, metric, reference)

    failed = [t for t in done if t.state is State.FAILED][-FAILURES:]
    latest = done[-1] if done else None
    before = done[-2] if len(done) > 1 else None
    return Context(
        study=name,
        metric=metric,
        direction=direction,
        finished=len(done),
        best=row(best),
        default=row(done[0]) if done and done[0].number == 0 else None,
        latest=row(latest),
        against_best=_compare(latest, _best_before(done, direction), direction, floor),
        against_before=_compare(latest, before, direction, floor),
        rows=[_row(t, direction, metric, reference) for t in _useful(done, direction)],
        effects=[] if space is None else effects(space, done, direction),
        failures=[_row(t, direction, metric, reference) for t in failed],
        recalled=list(recalled),
        avoid=_avoid(failed),
        unexplored=[] if space is None else _unexplored(space, done),
        noise=floor,
        budget=dict(budget or {}),
        space={} if space is None else {n: describe(p) for n, p in space.parameters.items()},
    )


def _row(trial: Trial, direction: Direction, metric: str, reference: float | None) -> TrialRow:
    found = diagnose(trial, direction, metric, reference)
    since = f" since step {found.since}" if found.since is not None else ""
    return TrialRow(
        number=trial.number,
        config=dict(trial.config),
        value=trial.value,
        state=trial.state.value,
        verdict=f"{found.verdict}{since}",
        evidence=found.evidence,
        source=trial.source,
    )


def _useful(done: Sequence[Trial], direction: Direction) -> list[Trial]:
    """The best trials, then the latest, at most `ROWS`."""
    valued = [t for t in done if t.value is not None]
    best = sorted(valued, key=lambda t: (-direction.sign * (t.value or 0.0), t.number))[: ROWS // 2]
    shown = {t.number for t in best}
    latest = [t for t in reversed(done) if t.number not in shown][: ROWS - len(best)]
    return [*best, *latest]


def _best_before(done: Sequence[Trial], direction: Direction) -> Trial | None:
    return best_trial(list(done[:-1]), direction)


def _noise(done: Sequence[Trial], extra: Sequence[float]) -> Noise:
    own = [t.value for t in done if t.number == 0 and t.value is not None]
    values = [*own, *extra]
    if len(values) < 2:
        return Noise(deviation=None, runs=len(values), text="noise unknown")
    deviation = float(np.std(values, ddof=1))
    if deviation == 0:
        return Noise(deviation=0.0, runs=len(values), text="no noise: equal runs give equal values")
    rough = "roughly " if len(values) < ROUGH_BELOW else ""
    return Noise(deviation=deviation, runs=len(values), text=f"noise {rough}{deviation:.2g} ({len(values)} runs)")


def _compare(latest: Trial | None, other: Trial | None, direction: Direction, noise: Noise) -> Comparison | None:
    if latest is None or other is None:
        return None
    changes = changed(latest.config, other.config)
    if latest.value is None or other.value is None:
        text = f"trial {latest.number} {latest.state}" if latest.value is None else f"trial {other.number} has no value"
        return Comparison(against=other.number, changes=changes, gain=None, text=text)
    same = math.isclose(latest.value, other.value, rel_tol=ROUNDING)
    gain = 0.0 if same else direction.gain(latest.value, other.value)
    within = noise.deviation is not None and 0 < abs(gain) < 2 * noise.deviation
    way = "better" if gain > 0 else "worse"
    words = f"{way} than trial {other.number} by {abs(gain):.3g}" if gain else f"as good as trial {other.number}"
    text = f"trial {latest.number} is {words}"
    text += ", within the noise" if within else ""
    return Comparison(against=other.number, changes=changes, gain=gain, text=text)


def changed(config: Config, base: Config) -> list[str]:
    """What a configuration changes against another, one entry a hyperparameter."""
    names = [*base, *(n for n in config if n not in base)]
    return [f"{n} {_word(base.get(n))} to {_word(config.get(n))}" for n in names if base.get(n) != config.get(n)]


def _word(value: object) -> str:
    return "off" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _avoid(failed: Sequence[Trial]) -> list[str]:
    """What each failed trial died of, and where."""
    return [f"{t.failure.cause}: {_config(t.config)}" for t in failed if t.failure is not None]


def _config(config: Config) -> str:
    return " ".join(f"{name}={_word(value)}" for name, value in config.items())


def _unexplored(space: Space, done: Sequence[Trial]) -> list[str]:
    """The widest untried part of each hyperparameter's range, where it is wide."""
    found: list[tuple[float, str]] = []
    for name, parameter in space.parameters.items():
        tried = [t.config[name] for t in done if name in t.config]
        if isinstance(parameter, Choice):
            missing = [str(c) for c in parameter.choices if c not in tried]
            if missing:
                found.append((len(missing) / len(parameter.choices), f"{name} in {', '.join(missing[:6])}"))
            continue
        places = sorted({0.0, 1.0, *(parameter.to_unit(v) for v in tried)})
        width, low = max((b - a, a) for a, b in pairwise(places))
        if width >= GAP:
            low_value, high_value = parameter.from_unit(low), parameter.from_unit(low + width)
            found.append((width, f"{name} from {_word(low_value)} to {_word(high_value)}"))
    return [text for _, text in sorted(found, reverse=True)]
