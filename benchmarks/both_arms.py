"""Both arms from the same state: what each workflow would have tried where the advisors alone went on.

    python benchmarks/both_arms.py --data ../shared/data --suites lcbench,taskset --states 60 --out both-arms

The advisors lead a study on a surrogate. Before some of its trials every workflow plans from that very state, by the
real tuning graph, which is stopped before the trial is run; what it chose is evaluated, written down and forgotten. So
one log line a workflow and state says what no live study can: whether the workflow's trial gained more than the
advisors' would have. The lines lie in `OUT/SUITE/workflows.jsonl`, which `luthier predictor import OUT` reads.

What is there is not done again, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import memories
import methods as tuners
import numpy as np
import suites
from both_arms_states import ADVISORS, FILE, Led, Open, summary, tie, workflow_of
from rich.console import Console
from rich.progress import track
from tuning import load

from luthier.models.open import open_model
from luthier.predictor.records import WorkflowLog
from luthier.predictor.workflow import WORKFLOWS, workflow_named
from luthier.trials.advisor import seed_for
from luthier.trials.errors import InputError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

FIRST, LAST = 1, 15  # trials before which a state is taken; trial 0 is the default's for every workflow
EACH = 3  # states of a study, unless told otherwise: they resemble each other
MEMORIES = ("none", "leave-one-out")
MEMORY_SIZE = 200  # trials of each other task


@dataclass(frozen=True)
class StudyKey:
    """One study that the advisors lead, and the trials before which it is looked at."""

    suite: str
    task: str
    default: str
    memory: str
    seed: int
    states: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the study, for its states' ids."""
        return f"{self.suite}/{self.task}/{self.default}/{self.memory}/{self.seed}"


def studies(names: Sequence[str], data: Path, seeds: int, kinds: Sequence[str], each: int) -> Iterator[StudyKey]:
    """Every task with every seed, the suites in turn; default, memory and states are drawn for each."""
    yield from (
        key
        for turn in zip_longest(*(_of_suite(name, data, seeds, kinds, each) for name in names))
        for key in turn
        if key
    )


def _of_suite(name: str, data: Path, seeds: int, kinds: Sequence[str], each: int) -> Iterator[StudyKey]:
    suite = suites.find_suite(name)
    for seed in range(seeds):
        tasks = suite.tasks(data)
        for place in np.random.default_rng(seed_for(seed, 0, name)).permutation(len(tasks)):
            rng = np.random.default_rng(seed_for(seed, 0, f"{name}/{tasks[place]}/both arms"))
            default, kind = str(rng.choice(suite.defaults)), str(rng.choice(kinds))
            states = sorted(rng.choice(np.arange(FIRST, LAST + 1), each, replace=False).tolist())
            yield StudyKey(name, tasks[place], default, kind, seed, tuple(states))


def led(key: StudyKey, data: Path) -> Led:
    """The study, before its first trial."""
    task = load(key.suite, data, key.task, False)
    starts = task.starts(key.default, key.seed)
    past = memories.past_of(key.memory, key.suite, data, key.task, False, MEMORY_SIZE, key.seed, task.space)
    return Led(
        name=f"{key.suite} {key.task}",
        id=key.name,
        space=suites.with_default(task.space, starts[0] if len(starts) == 1 else None),
        direction=task.direction,
        objective=task.objective(),
        advisors=tuners.advisors_with(past),
        seed=seed_for(key.seed, 0, key.name),
        trials=LAST + 1,
        tie=tie(suites.normaliser(key.suite, key.task)),
        facts={"benchmark": key.suite, "data_set": key.task, "default": key.default, "memory": key.memory},
    )


@cache
def opened(model: str) -> BaseChatModel | None:
    """The model, opened once."""
    return open_model(model)


def missing(args: argparse.Namespace) -> list[tuple[StudyKey, int, list[str]]]:
    """The states that are asked for, in order, each with the workflows that are not logged yet; none without any."""
    every = studies(args.suites, args.data, args.seeds, args.memory, args.each)
    wanted = islice(((key, state) for key in every for state in key.states), args.states)
    done = {name: _logged(args.out / name / FILE) for name in args.suites}
    names = [ADVISORS, *args.workflows]
    left = [
        (key, state, [name for name in names if (f"{key.name}/{state}", name) not in done[key.suite]])
        for key, state in wanted
    ]
    return [one for one in left if one[2]]


def _logged(path: Path) -> set[tuple[str, str]]:
    """States and workflows that are there."""
    return {(str(record.task_id), workflow_of(record)) for record in WorkflowLog(path)}


def run(args: argparse.Namespace, console: Console) -> None:
    """Every missing state, study by study."""
    todo = missing(args)
    by_study = groupby(track(todo, "states", console=console, disable=not todo), key=lambda one: one[0])
    for key, states in by_study:
        log = WorkflowLog(args.out / key.suite / FILE)
        log.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(Open(led(key, args.data))) as study:
            for _, state, names in states:
                study.advance(state)
                for record in study.records(names, opened(args.model), args.model, state):
                    log.append(record)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""

    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    every = [name for name in WORKFLOWS if name != ADVISORS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the suites' data")
    parser.add_argument("--suites", type=names, default=["lcbench", "taskset"], help="default: lcbench,taskset")
    parser.add_argument("--workflows", type=names, default=every, help=f"default: {','.join(every)}")
    parser.add_argument("--model", default="embedded", help="as in `luthier` (%(default)s)")
    parser.add_argument("--memory", type=names, default=list(MEMORIES), help="kinds to draw from; default: both")
    parser.add_argument("--states", type=int, default=60, help="in all (%(default)s)")
    parser.add_argument("--each", type=int, default=EACH, help=f"of a study, 1 to {LAST} (%(default)s)")
    parser.add_argument("--seeds", type=int, default=20, help="of each task, as far as the states reach (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("both-arms"), help="folder of the logs (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 2 when the request cannot be met."""
    args, console = parse(argv), Console(stderr=True)
    tuners.quiet()
    try:
        if not 1 <= args.each <= LAST:
            raise ValueError(f"--each must be 1 to {LAST}, but got {args.each}")
        for name in args.workflows:
            workflow_named(name)
        run(args, console)
    except (suites.DataMissing, suites.UnknownName, InputError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for name in args.suites:
        console.print(summary(name, WorkflowLog(args.out / name / FILE)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
