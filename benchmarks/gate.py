"""Gate 2: how well failures are foreseen, what is skipped, what that saves and what it loses.

    python benchmarks/gate.py --suite nanochat --data ../shared/data --draws 20 --json gate.json

A draw is some trials of one tuner; what was learnt from them is tested on the trials of all other tuners. With
`--script` the derived features are read from a training script anew; without it, those of `gate_features.json` are
used, which says what was read, and by whom. `--ask MODEL` has a language model read it too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gate_nanochat as nanochat
import numpy as np
from gate_nanochat import SPACE, Method, Runs
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stats import bootstrap
from suites import DataMissing
from threadpoolctl import threadpool_limits

from luthier.agents.features import merged, propose
from luthier.agents.script_sizes import sizes_in
from luthier.models.errors import ModelError
from luthier.predictor.derived import from_names
from luthier.predictor.metrics import auc, brier, calibration_error
from luthier.predictor.trial_gate import FAILS
from luthier.trials.records import Trial

FEATURES = Path(__file__).with_name("gate_features.json")
SIZES = (20, 50, 100)  # trials that a draw learns from
TESTED = 1_500  # trials of the other tuners, always the same ones; more change nothing and take longer
METRICS = {
    "auc": "AUC", "auc-worst": "worst draw", "ece": "calibration error", "brier": "Brier",
    "failures-skipped": "failures skipped", "good-lost": "good trials lost", "seconds-saved": "time saved",
}  # fmt: skip
PERCENT = ("failures-skipped", "good-lost", "seconds-saved")


@dataclass(frozen=True)
class Figure:
    """One number with the interval over draws."""

    suite: str
    method: str
    metric: str
    value: float
    low: float
    high: float


def features_of(args: argparse.Namespace, console: Console) -> Mapping[str, list[str]]:
    """What rules and a model read from the script: `rules` and `model`, expressions each."""
    kept = json.loads(FEATURES.read_text())
    if args.script is None:
        return {"rules": kept["rules"], "model": kept["model"]}
    script = args.script.read_text()
    found = {"rules": sizes_in(script, SPACE), "model": kept["model"]}
    if args.ask:
        from luthier.models.caller import Caller
        from luthier.models.open import open_model

        found["model"] = propose(script, SPACE, Caller(open_model(args.ask), name=args.ask, timeout=600.0))
    console.print_json(json.dumps({"sha256": hashlib.sha256(script.encode()).hexdigest(), **found}))
    return found


def methods(features: Mapping[str, list[str]]) -> dict[str, Method]:
    """Every row of the table."""
    texts = {
        "names": from_names(SPACE),
        "script, rules": features["rules"],
        "script, 1.5B model": features["model"],
        "names, script and model": [
            d.text for d in merged(features["model"], features["rules"], from_names(SPACE), space=SPACE)
        ],
    }
    return {
        "plain forest": nanochat.forest(),
        "formula": nanochat.formula,
        "forest + formula": nanochat.forest(nanochat.features([nanochat.FORMULA])),
        "luthier, obfuscated": nanochat.obfuscated,
        **{f"luthier, {name}": nanochat.luthier(one) for name, one in texts.items()},
    }


def draws(runs: Runs, count: int, size: int) -> Iterator[tuple[str, int, list[Trial], list[Trial]]]:
    """Suite, seed, trials to learn from and to be tested on.

    First random search's trials, drawn anew each time; then the first trials of every run, as they were lived through.
    """
    tests = {tuner: _some(runs.others(tuner)) for tuner in runs.of}
    pool = runs.of_tuner("Random")
    for seed in range(count):
        chosen = np.random.default_rng([seed, size]).choice(len(pool), size, replace=False)
        yield "nanochat", seed, [pool[i] for i in chosen], tests["Random"]
    for tuner, seeds in runs.of.items():
        for seed, run in seeds.items():
            yield "nanochat-live", int(seed), run[:size], tests[tuner]


def _some(trials: list[Trial]) -> list[Trial]:
    if len(trials) <= TESTED:
        return trials
    return [trials[i] for i in np.sort(np.random.default_rng(0).choice(len(trials), TESTED, replace=False))]


def measured(probability: np.ndarray, tested: Sequence[Trial]) -> dict[str, float]:
    """Every metric of one draw."""
    died = np.array([t.died_there for t in tested])
    seconds, skipped = np.array([t.seconds for t in tested]), probability >= FAILS
    return {
        "auc": auc(probability, died),
        "ece": calibration_error(probability, died.astype(float)),
        "brier": brier(probability, died.astype(float)),
        "failures-skipped": float(skipped[died].mean()),
        "good-lost": float(skipped[~died].mean()),
        "seconds-saved": float(np.nansum(seconds[skipped & died]) / np.nansum(seconds)),
    }


def benchmark(args: argparse.Namespace, console: Console) -> list[Figure]:
    """Every figure."""
    runs = nanochat.read(args.data, args.half)
    known = methods(features_of(args, console))
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    silent: dict[tuple[str, str], int] = defaultdict(int)
    jobs = [(size, *draw) for size in SIZES for draw in draws(runs, args.draws, size)]
    for size, suite, seed, trials, tested in track(jobs, "learning", console=console, transient=True):
        for name, method in known.items():
            key = (suite, f"{name} after {size}")
            probability = method(trials, [t.config for t in tested], seed)
            if probability is None:
                silent[key] += 1
            else:
                found[key].append(measured(probability, tested))
    figures = [figure for (suite, name), rows in found.items() for figure in summed(suite, name, rows)]
    figures += [Figure(suite, name, "silent-draws", n, n, n) for (suite, name), n in silent.items()]
    return [*figures, early(runs)]


def summed(suite: str, name: str, rows: Sequence[Mapping[str, float]]) -> list[Figure]:
    """The mean over draws with its bootstrap interval, and the worst draw's AUC."""
    figures = []
    for metric in rows[0]:
        one = bootstrap([row[metric] for row in rows])
        figures.append(Figure(suite, name, metric, one.mean, one.low, one.high))
    worst = min(row["auc"] for row in rows)
    return [*figures, Figure(suite, name, "auc-worst", worst, worst, worst)]


def early(runs: Runs) -> Figure:
    """The share of all seconds that failures took: what a perfect gate would save. The interval is over runs."""
    every = [run for seeds in runs.of.values() for run in seeds.values()]
    shares = [sum(t.seconds for t in run if t.died_there) / sum(t.seconds for t in run) for run in every]
    one = bootstrap(shares)
    return Figure("nanochat", "perfect gate", "seconds-saved", one.mean, one.low, one.high)


def table(figures: Sequence[Figure], suite: str, size: int) -> Table:
    """One table a suite and number of trials."""
    shown = {(f.method, f.metric): f for f in figures if f.suite == suite and f.method.endswith(f"after {size}")}
    made = Table(title=f"{suite}: after {size} trials, on other tuners' trials")
    made.add_column("method")
    for heading in METRICS.values():
        made.add_column(heading, justify="right")
    for method in dict.fromkeys(name for name, _ in shown):
        cells = [_cell(shown.get((method, metric))) for metric in METRICS]
        made.add_row(method.removesuffix(f" after {size}"), *cells)
    return made


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    if figure.metric in PERCENT:
        return f"{figure.value:.1%}"
    return f"{figure.value:.3f}" + ("" if figure.low == figure.high else f" [{figure.low:.3f}, {figure.high:.3f}]")


def show(figures: Sequence[Figure], console: Console) -> None:
    """The tables, and how little there is to save."""
    for suite in ("nanochat", "nanochat-live"):
        for size in SIZES:
            console.print(table(figures, suite, size))
    least = next(f for f in figures if f.method == "perfect gate")
    console.print(
        f"Failures die early here, so little time is saved: a gate that skipped every failure and nothing else would "
        f"save {least.value:.1%} of all seconds [{least.low:.1%}, {least.high:.1%}], mean over runs."
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=["nanochat"], default="nanochat")
    parser.add_argument("--data", type=Path, help="the folder that holds nanochat_trials/")
    parser.add_argument("--draws", type=int, default=20, help="of random search's trials (%(default)s)")
    parser.add_argument("--half", choices=list(nanochat.HALVES), default="report", help="which tuners (%(default)s)")
    parser.add_argument("--script", type=Path, help="read the derived features from this training script")
    parser.add_argument("--ask", default="", help="a model that reads the script too, such as `embedded`")
    parser.add_argument("--json", type=Path, default=Path("gate.json"), help="result file (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, print; 2 when the request cannot be met."""
    args, console = parse(argv), Console()
    try:
        with threadpool_limits(1):  # the tables are small: more threads only wait for each other
            figures = benchmark(args, console)
    except (DataMissing, ModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text("[\n" + ",\n".join(json.dumps(asdict(f)) for f in figures) + "\n]\n")
    show(figures, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
