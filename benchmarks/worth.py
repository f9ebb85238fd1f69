"""What the model is worth, live: embedded against none, against a draw, always against gated, all from the same starts.

    python benchmarks/worth.py --data ../shared/data --suite bayesmark --model embedded --json worth.json

Declared before it was run as the primary test of the model's worth: 20 Bayesmark tasks x 3 seeds x 10 trials, the first
five of them LLAMBO's starting points. Every run keeps its study folder, calls logged, so the same command goes on where
it was stopped, trial by trial. The arms:

- `none`: the advisors alone, no gate;
- `chance`: a draw among the very candidates that the planner would choose among, no gate;
- `always`: `planner-critic` in every trial, no gate;
- `gated`: both gates, each study by itself;
- `gated-kept`: the same, knowing the turns of the studies before it, those of its own task left out, as the product
  knows those of the studies beside it (declared later, before any gated run had been looked at);
- `random-gate`, `random-gate-kept`: `planner-critic` in a random share of turns, as large as the model's under `gated`
  and `gated-kept`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import suites
import tuning
from figures import Figure, figure, write
from methods import TimedRunner, quiet
from report import BOUND
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stats import Interval, bootstrap, paired
from worth_arms import ARMS, RANDOM, Arm, gates_of, random_gate
from worth_costs import METRICS, Run, run_of

from luthier.graphs.loop import tune_study
from luthier.models.fake import RandomChat
from luthier.models.open import open_model
from luthier.trials.advisor import seed_for
from luthier.trials.records import Candidate
from luthier.trials.spec import Budget
from luthier.trials.study import Study

WIDTH = 150  # of the tables in a file

Block = tuple[str, int]  # task and seed


def tuned(
    arm: Arm,
    task: suites.Task,
    seed: int,
    starts: Sequence[Any],
    trials: int,
    folder: Path,
    model: str,
    scorer: Path | None = None,
) -> Run:
    """One study of an arm to its end; it goes on where the folder stands."""
    space = suites.with_default(task.space, starts[0] if len(starts) == 1 else None)
    study = Study.open_or_create(
        folder, name=f"{task.name}-{seed}".replace("/", "-"), space=space, metric="value", direction=task.direction,
        seed=seed_for(seed, 0, task.name),
    )  # fmt: skip
    try:
        with study.lock():
            runner = TimedRunner(task.objective())
            for number, config in enumerate(starts if len(starts) > 1 else ()):
                if number >= len(study.finished):
                    study.begin(number, Candidate(config, "start"))
                    study.finish(number, runner.run(config, study.trial_folder(number)))
            chat = opened(model) if arm.asks else None
            tune_study(
                study,
                runner,
                budget=Budget(trials=trials),
                model=chat,
                model_name=model if arm.asks else "none",
                workflow=arm.workflow,
                gates=gates_of(arm, folder, scorer),
                noise=0,
                stop_early=False,
            )
        return run_of(study, len(starts))
    finally:
        study.close()


@lru_cache
def opened(model: str) -> Any:
    """The chat model, opened once; `random` answers at random."""
    return RandomChat() if model == "random" else open_model(model)


def published(args: argparse.Namespace, blocks: Collection[Block]) -> dict[str, dict[Block, Run]]:
    """What others measured from the same starts, where there is a figure for every block."""
    found: dict[str, dict[Block, Run]] = {}
    for name, seed in blocks:
        for method, values in tuning.load(args.suite, args.data, name, False).published(seed).items():
            run = Run(tuple(values[: args.trials])).scored(suites.normaliser(args.suite, name))
            found.setdefault(method, {})[name, seed] = run
    return {method: runs for method, runs in found.items() if len(runs) == len(blocks)}


def run_arm(arm: Arm, args: argparse.Namespace, console: Console) -> dict[Block, Run]:
    """All blocks of an arm."""
    suite = suites.find_suite(args.suite)
    known = suite.tasks(args.data)
    names = tuning.pick(known, args.tasks) if args.tasks else known
    if wrong := sorted(set(names) - set(known)):
        raise suites.UnknownName(f"a task must be one of {', '.join(known)}, but got {', '.join(wrong)}")
    blocks = [(name, seed) for name in names for seed in range(args.seeds)]
    found = {}
    for name, seed in track(blocks, arm.name, console=console, transient=True):
        task = tuning.load(args.suite, args.data, name, False)
        starts = task.starts(args.default or suite.defaults[0], seed)
        folder = args.folder / arm.name / name.replace("/", "-") / str(seed)
        run = tuned(arm, task, seed, starts, args.trials, folder, args.model, args.scorer)
        found[name, seed] = run.scored(suites.normaliser(args.suite, name))
    return found


def benchmark(args: argparse.Namespace, console: Console) -> dict[str, dict[Block, Run]]:
    """Every arm that was asked for; random gates last, since they need another arm's share."""
    found = {name: run_arm(ARMS[name], args, console) for name in args.arms if name in ARMS}
    for name in [arm for arm in args.arms if arm in RANDOM]:
        runs = found[RANDOM[name]].values()
        share = sum(run.asked for run in runs) / max(1, sum(run.turns for run in runs))
        found[name] = run_arm(random_gate(name, share), args, console)
    return published(args, next(iter(found.values()))) | found


def per_task(runs: Mapping[Block, Run], metric: str) -> dict[str, float]:
    """A metric of each task, mean over seeds."""
    tasks = dict.fromkeys(task for task, _ in runs)
    return {name: float(np.mean([METRICS[metric](r) for (t, _), r in runs.items() if t == name])) for name in tasks}


def rows(found: Mapping[str, Mapping[Block, Run]], suite: str) -> list[Figure]:
    """What `--json` writes: each arm's metrics, and its paired differences of regret to the others."""
    out = []
    for name, runs in found.items():
        for metric in METRICS:
            out.append(figure(suite, name, metric, bootstrap(list(per_task(runs, metric).values()))))
        for other in earlier(found, name):
            out.append(figure(suite, name, f"regret minus {other}", _difference(runs, found[other])))
    return out


def earlier(found: Mapping[str, Any], name: str) -> list[str]:
    """The arms before this one, so that each pair is compared once."""
    return list(found)[: list(found).index(name)]


def _difference(ours: Mapping[Block, Run], theirs: Mapping[Block, Run]) -> Interval:
    a, b = per_task(ours, "regret"), per_task(theirs, "regret")
    return paired(list(a.values()), [b[task] for task in a])


def show(found: Mapping[str, Mapping[Block, Run]], title: str, console: Console) -> None:
    """The table of the arms, and each against the others."""
    table = Table(title=title)
    for heading in ("arm", *METRICS):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for name, runs in found.items():
        table.add_row(name, *(str(bootstrap(list(per_task(runs, metric).values()))) for metric in METRICS))
    console.print(table)
    against = Table(title=f"regret of one minus another, task by task; not worse: the upper end is below {BOUND}")
    for heading in ("arm", "other", "difference", "not worse", "cost of one over the other's"):
        against.add_column(heading)
    for name in found:
        for other in earlier(found, name):
            d = _difference(found[name], found[other])
            ratio = _cost(found[name]) / max(_cost(found[other]), 1e-9)
            ends = f"{d.mean:+.3f} \\[{d.low:+.3f}, {d.high:+.3f}]"
            against.add_row(name, other, ends, "yes" if d.high < BOUND else "no", f"{ratio:.2f}")
    console.print(against)


def _cost(runs: Mapping[Block, Run]) -> float:
    return sum(METRICS["cost"](run) for run in runs.values())


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with llambo_bayesmark, yahpo_lcbench, taskset")
    parser.add_argument("--suite", default="bayesmark", help="a file suite_NAME.py beside this one (%(default)s)")
    parser.add_argument("--default", help="configuration that each arm starts from; the suite's first if not given")
    parser.add_argument("--model", default="embedded", help="the language model (%(default)s)")
    parser.add_argument("--arms", type=lambda s: s.split(","), default=[*ARMS, *RANDOM], help="(all)")
    parser.add_argument("--tasks", help="names between commas, or the first N (all)")
    parser.add_argument("--scorer", type=Path, help="of the critic, by fit_critic.py; take another --folder")
    parser.add_argument("--trials", type=int, default=10, help="starting points included (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of each task (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("worth"), help="where study folders stay (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args(argv)
    lacking = [arm for arm in args.arms if arm not in ARMS and RANDOM.get(arm) not in args.arms]
    if lacking:
        parser.error(f"--arms must be of {', '.join((*ARMS, *RANDOM))}, a random one with its own; got {lacking}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for and print it; 2 where the data, or what was named, is not there."""
    args = parse(argv)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    quiet()
    try:
        found = benchmark(args, console)
    except (suites.DataMissing, suites.UnknownName) as error:
        print(error, file=sys.stderr)
        return 2
    blocks = len(next(iter(found.values())))
    show(found, f"{args.suite}, {args.model}: {blocks} task-seed blocks, {args.trials} trials", console)
    if args.json is not None:
        write(args.json, rows(found, args.suite))
    return 0


if __name__ == "__main__":
    sys.exit(main())
