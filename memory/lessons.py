"""What the trials of a task say of each hyperparameter: an effect with its interval. Pure: trials in, evidence out."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import linregress
from scipy.stats import t as student

from ..trials.records import Value
from ..trials.space import Choice, Float, Int
from .note import Evidence, PastTrial, Standing
from .task import Task
from .wording import cut

LEAST = 6  # configurations with a value before an effect is looked for
SURE = 0.95  # of the interval


def effect_of(name: str, task: Task, trials: list[PastTrial]) -> Evidence | None:
    """What going from the lowest to the highest value tried does to the metric; None where too little was tried.

    Above 0 is better. A straight line over the (log) range, least squares; its 95 % interval is Student's. Trials vary
    in everything else too, so this is what went along with the value, not what it causes alone. Trials of one
    configuration count once, by their mean: other seeds of two configurations say nothing new of what sets them apart.
    """
    parameter = task.space[name]
    if isinstance(parameter, Choice):
        return None
    known = [t for t in trials if t.value is not None and math.isfinite(t.value)]
    placed = [(place, t) for t in known if (place := _place(parameter, t.config.get(name))) is not None]
    placed.sort(key=lambda one: one[0])
    points, rows = _points(placed), [t for _, t in placed]
    if len(points) < LEAST:
        return None
    width = float(points[-1, 0] - points[0, 0])
    if width == 0:
        return None
    line = linregress(points[:, 0], task.direction.sign * points[:, 1])
    margin = float(student.ppf((1 + SURE) / 2, len(points) - 2)) * float(line.stderr)
    return Evidence(
        trials=tuple(t.id for t in rows),
        metric=task.metric,
        direction=task.direction,
        config={"from": rows[0].config[name], "to": rows[-1].config[name]},
        effect=float(line.slope) * width,
        low=(float(line.slope) - margin) * width,
        high=(float(line.slope) + margin) * width,
        seconds=sum(t.seconds for t in rows),
    )


def _points(placed: list[tuple[float, PastTrial]]) -> np.ndarray:
    """Place and mean value of each configuration, of shape (n_configurations, 2), in the order of `placed`."""
    values: dict[str, list[tuple[float, float]]] = {}
    for place, trial in placed:
        values.setdefault(repr(sorted(trial.config.items())), []).append((place, float(trial.value or 0.0)))
    return np.array([(same[0][0], np.mean([value for _, value in same])) for same in values.values()])


def _place(parameter: Float | Int, value: Value | None) -> float | None:
    """Where a value lies in the (log) range, or beyond it; None for what an older range of this name had: a text, or
    nothing above 0 where the scale is a logarithm now."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        place = parameter.to_unit(value)
    except (ValueError, OverflowError):
        return None
    return place if math.isfinite(place) else None


def standing(claimed: Evidence, now: Evidence) -> Standing:
    """What has become of a claim: its sign was sure when it was made.

    Args:
        claimed: evidence of the claim that was sure: superseded, it is the opposite of the claim.
    """
    if claimed.effect is None or now.effect is None or now.low is None or now.high is None:
        return Standing.WEAKENED
    if now.low <= 0 <= now.high:
        return Standing.WEAKENED
    positive = (claimed.effect > 0) != (claimed.standing is Standing.SUPERSEDED)
    return Standing.SUPPORTED if (now.effect > 0) == positive else Standing.SUPERSEDED


def is_sure(evidence: Evidence) -> bool:
    """Whether the interval leaves zero out."""
    return evidence.low is not None and evidence.high is not None and not evidence.low <= 0 <= evidence.high


def worded(name: str, evidence: Evidence, task: Task) -> str:
    """The lesson in a sentence."""
    way = "better" if (evidence.effect or 0) > 0 else "worse"
    ends = f"{short(evidence.config['from'])} to {short(evidence.config['to'])}"
    claim = f"{cut(name)} from {ends} went along with {way} {cut(task.metric)}"
    return sentence(task, claim, evidence, f"{len(evidence.trials)} trials")


def sentence(task: Task, claim: str, evidence: Evidence, seen: str) -> str:
    """A claim with its effect, how much was seen of it, and how it stands."""
    numbers = f"{evidence.effect:+.3g} [{evidence.low:+.3g}, {evidence.high:+.3g}], above 0 is better"
    note = {
        Standing.SUPPORTED: "",
        Standing.WEAKENED: "; no longer sure",
        Standing.SUPERSEDED: "; the opposite of what it was",
    }
    return f"In {cut(task.script)}, {claim}: {numbers}, {seen}{note[evidence.standing]}."


def short(value: object) -> str:
    """A value in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else cut(value)


def best_of(task: Task, trials: list[PastTrial]) -> Evidence:
    """What the trials of a task came to: the best value and its configuration."""
    done = [t for t in trials if t.value is not None and t.state == "complete"]
    best = max(done, key=lambda t: task.direction.sign * (t.value or 0.0), default=None)
    return Evidence(
        trials=tuple(t.id for t in trials),
        metric=task.metric,
        direction=task.direction,
        best=None if best is None else best.value,
        config={} if best is None else best.config,
        diagnosis="" if best is None else best.diagnosis,
        seconds=sum(t.seconds for t in trials),
    )
