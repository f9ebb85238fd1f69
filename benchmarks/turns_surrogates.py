"""The gate on LCBench and TaskSet with a model that chooses at random, a hundred trials a study after the default.

    python benchmarks/turns_surrogates.py --data ../shared/data --suite lcbench --json turns-lcbench.json

Candidates come from TPE and the local moves: the Gaussian processes would take minutes a study. A turn of the model
costs 6 s beside 60 s of training. `never` takes the best advisor's candidate, `always` any of four; without past
studies and without a predictor. Regret as in `tuning.py`; intervals over tasks.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import suites
from figures import Figure, figure, write
from methods import quiet
from rich.console import Console
from rich.progress import track
from stats import bootstrap, paired
from turns import ARMS, CHANCE, LIMIT, table
from turns_worlds import CANDIDATES, TRAINING, WORLDS

from luthier.graphs.candidates import EACH, fresh
from luthier.predictor.turns import Arm, draw_turn, turns_of
from luthier.trials.advisor import seed_for
from luthier.trials.advisors import DefaultAdvisor, TPEAdvisor, best_candidate
from luthier.trials.local import LocalAdvisor
from luthier.trials.records import Candidate, Direction, Trial, best_trial
from luthier.trials.space import Space

GATES = ("gate 1", "never", "always")


def tune(task: suites.Task, suite: str, gate: str, trials: int, seed: int) -> tuple[list[float], list[bool]]:
    """Regret after each trial, and whether the model carried it, both from trial 1 on."""
    default = suites.find_suite(suite).defaults[0]
    space = suites.with_default(task.space, task.starts(default, seed)[0])
    objective, done, asked, own = task.objective(), list[Trial](), list[bool](), seed_for(seed, 0, task.name)
    for number in range(trials + 1):
        found = candidates(space, done, task.direction, own)
        arm, drawn = turn(gate, done, task.direction, number, own)
        asked.append(arm.model != "none")
        place = int(np.random.default_rng(seed_for(own, number, "choice")).integers(min(len(found), CANDIDATES)))
        chosen = found[place] if asked[-1] or arm == CHANCE else best_candidate(found)
        trial = suites.as_trial(number, chosen, objective(chosen.config))
        spent = {"decisions": int(asked[-1]), "model_seconds": WORLDS["random"].seconds * asked[-1], "turn": drawn}
        done.append(replace(trial, seconds=TRAINING, extra={**facts(done, task.direction), **spent}))
    regrets = suites.normaliser(suite, task.name).regrets([math.nan if t.value is None else t.value for t in done])
    return regrets[1:], asked[1:]


def candidates(space: Space, done: Sequence[Trial], direction: Direction, seed: int) -> list[Candidate]:
    """What a planner would choose among, the advisors' first candidate first."""
    found: list[Candidate] = []
    for advisor in (DefaultAdvisor(), TPEAdvisor(), LocalAdvisor()):
        wanted = EACH.get(advisor.name, CANDIDATES - 2)
        made = advisor.advise(space, done, direction, seed=seed_for(seed, len(done), advisor.name), n=wanted)
        found += fresh(made, found, space, done)
        if not done:
            break
    return found


def turn(gate: str, done: Sequence[Trial], direction: Direction, number: int, seed: int) -> tuple[Arm, dict[str, Any]]:
    """Who carries the trial, and what it keeps of the draw."""
    if gate == "gate 1" and number > 0:
        drawn = draw_turn(ARMS, turns_of(done, direction), seed=seed_for(seed, number, "turn"), index=number)
        return drawn.arm, drawn.record()
    arm = ARMS[0] if gate == "always" and number > 0 else ARMS[-1]
    return arm, {"workflow": arm.workflow, "model": arm.model, "probability": 1.0}


def facts(done: Sequence[Trial], direction: Direction) -> dict[str, Any]:
    """What was known before a trial; both suites give equal values for equal configurations."""
    best = best_trial(list(done), direction)
    values = [t.value for t in done if t.value is not None]
    scale = float(np.subtract(*np.percentile(values, [75, 25]))) if len(values) > 1 else None
    return {"best_before": None if best is None else best.value, "noise": 0.0, "scale": scale, "index": len(done)}


def figures(suite: str, runs: dict[str, list[tuple[list[float], list[bool]]]]) -> list[Figure]:
    """The list that other programs read: shares, and regrets against never."""
    found: list[Figure] = []
    never = [regret[-1] for regret, _ in runs["never"]]
    for method, of in runs.items():
        late, last = [float(np.mean(asked[20:])) for _, asked in of], [regret[-1] for regret, _ in of]
        metrics = {
            "share of turns 1-10": bootstrap([float(np.mean(asked[:10])) for _, asked in of]),
            "share of turns 21-100": bootstrap(late),
            "below 15 %": bootstrap([float(share < LIMIT) for share in late]),
            "regret after 10": bootstrap([regret[9] for regret, _ in of]),
            "regret": bootstrap(last),
            "regret - never": paired(last, never),
        }
        found += [figure(f"turns/{suite}", method, metric, ends) for metric, ends in metrics.items()]
    return found


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with yahpo_lcbench and taskset")
    parser.add_argument("--suite", default="lcbench", choices=["lcbench", "taskset"])
    parser.add_argument("--tasks", type=int, default=100, help="so many from the start (all)")
    parser.add_argument("--trials", type=int, default=100, help="after the default (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="studies a task; each counts as one (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the list that other programs read")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, print; 2 when the data is not there."""
    args, console = parse(argv), Console()
    quiet()
    suite = suites.find_suite(args.suite)
    try:
        tasks = [suite.task(args.data, name) for name in suite.tasks(args.data)[: args.tasks]]
    except suites.DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    jobs = [(task, seed, gate) for task in tasks for seed in range(args.seeds) for gate in GATES]
    runs: dict[str, list[tuple[list[float], list[bool]]]] = {gate: [] for gate in GATES}
    for task, seed, gate in track(jobs, "tuning", console=console, transient=True):
        runs[gate].append(tune(task, args.suite, gate, args.trials, seed))
    found = figures(args.suite, runs)
    if args.json:
        write(args.json, found)
    console.print(table(found, f"a random model on {args.suite}, {len(jobs) // len(GATES)} x {args.trials} trials"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
