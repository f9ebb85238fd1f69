"""Compare tuners on problems whose answers are known: mean regret with bootstrap intervals, all in one run.

    python benchmarks/tuning.py --data ../shared/data --suite lcbench --methods random,tpe,gp,luthier --default common

With `--budget epochs` trainings may be stopped, and the budget is the epochs of so many full ones:

    python benchmarks/tuning.py --data ../shared/data --suite lcbench,taskset --budget epochs

Runs are kept in a cache beside the result file, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import memories
import methods as tuners
import methods_epochs
import report
import report_epochs
import suites
from figures import write
from methods_memory import METHODS as NEED_MEMORY
from results import Cache, Key, Result
from rich.console import Console
from rich.progress import track

from luthier.trials.advisor import seed_for

DEFAULT_METHODS = ("random", "tpe", "tpe-mv", "gp", "cmaes", "luthier")
SMOKE_TASKS = 12  # development looks at these only; a figure needs all tasks


@dataclass(frozen=True)
class Job:
    """One run of one method on one task, as a worker process needs it."""

    suite: str
    data: Path | None
    task: str
    seed: int
    method: str
    default: str
    trials: int
    model: str = "none"
    obfuscate: bool = False
    memory: str = "none"
    memory_size: int = 200
    budget: str = "trials"

    @property
    def length(self) -> int:
        """How many figures a run has: one a trial, or one an epoch of so many full trainings."""
        return self.trials * (self.opened.epochs if self.budget == "epochs" else 1)

    @property
    def opened(self) -> suites.Task:
        """The task, ready to run."""
        return load(self.suite, self.data, self.task, self.obfuscate)

    @property
    def key(self) -> Key:
        """What the cache knows it by."""
        return self.suite, self.task, self.seed, self.method, self.default

    def result(self, method: str, values: Sequence[float]) -> Result:
        """The record of a method's values on this task and seed."""
        regret = suites.normaliser(self.suite, self.task).regrets(values[: self.length])
        return Result(self.suite, self.task, self.seed, method, self.default, regret)


@lru_cache(maxsize=8)
def load(suite: str, data: Path | None, name: str, obfuscate: bool) -> suites.Task:
    """A task, opened once a process."""
    task = suites.find_suite(suite).task(data, name)
    return suites.obfuscated(task) if obfuscate else task


def run(job: Job) -> Result:
    """One run from its first trial to its last."""
    tuners.quiet()
    task = job.opened
    starts = task.starts(job.default, job.seed)
    past = memories.past_of(
        job.memory, job.suite, job.data, job.task, job.obfuscate, job.memory_size, job.seed, task.space
    )
    space = suites.with_default(task.space, starts[0] if len(starts) == 1 else None)
    seed = seed_for(job.seed, 0, f"{job.suite}/{job.task}")  # else luck would be shared by all tasks
    if job.budget == "epochs":
        tune = methods_epochs.KNOWN[job.method]
        values = methods_epochs.run(tune, task, space, starts=starts, trainings=job.trials, seed=seed, past=past)
        return job.result(job.method, values)
    values = tuners.METHODS[job.method](
        task.objective(),
        space,
        task.direction,
        starts=starts,
        trials=job.trials,
        seed=seed,
        model=job.model,
        past=past,
    )
    return job.result(job.method, values)


def start_worker() -> None:
    """Ctrl-C is the parent's to handle."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """The results as they come."""
    if processes == 1:
        yield from map(run, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=start_worker) as pool:
        for future in as_completed([pool.submit(run, job) for job in jobs]):
            yield future.result()


def jobs_of(args: argparse.Namespace, suite_name: str) -> list[Job]:
    """Every run of a suite that the command asks for, in an order in which all methods of a task finish together.

    Raises:
        UnknownName: for a task, default or method that does not exist, or a suite that the budget does not fit.
        DataMissing: when the suite's data is not there.
    """
    suite = suites.find_suite(suite_name)
    names = suite.tasks(args.data)
    default = args.default or suite.defaults[0]
    chosen = names if not args.tasks else pick(names, args.tasks)
    for asked, known, what in (
        (args.methods, list(known_methods(args.budget)), "method"),
        ([default], list(suite.defaults), f"default of {suite.name}"),
        (chosen, names, f"task of {suite.name}"),
    ):
        wrong = [a for a in asked if a not in known]
        if wrong:
            raise suites.UnknownName(f"a {what} must be one of {', '.join(known)}, but got {', '.join(wrong)}")
    if args.budget == "epochs" and suite.task(args.data, chosen[0]).learner is None:
        raise suites.UnknownName(f"a budget of epochs needs learning curves, but {suite.name} has final values only")
    if args.memory == "none" and (needy := [m for m in args.methods if m in NEED_MEMORY]):
        raise suites.UnknownName(f"{', '.join(needy)} must know past tasks; give --memory leave-one-out")
    return [
        Job(
            suite=suite.name,
            data=args.data,
            task=task,
            seed=seed,
            method=method,
            default=default,
            trials=args.trials,
            model=args.model,
            obfuscate=args.obfuscate,
            memory=args.memory,
            memory_size=args.memory_size,
            budget=args.budget,
        )
        for task in chosen
        for seed in range(args.seeds)
        for method in args.methods
    ]


def known_methods(budget: str) -> Collection[str]:
    """The methods for a budget of `trials` or `epochs`."""
    return methods_epochs.KNOWN if budget == "epochs" else tuners.METHODS


def pick(names: Sequence[str], asked: str) -> list[str]:
    """`12` means the first twelve tasks unless a task has that name; else names between commas."""
    if asked.isdigit() and asked not in names:
        return list(names[: int(asked)])
    return asked.split(",")


def benchmark(args: argparse.Namespace, console: Console) -> list[Result]:
    """Run what the cache does not hold; the results in the order of the jobs, published ones last."""
    jobs = [job for suite in args.suite.split(",") for job in jobs_of(args, suite)]
    variant = ("-obfuscated" if args.obfuscate else "") + ("" if args.model == "none" else f"-{slug(args.model)}")
    variant += "" if args.memory == "none" else f"-{args.memory}-{args.memory_size}"
    variant += "-epochs" if args.budget == "epochs" else ""
    cache = Cache(args.json.with_name(f"{args.json.stem}{variant}.cache.jsonl"), redo=args.redo)
    missing = [job for job in jobs if cache.get(job.key, job.length) is None]
    with cache.open() as file:
        runs = run_all(missing, args.jobs)
        for result in track(runs, "tuning", total=len(missing), console=console, transient=True):
            cache.add(result, file)
    found = [cache.get(job.key, job.length) for job in jobs]
    others = published(jobs) if args.budget == "trials" else []
    return [r for r in found if r is not None] + others


def published(jobs: Sequence[Job]) -> list[Result]:
    """What others measured on the same tasks and seeds."""
    runs = {(job.suite, job.task, job.seed): job for job in jobs}.values()
    measured = ((job, job.opened.published(job.seed)) for job in runs)
    return [job.result(method, values) for job, found in measured for method, values in found.items() if values]


def slug(model: str) -> str:
    """A model's name as part of a file's name."""
    return "".join(c if c.isalnum() else "_" for c in model)


def normalise(args: argparse.Namespace, console: Console) -> None:
    """Compute and keep the reference values of a suite's tasks."""
    suite = suites.find_suite(args.suite)
    kept = json.loads(suites.NORMALISERS.read_text()) if suites.NORMALISERS.exists() else {}
    for name in track(suite.tasks(args.data), "reference points", console=console, transient=True):
        task = suite.task(args.data, name)
        found = suites.Normaliser.of(task.reference(), task.direction)
        kept.setdefault(suite.name, {})[name] = asdict(found)
        suites.NORMALISERS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def show(results: Sequence[Result], console: Console) -> None:
    """Print the tables of one suite."""
    tasks = {r.task for r in results}
    default, seeds = results[0].default, {r.seed for r in results}
    title = f"{results[0].suite}, default {default}: mean regret over {len(tasks)} tasks x {len(seeds)} seeds"
    console.print(report.means_table(results, title))
    against = report.paired_table(results)
    if against is not None:
        console.print(against)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with yahpo_lcbench, taskset, llambo_bayesmark")
    parser.add_argument("--suite", default="lcbench", help="files suite_NAME.py beside this one (%(default)s)")
    parser.add_argument("--methods", type=lambda s: s.split(","), help=f"default {','.join(DEFAULT_METHODS)}, or all")
    parser.add_argument("--budget", choices=("trials", "epochs"), default="trials", help="what is paid (%(default)s)")
    parser.add_argument("--default", help="configuration that each method starts from; the suite's first if not given")
    parser.add_argument("--model", default="none", help="language model of luthier (%(default)s)")
    parser.add_argument(
        "--memory",
        choices=memories.KINDS,
        default="none",
        help="what is known of the suite's other tasks (%(default)s)",
    )
    parser.add_argument("--memory-size", type=int, default=200, help="random trials known of each (%(default)s)")
    parser.add_argument("--trials", type=int, default=10, help="trials, or full trainings, a run (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs a task and method (%(default)s)")
    parser.add_argument("--tasks", help="task names between commas, or how many to take from the start; default all")
    parser.add_argument("--obfuscate", action="store_true", help="call the hyperparameters x0, x1, ...")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--redo", type=lambda s: s.split(","), default=[], help="methods to run again")
    parser.add_argument("--json", type=Path, default=Path("tuning.json"), help="result file (%(default)s)")
    parser.add_argument("--normalise", action="store_true", help="recompute the suite's reference values, no tuning")
    args = parser.parse_args(argv)
    args.methods = args.methods or (list(DEFAULT_METHODS) if args.budget == "trials" else [*methods_epochs.METHODS])
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, print; 2 when the request cannot be met."""
    args, console = parse(argv), Console()
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    try:
        if args.normalise:
            normalise(args, console)
            return 0
        results = benchmark(args, console)
    except (suites.DataMissing, suites.UnknownName) as error:
        print(error, file=sys.stderr)
        return 2
    by_suite = [[r for r in results if r.suite == suite] for suite in dict.fromkeys(r.suite for r in results)]
    if args.budget == "epochs":
        figures = [f for runs in by_suite for f in report_epochs.figures(runs, args.trials)]
        write(args.json, figures)
        for table in report_epochs.tables(figures):
            console.print(table)
        return 0
    write(args.json, results)
    for runs in by_suite:
        show(runs, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
