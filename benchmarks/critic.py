"""What the critic's scorer knows: is a step worth its trial, scored alone or merged with the step before.

    python benchmarks/critic_runs.py --data ../shared/data --out critic_runs.jsonl
    python benchmarks/critic.py --data ../shared/data --runs critic_runs.jsonl --json critic.json

Fitted and measured on walks of other suites (`--split suite`), tuners or tasks. Worth its trial: the value beats the
best one before it by more than the noise (`critic_table.py`). Each scorer is fitted with and without node compression,
in which two consecutive steps count as one as well. Intervals: bootstrap over walks. `--asked FILE` adds what a
language model said of a sample (`critic_asked.py`), and what the scorers say of it.

Metrics: `auc`; `auc among offers`, over pairs of what could have run next from one state; `log loss`; `calibration`
error; the same on `mending` steps, which keep the way of a latest trial that came out badly; and `bias mending`, the
mean score minus the share that was worth it, below 0 where mending is punished.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from critic_decisions import turns, worth_it
from critic_models import FITS, Answer, Fit, StepScorer, after_bad, blind, constant, hierarchical, joint, linear
from critic_runs import load
from critic_table import Rows, kept
from critic_worlds import Walk
from figures import Figure, figure, write
from rich.console import Console
from rich.table import Table
from scipy.special import xlogy
from scipy.stats import rankdata
from stats import clustered

from luthier.predictor.metrics import BINS, EDGE, Concordance, bin_of
from luthier.predictor.step_features import Stand

DRAWS = 1000
WALKED = ("lcbench", "taskset", "tables")  # suites in which other offers are known too

REFERENCE = "trees, step"
SHOWN = ("auc", "auc among offers", "log loss", "calibration", "auc mending", "log loss mending", "bias mending")


def held_out(rows: Rows, by: str) -> Iterator[tuple[str, np.ndarray]]:
    """Names of the parts left out, and which rows they hold."""
    if by == "suite":
        of = rows.suite
    elif by == "tuner":
        of = np.array(
            [
                t if t in ("random", "tpe", "walk", "turns") else f"logs of {s}"
                for t, s in zip(rows.tuner, rows.suite, strict=True)
            ]
        )
    else:
        names = np.unique(np.char.add(np.char.add(rows.suite, "/"), rows.task))
        fold = np.random.default_rng(0).permutation(len(names)) % 5
        of = fold[np.searchsorted(names, np.char.add(np.char.add(rows.suite, "/"), rows.task))].astype(str)
    for name in np.unique(of):
        yield str(name), of == name


def answers(rows: Rows, fits: Mapping[str, Fit], full: bool) -> dict[str, Answer]:
    """Every scorer, fitted on some rows, by its name."""
    found = constant(rows, linear, False)
    for how, fit in fits.items():
        for compress in (False, True):
            mark = " + compression" if compress else ""
            found |= {f"{how}, {name}{mark}": a for name, a in hierarchical(rows, fit, compress, full).items()}
        if full:
            found |= {f"{how}, {name}": a for name, a in joint(rows, fit).items()}
    for compress in (False, True) if full else ():
        mark = " + compression" if compress else ""
        found |= {f"blind trees, {n}{mark}": a for n, a in hierarchical(rows, blind, compress, False).items()}
    return found


def decided(rows: Rows) -> list[Figure]:
    """What refusing by a score comes to, the scorer fitted on other suites; see `critic_decisions.py`."""
    figures = []
    for suite in WALKED:
        test, train = rows.take(rows.suite == suite), rows.take(rows.suite != suite)
        walks = [str(test.walk[part[0]]) for part, _ in turns(test)]
        for compress in (False, True):
            scorer = StepScorer.fit(train, FITS["trees"], compress)
            for name, score in (("step", scorer.alone(test)), ("maximum after bad", after_bad(scorer, test))):
                method = f"trees, {name}" + (" + compression" if compress else "")
                for metric, values in worth_it(test, score).items():
                    figures.append(figure(suite, method, f"worth it, {metric}", clustered(values, walks)))
    return figures


class Draws:
    """Bootstrap draws of a part's walks, the same for every method, so that differences are paired."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        _, self.of = np.unique(rows.walk, return_inverse=True)
        n = int(self.of.max()) + 1
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)
        self.times = np.concatenate([np.ones((1, n)), drawn])  # the first one is the data itself

    def metrics(self, p: np.ndarray) -> dict[str, np.ndarray]:
        """Each metric on the data and on every draw, shape (1 + DRAWS,)."""
        y, mends = self.rows.worth.astype(float), self.rows.mends
        found = {"auc": self._auc(p, y), "auc among offers": self._among(p, y)}
        for name, inside in (("", np.ones(len(y), bool)), (" mending", mends)):
            loss = -xlogy(y, np.clip(p, EDGE, 1)) - xlogy(1 - y, np.clip(1 - p, EDGE, 1))
            found[f"log loss{name}"] = self._mean(loss, inside)
            found[f"bias{name}"] = self._mean(p - y, inside)
        found["calibration"] = self._calibration(p, y)
        found["auc mending"] = self._auc(np.where(mends, p, np.nan)[mends], y[mends], self.of[mends])
        found["log loss"] = self._mean(-xlogy(y, np.clip(p, EDGE, 1)) - xlogy(1 - y, np.clip(1 - p, EDGE, 1)))
        return found

    def _mean(self, values: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
        keep = np.ones(len(values)) if inside is None else inside.astype(float)
        n = self.times.shape[1]
        sums, counts = np.bincount(self.of, values * keep, n), np.bincount(self.of, keep, n)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.times @ sums) / (self.times @ counts))

    def _auc(self, p: np.ndarray, y: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
        found = Concordance.of(p, y, self.of if of is None else of)
        return found.auc(self.times[:, : len(found.positives)])

    def _among(self, p: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Over pairs of offers from one state, one worth it and one not."""
        n = self.times.shape[1]
        wins, pairs = np.zeros(n), np.zeros(n)
        state = np.char.add(self.rows.walk, np.char.add(":", self.rows.index.astype(str)))
        order = np.argsort(state, kind="stable")
        for part in np.split(order, np.flatnonzero(state[order][1:] != state[order][:-1]) + 1):
            up, down = p[part][y[part] > 0], p[part][y[part] <= 0]
            if len(up) and len(down):
                gap = up[:, None] - down[None, :]
                wins[self.of[part[0]]] += (gap > 0).sum() + (gap == 0).sum() / 2
                pairs[self.of[part[0]]] += gap.size
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.times @ wins) / (self.times @ pairs))

    def _calibration(self, p: np.ndarray, y: np.ndarray) -> np.ndarray:
        n = self.times.shape[1]
        gaps = np.bincount(self.of * BINS + bin_of(p), p - y, n * BINS).reshape(n, BINS)
        return np.asarray(np.abs(self.times @ gaps).sum(1) / (self.times @ np.bincount(self.of, minlength=n)))


def measure(rows: Rows, by: str, fits: Mapping[str, Fit], full: bool) -> list[Figure]:
    """Every scorer on every part left out, and the mean over the parts."""
    found: dict[tuple[str, str, str], np.ndarray] = {}
    for name, out in held_out(rows, by):
        draws = Draws(rows.take(out))
        for method, answer in answers(rows.take(~out), fits, full).items():
            for metric, values in draws.metrics(answer(draws.rows)).items():
                found[name, method, metric] = values
    parts = list(dict.fromkeys(part for part, _, _ in found))
    for method, metric in dict.fromkeys((m, k) for _, m, k in found):
        stacked = np.array([found[p, method, metric] for p in parts if np.isfinite(found[p, method, metric][0])])
        found["mean", method, metric] = stacked.mean(0)
    figures = [_figure(part, method, metric, values) for (part, method, metric), values in found.items()]
    for (part, method, metric), values in found.items():
        if (base := found.get((part, REFERENCE, metric))) is not None and method != REFERENCE:
            figures.append(_figure(part, f"{method} - {REFERENCE}", metric, values - base))
    return figures


def asked(walks: Sequence[Walk], rows: Rows, file: Path) -> list[Figure]:
    """A language model's scores and the scorer's, which learnt from other suites, on the model's sample."""
    by = {w.id: w for w in walks}
    cases = [json.loads(line) for line in file.read_text().splitlines()]
    fitted = {s: StepScorer.fit(rows.take(rows.suite != s), FITS["trees"], False) for s in {c["suite"] for c in cases}}
    ours = []
    for case in cases:
        walk = by[case["walk"]]
        stand = Stand(walk.space, walk.trials[: case["index"]], walk.direction, walk.metric)
        row = stand.features(case["config"])[None, :]
        ours.append(float(fitted[case["suite"]].model.predict_proba(row)[0, 1]))
    theirs = [case["step"] for case in cases]
    both = [max(case["step"], case["pair"] or 0.0) for case in cases]
    y = np.array([float(case["worth"]) for case in cases])
    scores = {"language model, step": theirs, "language model, maximum": both, "trees, step": ours}
    scores["trees and language model"] = (rankdata(ours) + rankdata(theirs)).tolist()
    times = np.random.default_rng(0).multinomial(len(y), np.full(len(y), 1 / len(y)), size=DRAWS)
    found = []
    for method, score in scores.items():
        counted = Concordance.of(np.array(score), y, np.arange(len(y)))
        draws = counted.auc(np.concatenate([np.ones((1, len(y))), times]))
        found.append(_figure(f"sample of {len(y)}", method, "auc", draws))
    return found


def _figure(part: str, method: str, metric: str, values: np.ndarray) -> Figure:
    low, high = np.nanquantile(values[1:], [0.025, 0.975]) if np.isfinite(values[1:]).any() else (np.nan, np.nan)
    return Figure(part, method, metric, float(values[0]), float(low), float(high))


def shown(figures: list[Figure], part: str) -> Table:
    """The figures of one part as a person reads them."""
    by = {(f.method, f.metric): f for f in figures if f.suite == part}
    found = Table("method", *SHOWN, title=part)
    for method in dict.fromkeys(m for m, _ in by):
        cells = [by[method, metric] for metric in SHOWN]
        found.add_row(method, *(f.shown for f in cells))
    return found


def _listed(console: Console, figures: list[Figure]) -> list[Figure]:
    for f in figures:
        console.print(f"{f.suite:12} {f.method:35} {f.metric:32} {f.shown}")
    return figures


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="the walks, from critic_runs.py")
    parser.add_argument("--table", type=Path, help="where their steps as numbers are kept (.npz)")
    parser.add_argument("--asked", type=Path, help="what a language model said, from critic_asked.py")
    parser.add_argument("--split", default="suite,tuner,task,decisions")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    walks = load(args.runs, args.data)
    rows = kept(walks, args.table)
    console, figures = Console(width=250), list[Figure]()
    console.print(f"{len(rows)} steps, {rows.worth.mean():.1%} worth it, {rows.mends.mean():.1%} mending")
    for by in args.split.split(","):
        if by == "decisions":
            figures += _listed(console, decided(rows))
            continue
        measured = measure(rows, by, FITS, by == "suite")
        console.print(shown(measured, "mean"))
        figures += [replace(f, suite=f"{by}: {f.suite}") for f in measured]
    if args.asked:
        figures += _listed(console, asked(walks, rows, args.asked))
    if args.json:
        write(args.json, figures)


if __name__ == "__main__":
    main()
