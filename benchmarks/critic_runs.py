"""Trajectories of tuning on which the critic's scorer is fitted and measured, each state with what else was on offer.

LCBench, TaskSet and the tables are walked here: by random draws, by TPE and by `walk`, which moves hyperparameters of
the best trial too far and often mends that with the next step. Their surrogates say what every other candidate of a
state would have come to. nanochat's and LLAMBO's trajectories are logs: only the steps taken are known.

    python benchmarks/critic_runs.py --data ../shared/data --out critic_runs.jsonl [--tuners random,tpe,walk]

Finished walks are kept in the file, so a killed run goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from critic_tuners import others, walked
from critic_worlds import Arena, Offer, Walk, arena, llambo, nanochat
from methods import quiet
from suites import find_suite

from luthier.trials.records import Cause, Failure, State, Trajectory, Trial
from luthier.trials.sampling import ask
from luthier.trials.space import Space

TRIALS = 30  # of a walk
SEEDS = {"lcbench": 1, "taskset": 3, "tables": 2}  # walks of each tuner and task; so the suites weigh alike
TUNER_NAMES = ("random", "tpe", "walk")


def walk(place: Arena, suite: str, task: str, tuner: str, seed: int) -> Walk:
    """Tune once, and evaluate what else was on offer."""
    rng = np.random.default_rng([seed, *f"{suite}/{task}/{tuner}".encode()])
    trials = [place.run(0, place.starts[seed % len(place.starts)], "default")]
    offers: dict[int, list[Offer]] = {}
    for number in range(1, TRIALS):
        offered, chosen = others(place.space, trials, place.direction, rng), _next(tuner, place, trials, rng)
        answered = [(o, place.run(number, o.config, o.source)) for o in offered]
        offers[number] = [Offer(t.config, t.value, o.source) for o, t in answered]
        trials.append(place.run(number, chosen.config, chosen.source))
    return Walk(
        suite,
        task,
        tuner,
        seed,
        place.space,
        place.direction,
        place.metric,
        place.noise,
        trials,
        _fresh(trials, offers, place.space),
    )


def _next(tuner: str, place: Arena, trials: Sequence[Trial], rng: np.random.Generator) -> Offer:
    if tuner == "random":
        return Offer(place.space.sample(rng), None, tuner)
    if tuner == "walk":
        return Offer(walked(place.space, trials, place.direction, rng), None, tuner)
    import optuna

    sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)), multivariate=True, n_startup_trials=5)
    return Offer(ask(sampler, place.space, trials, place.direction, 1, 0)[0], None, tuner)


def _fresh(trials: Sequence[Trial], offers: Mapping[int, list[Offer]], space: Space) -> dict[int, list[Offer]]:
    """Without what ran before: a repetition is refused by a rule, no scorer is asked."""
    keys = [space.key(t.config) for t in trials]
    return {n: [o for o in found if space.key(o.config) not in keys[:n]] for n, found in offers.items()}


def packed(one: Walk) -> dict[str, Any]:
    """A walk without its space, which its task knows."""
    rows = [
        {
            "config": dict(t.config), "value": t.value, "source": t.source, "steps": list(t.trajectory.steps),
            "curves": {n: list(c) for n, c in t.trajectory.metrics.items()},
        }
        for t in one.trials
    ]  # fmt: skip
    offers = {n: [[dict(o.config), o.value, o.source] for o in found] for n, found in one.offers.items()}
    return {
        "suite": one.suite,
        "task": one.task,
        "tuner": one.tuner,
        "seed": one.seed,
        "trials": rows,
        "offers": offers,
    }


def unpacked(row: Mapping[str, Any], data: Path) -> Walk:
    """The walk of a line."""
    place = _arena(data, row["suite"], row["task"])
    trials = []
    for number, t in enumerate(row["trials"]):
        failed = t["value"] is None
        seen = Trajectory(tuple(t["steps"]), {n: tuple(c) for n, c in t["curves"].items()})
        failure = Failure(Cause.NAN, "the loss is nan") if failed else None
        state = State.FAILED if failed else State.COMPLETE
        trials.append(
            Trial(number, t["config"], state, t["value"], trajectory=seen, failure=failure, source=t["source"])
        )
    offers = {int(n): [Offer(*o) for o in found] for n, found in row["offers"].items()}
    return Walk(
        row["suite"],
        row["task"],
        row["tuner"],
        row["seed"],
        place.space,
        place.direction,
        place.metric,
        place.noise,
        trials,
        offers,
    )


@cache
def _arena(data: Path, suite: str, task: str) -> Arena:
    return arena(data, suite, task)


def load(path: Path, data: Path) -> list[Walk]:
    """The walks of a file, and the logs."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return [*(unpacked(row, data) for row in rows), *nanochat(data), *llambo(data)]


def planned(data: Path, tuners: Sequence[str]) -> Iterator[tuple[str, str, str, int]]:
    """Suite, task, tuner and seed of every walk."""
    for tuner in tuners:
        for suite, seeds in SEEDS.items():
            yield from ((suite, task, tuner, seed) for task in find_suite(suite).tasks(data) for seed in range(seeds))


def main() -> None:
    """Walk, one line a walk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tuners", default=",".join(TUNER_NAMES))
    args = parser.parse_args()
    quiet()
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    done = {(r["suite"], r["task"], r["tuner"], r["seed"]) for r in rows}
    for suite, task, tuner, seed in planned(args.data, args.tuners.split(",")):
        if (suite, task, tuner, seed) not in done:
            found = walk(_arena(args.data, suite, task), suite, task, tuner, seed)
            with args.out.open("a") as file:
                file.write(json.dumps(packed(found)) + "\n")
            print(f"{found.id}: {len(found.trials)} trials", flush=True)


if __name__ == "__main__":
    main()
