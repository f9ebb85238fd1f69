"""How good an estimator is on what it has not seen: folds are held back in turn, and figures get bootstrap intervals.

Whoever evaluates may keep the estimates of finished folds, so that a stopped evaluation goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from . import metrics
from .card import Figure
from .estimator import Estimator, Progress, silent
from .logs import Logs
from .metrics import Concordance
from .splits import SPLITS, families, folds, split_rows

DRAWS = 500  # of the bootstrap: the ends of a 95 % interval are then within a few per cent of its width
MAX_UNITS = 1000  # that are resampled; beyond, units are resampled in bundles, which the memory of the AUC asks for
METRICS = ("AUC", "AUC within suites", "accuracy", "Brier", "calibration error")
Make = Callable[[], Estimator]


class Kept(Protocol):
    """Where estimates of finished folds stay."""

    def get(self, name: str) -> np.ndarray | None:
        """Probabilities of the rows of a fold, if they are there."""
        ...

    def put(self, name: str, probability: np.ndarray) -> None:
        """Keep them."""
        ...


@dataclass(frozen=True)
class HeldOut:
    """What models said of rows that they were not trained on."""

    split: str
    logs: Logs
    probability: Mapping[str, np.ndarray]  # by the model's name, shape (n,)


def why_not(logs: Logs, split: str) -> str:
    """Why a split cannot be evaluated on these logs; empty when it can."""
    what = {
        "pair": "pair",
        "task": "task with words of its own",
        "workflow": "workflow with a graph of its own",
        "suite": "suite with tasks of its own",
    }[split]
    count = len(set(families(logs).tolist() if split == "suite" else SPLITS[split](logs)))
    return "" if count > 1 else f"it takes more than one {what}, and the logs have {count}"


def hold_out(
    logs: Logs,
    split: str,
    models: Mapping[str, Make],
    *,
    count: int,
    seed: int = 0,
    kept: Kept | None = None,
    progress: Progress = silent,
) -> HeldOut:
    """Train each model without a fold and ask it about the fold, for all folds.

    Args:
        models: makers of untrained estimators, by name.
        count: folds.
        seed: of the folds.
        kept: takes and gives estimates of finished folds.

    Raises:
        ValueError: the split cannot be made; see `why_not`.
    """
    if reason := why_not(logs, split):
        raise ValueError(f"the split {split!r} cannot be made: {reason}")
    fold = folds(logs, split, count, seed)
    found = {name: np.zeros(len(logs)) for name in models}
    steps = [(int(held), name) for held in np.unique(fold) for name in models]
    for done, (held, name) in enumerate(steps):
        progress(f"evaluating split {split}", done / len(steps))
        train, test = split_rows(logs, fold, held)
        said = None if kept is None else kept.get(f"{split}-{held}-{name}")
        if said is None or said.shape != (len(test),):
            said = models[name]().fit(train).predict(test).probability
            if kept is not None:
                kept.put(f"{split}-{held}-{name}", said)
        found[name][fold == held] = said
    progress(f"evaluating split {split}", 1.0)
    return HeldOut(split, logs, found)


def figures(held: HeldOut, *, ours: str = "luthier", seed: int = 0) -> list[Figure]:
    """All metrics of all models; then ours minus the baseline with the best AUC, resampled together.

    Tasks are resampled, or graphs where workflows are unseen, or suites where those are.
    """
    times = _draws(_units(held), seed)
    drawn = {name: _all(held.logs, p, *times) for name, p in held.probability.items()}
    rows = [
        _figure(held.split, name, metric, values) for name, all_ in drawn.items() for metric, values in all_.items()
    ]
    others = {name: all_["AUC"][0] for name, all_ in drawn.items() if name != ours}
    if ours in drawn and others:
        best = max(others, key=lambda name: np.nan_to_num(others[name]))
        for metric in METRICS:
            gap = drawn[ours][metric] - drawn[best][metric]
            rows.append(_figure(held.split, f"{ours} - {best}", metric, gap))
    return rows


def _units(held: HeldOut) -> np.ndarray:
    """What is resampled as one, of each pair; shape (n,), int from 0."""
    of = {"workflow": held.logs.graph, "suite": families(held.logs)}
    unit = np.unique(of.get(held.split, held.logs.task), return_inverse=True)[1]
    return np.asarray(unit % MAX_UNITS)


def _draws(unit: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The units, and how often each is drawn: once for the figure itself, then by chance; shape (1 + DRAWS, units)."""
    count = int(unit.max()) + 1
    chance = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    return unit, np.vstack([np.ones((1, count), int), chance])


def _all(logs: Logs, probability: np.ndarray, unit: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric of each draw, shape (1 + DRAWS,)."""
    one = np.zeros(len(logs), int)
    suite = np.unique(logs.suite, return_inverse=True)[1]
    weighted = {"accuracy": metrics.accuracy, "Brier": metrics.brier, "calibration error": metrics.calibration_error}
    found = {
        "AUC": _auc(probability, logs.label, unit, one, times),
        "AUC within suites": _auc(probability, logs.label, unit, suite, times),
    }
    for name, metric in weighted.items():
        truth = logs.label if name == "accuracy" else logs.frequency
        found[name] = np.array([metric(probability, truth, draw[unit].astype(float)) for draw in times])
    return found


def _auc(score: np.ndarray, label: np.ndarray, unit: np.ndarray, part: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The AUC over pairs of rows in one part, of each draw; NaN where no part has both classes."""
    wins, all_pairs = np.zeros(len(times)), np.zeros(len(times))
    for one in np.unique(part):
        inside = part == one
        used, place = np.unique(unit[inside], return_inverse=True)
        counts = Concordance.of(score[inside], label[inside], place)
        often = times[:, used].astype(float)
        pairs = (often @ counts.positives) * (often @ counts.negatives)
        wins += np.nan_to_num(counts.auc(often)) * pairs
        all_pairs += pairs
    with np.errstate(invalid="ignore"):
        return np.asarray(wins / all_pairs)


def _figure(split: str, model: str, metric: str, values: np.ndarray) -> Figure:
    """The value, which stands first, with the interval of the others."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = (float(x) for x in np.quantile(drawn, [0.025, 0.975])) if len(drawn) else (None, None)
    value = float(values[0]) if np.isfinite(values[0]) else None
    return Figure(split=split, model=model, metric=metric, value=value, low=low, high=high)
