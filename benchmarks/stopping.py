"""Compare rules that stop a training on the same proposals: epochs saved against regret lost.

    python benchmarks/stopping.py --data ../shared/data --json stopping.json

A study is 30 proposals that are fixed beforehand: the default, four random ones, then a third at random and the rest
near the best so far, as a tuner would propose. Each rule sees the same ones, so that only the rule differs. TaskSet's
curves are real; LCBench's come from a surrogate, are smooth, and look easier than life. The product's rule was chosen
on the first 4 TaskSet and 12 LCBench tasks; `taskset-held-out` and `lcbench-held-out` are the others. `--hopeless`
shows the product's rule at other chances too, which is how its 1 % was chosen.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import suites
from epochs import METRIC, Meter
from figures import Figure, figure, write
from methods_epochs import RULES, Stop, StopRule, record
from report_epochs import table_of
from rich.console import Console
from rich.progress import track
from stats import bootstrap, paired

from luthier.trials.records import Candidate, Config, Direction, State, Trial
from luthier.trials.stopping import Stopper

DEVELOPMENT = {"taskset": 4, "lcbench": 12}  # tasks from the start on which the rule was chosen
TRIALS = 30
LOCAL, SPREAD = 0.65, 0.12  # share of the later proposals near the best; their deviation, of each range
SEED = 40_771  # with the run's; no normaliser and no memory is drawn from it
EARLY = 5  # full trainings' worth of epochs, after which the regret is shown beside the final one


def proposals(task: suites.Task, name: str, seed: int) -> list[Config]:
    """The configurations of a study, from the final values of full trainings."""
    rng, objective, sign = np.random.default_rng([SEED, seed, *name.encode()]), task.objective(), task.direction.sign
    found: list[Config] = list(task.starts("common", seed))
    scores = [sign * objective(config) for config in found]
    while len(found) < TRIALS:
        near = len(found) >= 5 and rng.random() < LOCAL
        units = task.space.to_unit(found[int(np.nanargmax(scores))]) if near else rng.random(len(list(task.space)))
        units = np.clip(units + near * SPREAD * rng.standard_normal(len(units)), 0, 1)
        parameters = task.space.parameters.items()
        found.append(task.space.clip({n: p.from_unit(float(u)) for (n, p), u in zip(parameters, units, strict=True)}))
        scores.append(sign * objective(found[-1]))
    return found


def replay(task: suites.Task, configs: Sequence[Config], rule: StopRule) -> tuple[list[float], int]:
    """The best so far after each epoch that was paid for, and how many trainings were stopped."""
    assert task.learner is not None
    meter, done = Meter(task.learner(), task.direction, TRIALS * task.epochs), list[Trial]()
    for config in configs:
        stop = rule(task.direction, done) if done else None
        found = meter.train(config, None if stop is None else stop.should_stop)
        done.append(record(len(done), Candidate(config, "fixed"), found, stop))
    return meter.best, sum(trial.state is State.PRUNED for trial in done)


def product_at(hopeless: float) -> StopRule:
    """The product's rule below another chance of beating the best."""

    def rule(direction: Direction, done: Sequence[Trial]) -> Stop:
        return Stopper(direction, METRIC, done, hopeless=hopeless)

    return rule


def measure(
    suite: suites.Suite,
    data: Path | None,
    names: Sequence[str],
    seeds: int,
    rules: Mapping[str, StopRule],
    console: Console,
) -> list[Figure]:
    """The figures of a suite, of its tasks for development left out, and of all."""
    rows: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for name in track(names, suite.name, console=console, transient=True):
        task, norm = suite.task(data, name), suites.normaliser(suite.name, name)
        for seed in range(seeds):
            configs = proposals(task, name, seed)
            for rule, stop in rules.items():
                best, stopped = replay(task, configs, stop)
                early = norm.regret(best[min(EARLY * task.epochs, len(best)) - 1])
                spent = len(best) / (TRIALS * task.epochs)
                rows[rule][name].append([spent, norm.regret(best[-1]), early, stopped / TRIALS])
    everything = {rule: {t: np.mean(r, axis=0) for t, r in tasks.items()} for rule, tasks in rows.items()}
    held_out = [n for n in names if n not in suite.tasks(data)[: DEVELOPMENT.get(suite.name, 0)]]
    found = figures(suite.name, everything, list(names))
    return found + (figures(f"{suite.name}-held-out", everything, held_out) if held_out else [])


def figures(suite: str, rows: dict[str, dict[str, np.ndarray]], names: Sequence[str]) -> list[Figure]:
    """Shares and regrets of each rule with their intervals over tasks."""
    found = []
    for rule, tasks in rows.items():
        mine = np.array([tasks[name] for name in names])  # (n_tasks, 4)
        full, ours = (np.array([rows[other][name] for name in names]) for other in ("to the end", "product"))
        found += [
            figure(suite, rule, "epochs", bootstrap(mine[:, 0])),
            figure(suite, rule, "regret-lost", paired(mine[:, 1], full[:, 1])),
            figure(suite, rule, f"regret@{EARLY}", bootstrap(mine[:, 2])),
            figure(suite, rule, f"product-minus-it@{EARLY}", paired(ours[:, 2], mine[:, 2])),
            figure(suite, rule, "stopped", bootstrap(mine[:, 3])),
        ]
    return found


def _chances(text: str) -> list[float]:
    found = [float(part) for part in text.split(",")]
    if wrong := [chance for chance in found if not 0 <= chance <= 1]:
        raise argparse.ArgumentTypeError(f"a chance lies from 0 to 1, but got {wrong[0]:g}; write 0.05 for 5 %")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Replay, write, print; 2 when the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with yahpo_lcbench and taskset")
    parser.add_argument("--suite", default="taskset,lcbench", help="names between commas (%(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="studies a task (%(default)s)")
    parser.add_argument("--tasks", type=int, default=math.inf, help="only so many tasks of each suite")
    parser.add_argument("--hopeless", type=_chances, default=[], help="other chances for the product's rule: 0.05,0.02")
    parser.add_argument("--json", type=Path, default=Path("stopping.json"), help="result file (%(default)s)")
    args, console, found = parser.parse_args(argv), Console(), list[Figure]()
    rules = RULES | {f"product at {100 * chance:.3g} %": product_at(chance) for chance in args.hopeless}
    try:
        for name in args.suite.split(","):
            suite = suites.find_suite(name)
            names = [n for i, n in enumerate(suite.tasks(args.data)) if i < args.tasks]
            found += measure(suite, args.data, names, args.seeds, rules, console)
    except (suites.DataMissing, suites.UnknownName) as error:
        print(error, file=sys.stderr)
        return 2
    write(args.json, found)
    for suite_name in dict.fromkeys(f.suite for f in found):
        console.print(table_of(suite_name, [f for f in found if f.suite == suite_name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
