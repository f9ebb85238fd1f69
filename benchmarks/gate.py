"""Gate 2: how well failures are foreseen, what is skipped, what that saves and what it loses.

    python benchmarks/gate.py --suite nanochat --data ../shared/data --draws 20 --json gate.json
    python benchmarks/gate.py --suite lcbench --data ../shared/data --tasks 12 --json gate-lcbench.json

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
from pathlib import Path

import gate_nanochat as nanochat
import gate_surrogates as surrogates
import numpy as np
from figures import Figure, figure, write
from gate_figures import early, measured, plain_table, summed, table
from gate_nanochat import SPACE, Method, Runs
from rich.console import Console
from rich.progress import track
from stats import bootstrap
from suites import DataMissing
from threadpoolctl import threadpool_limits

from luthier.agents.features import merged, propose
from luthier.agents.script_sizes import sizes_in
from luthier.models.errors import ModelError
from luthier.predictor.derived import from_names
from luthier.trials.records import Trial

FEATURES = Path(__file__).with_name("gate_features.json")
TESTED = 1_500  # trials of the other tuners, always the same ones; more change nothing and take longer


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

        model = open_model(args.ask)
        if model is not None:
            found["model"] = propose(script, SPACE, Caller(model, name=args.ask, timeout=600.0))
    console.print_json(json.dumps({"sha256": hashlib.sha256(script.encode()).hexdigest(), **found}))
    return found


def methods(features: Mapping[str, list[str]], past: Sequence[Trial]) -> dict[str, Method]:
    """Every row of the table."""
    texts = {
        "names": from_names(SPACE),
        "script by rules": features["rules"],
        "script by 1.5B": features["model"],
        "all": [d.text for d in merged(features["model"], features["rules"], from_names(SPACE), space=SPACE)],
    }
    return {
        "plain forest": nanochat.forest(),
        "formula": nanochat.formula,
        "forest + formula": nanochat.forest(nanochat.features([nanochat.FORMULA])),
        "luthier (obfuscated)": nanochat.obfuscated,
        **{f"luthier ({name})": nanochat.luthier(one) for name, one in texts.items()},
        "luthier (names and memory)": nanochat.luthier(texts["names"], past),
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
        for name, run in seeds.items():
            yield "nanochat-live", int(name), run[:size], tests[tuner]


def _some(trials: list[Trial]) -> list[Trial]:
    if len(trials) <= TESTED:
        return trials
    return [trials[i] for i in np.sort(np.random.default_rng(0).choice(len(trials), TESTED, replace=False))]


def benchmark(args: argparse.Namespace, console: Console) -> list[Figure]:
    """Every figure of the nanochat suite."""
    runs = nanochat.read(args.data, args.half)
    tuner, seed, count = nanochat.PAST
    past = nanochat.read(args.data, "development").of[tuner][seed][:count]
    every = methods(features_of(args, console), past)
    known = {name: method for name, method in every.items() if not args.methods or name in args.methods}
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    silent: dict[tuple[str, str], int] = defaultdict(int)
    jobs = [(size, *draw) for size in args.sizes for draw in draws(runs, args.draws, size)]
    for size, suite, draw, trials, tested in track(jobs, "learning", console=console, transient=True):
        for name, method in known.items():
            key = (suite, f"{name} after {size}")
            probability = method(trials, [t.config for t in tested], draw)
            if probability is None:
                silent[key] += 1
            else:
                found[key].append(measured(probability, tested))
    figures = [one for (suite, name), rows in found.items() for one in summed(suite, name, rows)]
    figures += [Figure(suite, name, "silent-draws", n, n, n) for (suite, name), n in silent.items()]
    return [*figures, early(runs)]


def on_surrogates(args: argparse.Namespace, console: Console) -> list[Figure]:
    """Every figure of a suite whose answers are known; intervals over tasks."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = surrogates.tasks_of(args.suite, args.data, args.half, args.tasks)
    for name in track(names, "judging", console=console, transient=True):
        for known in surrogates.KNOWN:
            for metric, value in surrogates.judged(args.suite, args.data, name, known).items():
                found[f"no win after {known}", metric][name].append(value)
    runs = surrogates.runs(args.suite, args.data, names, args.tuners, args.seeds, args.trials)
    total = len(names) * args.seeds * len(args.tuners)
    for tuner, task, without, gated in track(runs, "tuning", total=total, console=console, transient=True):
        for trial in (args.trials // 2, args.trials):
            plain, ours = without.regret[trial - 1], gated.regret[trial - 1]
            found[tuner, f"regret-{trial}"][task].append(plain)
            found[f"{tuner} + gate 2", f"regret-{trial}"][task].append(ours)
            found[f"{tuner} + gate 2", f"regret-{trial}-minus-without"][task].append(ours - plain)
        found[f"{tuner} + gate 2", "skipped-a-trial"][task].append(gated.skipped / args.trials)
    figures = []
    for (method, metric), tasks in found.items():
        over_tasks = bootstrap([float(np.mean(values)) for values in tasks.values()])
        figures.append(figure(args.suite, method, metric, over_tasks))
    return figures


def show(figures: Sequence[Figure], sizes: Sequence[int], console: Console) -> None:
    """The tables, and how little there is to save."""
    for suite in ("nanochat", "nanochat-live"):
        for size in sizes:
            console.print(table(figures, suite, size))
    least = next(f for f in figures if f.method == "perfect gate")
    console.print(
        f"Failures die early here, so little time is saved: a gate that skipped every failure and nothing else would "
        f"save {least.value:.1%} of all seconds [{least.low:.1%}, {least.high:.1%}], mean over runs."
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[int]:
    return [int(name) for name in _names(text)]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=["nanochat", "lcbench", "taskset"], default="nanochat")
    parser.add_argument("--data", type=Path, help="the folder of measured data")
    parser.add_argument("--tasks", type=int, default=40, help="most tasks of a suite with known answers")
    parser.add_argument("--tuners", type=_names, default=list(surrogates.TUNERS), help="of random,luthier; both")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each such task (%(default)s)")
    parser.add_argument("--trials", type=int, default=20, help="of each such run (%(default)s)")
    parser.add_argument("--draws", type=int, default=20, help="of random search's trials (%(default)s)")
    parser.add_argument("--sizes", type=_numbers, default=[20, 50, 100], help="trials learnt from (20,50,100)")
    parser.add_argument("--methods", type=_names, default=[], help="rows of the tables, between commas; all")
    parser.add_argument(
        "--half", choices=list(nanochat.HALVES), default="report", help="which tuners, which tasks (%(default)s)"
    )
    parser.add_argument("--script", type=Path, help="read the derived features from this training script")
    parser.add_argument("--ask", default="", help="a model that reads the script too, such as `embedded`")
    parser.add_argument("--json", type=Path, default=Path("gate.json"), help="result file (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, print; 2 when the request cannot be met."""
    args, console = parse(argv), Console()
    try:
        with threadpool_limits(1):  # the tables are small: more threads only wait for each other
            figures = (benchmark if args.suite == "nanochat" else on_surrogates)(args, console)
    except (DataMissing, ModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    write(args.json, figures)
    if args.suite == "nanochat":
        show(figures, args.sizes, console)
    else:
        console.print(plain_table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
