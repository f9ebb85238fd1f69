"""Figures from predictions: metrics with bootstrap intervals, over tasks, or over graphs where workflows are unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from predictor_chance import calibration_by_chance
from predictor_models import OURS
from predictor_probes import halves
from scipy.special import xlogy
from stats import LEVEL

from luthier.predictor import metrics
from luthier.predictor.estimator import Estimates
from luthier.predictor.logs import Logs

DRAWS = 1000  # of the bootstrap
RANKING_DRAWS = 400  # of the bootstrap of rankings, which takes long
AREAS = ("auc", "auc-within", "auc-within-in-fold")
HALVINGS = 20  # deals of a suite's tasks into two halves
SURE = 0.8  # confidence above which a wrong prediction should have been an abstention


@dataclass(frozen=True)
class Figure:
    """One number with the ends of its 95 % interval; NaN where the data do not allow it."""

    split: str
    domain: str
    model: str
    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Part:
    """The rows of one domain, and how often each group stands in each resampling; the first is the rows as they are."""

    logs: Logs
    rows: np.ndarray  # (n,) places in the whole
    group: np.ndarray  # (n,) int: the task, or the graph where workflows are unseen
    times: np.ndarray  # (1 + DRAWS, n_groups)
    by_graph: bool

    @classmethod
    def of(cls, logs: Logs, rows: np.ndarray, split: str, seed: int = 0) -> Part:
        """The part of `logs` at `rows`."""
        part, by_graph = logs.take(rows), split == "workflow"
        _, group = np.unique(part.graph if by_graph else part.task, return_inverse=True)
        count = int(group.max()) + 1
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
        return cls(part, rows, group, np.vstack([np.ones(count), drawn]), by_graph)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum over the rows of each resampling; values of shape (n,), result (1 + DRAWS,)."""
        return np.asarray(self.times @ np.bincount(self.group, values, self.times.shape[1]))


def figure(split: str, domain: str, model: str, metric: str, found: np.ndarray) -> Figure:
    """The first of the values, with the interval of the others.

    A resampling adds noise to the truth, which pulls rankings towards 0 and calibration errors and regrets up. So the
    interval is moved by what its mean is off, and cut where the metric ends.
    """
    drawn, value = found[1:][np.isfinite(found[1:])], float(found[0])
    if not len(drawn):
        return Figure(split, domain, model, metric, value, float("nan"), float("nan"))
    ends = value - drawn.mean() + np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    bottom, top = (
        (-1.0, 1.0) if "tau" in metric or "minus" in metric else (0.0, np.inf if metric == "log-loss" else 1.0)
    )
    low, high = np.clip(ends, bottom, top)
    return Figure(split, domain, model, metric, value, float(low), float(high))


def row_metrics(part: Part, found: Estimates) -> dict[str, np.ndarray]:
    """Metrics that are sums over rows, by resampling."""
    logs, p = part.logs, found.probability[part.rows]
    inside, runs = np.clip(p, metrics.EDGE, 1 - metrics.EDGE), logs.runs.astype(float)
    seen, all_runs = logs.frequency, part.sums(runs)
    bins = metrics.bin_of(p)
    gaps = [np.abs(part.sums(runs * (p - seen) * (bins == b))) for b in range(metrics.BINS)]
    return {
        "accuracy": part.sums((p >= 0.5) == (logs.label > 0)) / part.sums(np.ones(len(p))),
        "brier": part.sums(runs * (seen * (1 - p) ** 2 + (1 - seen) * p**2)) / all_runs,
        "log-loss": part.sums(runs * (-xlogy(seen, inside) - xlogy(1 - seen, 1 - inside))) / all_runs,
        "calibration-error": np.sum(gaps, axis=0) / all_runs,
    }


def chance(part: Part, found: Estimates) -> dict[str, np.ndarray]:
    """The calibration error that luck alone would make, where the model says how uncertain it is."""
    of = Estimates(*(values[part.rows] for values in (found.probability, found.deviation, found.abstains)))
    if not np.isfinite(of.deviation).all():
        return {}
    return {"calibration-error-by-chance": calibration_by_chance(of, part.group, part.logs.runs)}


def aucs(part: Part, found: Estimates, fold: np.ndarray) -> dict[str, np.ndarray]:
    """The AUC by resampling: over all rows, in each suite, the mean of these, and that of pairs of rows of one fold.

    Rows of different folds were predicted by different trainings: one that lacks the good rows expects less of them,
    which pulls a suite's AUC down, and by more the less a model tells rows of a fold apart.

    Args:
        fold: of each row of the whole.
    """
    p, of_suite = found.probability[part.rows], {str(s): part.logs.suite == s for s in np.unique(part.logs.suite)}
    one = np.zeros(len(p), int)
    each = {suite: _auc(part, p, rows, one) for suite, rows in of_suite.items()}
    inside = [_auc(part, p, rows, fold[part.rows]) for rows in of_suite.values()]
    return {
        "auc": _auc(part, p, np.ones(len(p), bool), one),
        "auc-within": np.mean(list(each.values()), axis=0),
        "auc-within-in-fold": np.mean(inside, axis=0),
        **each,
    }


def _auc(part: Part, score: np.ndarray, rows: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Of the pairs of rows of one fold, how many are in the right order, by resampling."""
    won, pairs = np.zeros(len(part.times)), np.zeros(len(part.times))
    for held in np.unique(fold[rows]):
        inside = rows & (fold == held)
        found = metrics.Concordance.of(score[inside], part.logs.label[inside], part.group[inside])
        more = found.counted(part.times[:, : len(found.positives)])
        won, pairs = won + more[0], pairs + more[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / pairs)


def abstaining(part: Part, found: Estimates) -> np.ndarray:
    """Of the pairs that are wrong with confidence over 0.8, the share on which the model abstains."""
    p = found.probability[part.rows]
    wrong = ((p >= 0.5) != (part.logs.label > 0)) & (np.maximum(p, 1 - p) > SURE)
    with np.errstate(invalid="ignore"):
        return np.asarray(part.sums(wrong & found.abstains[part.rows]) / part.sums(wrong))


Ranking = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def ranking(
    part: Part, predicted: np.ndarray, true: np.ndarray, metric: Ranking, fold: np.ndarray | None = None
) -> np.ndarray:
    """A metric of how workflows are ranked by their mean over tasks, in each suite, averaged over suites.

    Args:
        predicted: shape (n,), of the rows of the part.
        true: the same.
        fold: the same, for Kendall's tau among workflows of one fold.

    Returns:
        Shape (1 + RANKING_DRAWS,).
    """
    times = part.times[: 1 + RANKING_DRAWS]
    found = []
    for suite in np.unique(part.logs.suite):
        rows = part.logs.suite == suite
        _, first, place = np.unique(part.logs.workflow[rows], return_index=True, return_inverse=True)
        group = part.group[rows]
        if part.by_graph:
            weight = times[:, group[first]]
            count = np.bincount(place).astype(float)
            rates = [np.tile(np.bincount(place, v[rows]) / count, (len(times), 1)) for v in (predicted, true)]
        else:
            cells = [np.zeros((len(first), times.shape[1])) for _ in range(3)]
            for cell, values in zip(cells, (np.ones(len(group)), predicted[rows], true[rows]), strict=True):
                np.add.at(cell, (place, group), values)
            there, ours, theirs = (times @ cell.T for cell in cells)
            weight = (there > 0).astype(float)
            rates = [np.round(x / np.maximum(there, 1), 12) for x in (ours, theirs)]
        within = metric if fold is None else partial(metrics.kendall_tau, block=fold[rows][first])
        found.append(_safe(within, rates[0], rates[1], weight))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanmean(found, axis=0)) if np.isfinite(found).any() else np.full(len(times), np.nan)


def _safe(metric: Ranking, predicted: np.ndarray, true: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The metric where the suite has anything to rank, else NaN; a ranking that is all ties has a tau of 0."""
    some = weight.sum(1) > 0
    found = np.full(len(weight), np.nan)
    if some.any():
        found[some] = metric(predicted[some], true[some], weight[some])
    return np.where(some & np.isnan(found), 0.0, found)


def taus(part: Part, predicted: np.ndarray, fold: np.ndarray, ending: str = "") -> dict[str, np.ndarray]:
    """Kendall's tau by resampling: over all workflows of a suite, and where workflows are unseen also in each fold.

    Workflows of different folds were predicted by different trainings, each of which has seen what the other has not:
    a training that lacks the good ones expects less of them, which is an artefact of the folds.
    """
    found = {f"kendall-tau{ending}": ranking(part, predicted, part.logs.frequency, metrics.kendall_tau)}
    if part.by_graph:
        name = f"kendall-tau-in-fold{ending}"
        found[name] = ranking(part, predicted, part.logs.frequency, metrics.kendall_tau, fold[part.rows])
    return found


def rankings(part: Part, found: Estimates, fold: np.ndarray) -> dict[str, np.ndarray]:
    """Ranking metrics by resampling. FLORA's utility ranks by decisions and labels, the others by rates."""
    p = found.probability[part.rows]
    return {
        **taus(part, p, fold),
        "top-1-regret": ranking(part, p, part.logs.frequency, metrics.top_regret),
        "utility": ranking(part, (p >= 0.5).astype(float), part.logs.label.astype(float), metrics.utility),
    }


def probe_taus(part: Part, after: np.ndarray, fold: np.ndarray, ending: str) -> dict[str, np.ndarray]:
    """Kendall's tau after probes, mean over the sets of probes; `after` of shape (sets, n of the whole)."""
    each = [taus(part, one[part.rows], fold, ending) for one in after]
    return {name: np.asarray(np.mean([one[name] for one in each], axis=0)) for name in each[0]}


def halves_tau(part: Part) -> np.ndarray:
    """Kendall's tau by resampling between the rankings by two halves of each suite's tasks, mean over deals."""
    deals = (halves(part.logs, seed) for seed in range(HALVINGS))
    return np.asarray(np.mean([ranking(part, one, other, metrics.kendall_tau) for one, other in deals], axis=0))


def chosen_elsewhere(logs: Logs, others: Sequence[np.ndarray], found: Mapping[str, Estimates]) -> str:
    """The model with the best AUC on other rows; empty without any.

    The best on the rows that are asked about is partly the luckiest one: nobody could have chosen it.

    Args:
        others: the rows of each other domain, which count alike.
        found: the models to choose from.
    """

    def area(name: str) -> float:
        return sum(metrics.auc(found[name].probability[rows], logs.label[rows]) for rows in others)

    return max(found, key=lambda name: float(np.nan_to_num(area(name)))) if found and others else ""


def minus(part: Part, one: Estimates, other: Estimates, fold: np.ndarray) -> np.ndarray:
    """The difference of two models' AUC by resampling; `fold` of each row of the whole."""
    return np.asarray(aucs(part, one, fold)["auc"] - aucs(part, other, fold)["auc"])


def compared(part: Part, found: Estimates, area: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ablations are judged by; `area` as `aucs` gives it."""
    return {**{name: area[name] for name in AREAS}, "log-loss": row_metrics(part, found)["log-loss"]}


def figures(
    part: Part, split: str, domain: str, fold: np.ndarray, found: Mapping[str, Estimates], baselines: Sequence[str]
) -> Iterator[Figure]:
    """All figures of one domain on one split, model by model; `fold` of each row of the whole."""
    area = {model: aucs(part, estimates, fold) for model, estimates in found.items()}
    best = {
        name: max((b for b in baselines if b in area), key=lambda b: float(np.nan_to_num(area[b][name][0])), default="")
        for name in AREAS
    }
    ours = compared(part, found[OURS], area[OURS]) if OURS in found else {}
    for model, estimates in found.items():
        values = {**row_metrics(part, estimates), **chance(part, estimates), **rankings(part, estimates, fold)}
        values |= {name: area[model][name] for name in AREAS}
        if ours and model not in (OURS, *baselines):  # what a part that is taken away, or added, does
            values |= {f"{n}-minus-{OURS}": v - ours[n] for n, v in compared(part, estimates, area[model]).items()}
        values |= {f"{n}-minus-best": area[model][n] - area[b][n] for n, b in best.items() if b and model != b}
        if split == "suite":
            values["abstains-when-wrong-and-sure"] = abstaining(part, estimates)
        for metric, drawn in values.items():
            yield figure(split, domain, model, metric, drawn)
        for suite in np.unique(part.logs.suite) if domain != "pooled" else ():
            if str(suite) == domain:  # it has been said
                continue
            yield figure(split, str(suite), model, "auc", area[model][str(suite)])
