"""How long one proposal takes without a model, as a study grows.

    python benchmarks/proposal.py --trials 10,29,50,99,100 [--curves]

Reach: 1.5 s at 100 trials. Timed is the advisor whose candidate would run: the averaged Gaussian process, then
TPE; with `--curves` the process over curves that proposes where hours are short, four in five trainings stopped on the
way. Seven hyperparameters; the median and the slowest of five.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np

from luthier.trials.advisors import default_advisors, reading_curves
from luthier.trials.records import Candidate, Direction, State, Trajectory, Trial
from luthier.trials.space import Float, Space

SPACE = Space({f"x{i}": Float(0.0, 1.0, default=0.5) for i in range(7)})
EPOCHS = 50  # of a training that is not stopped,
STOPPED = (3, 3, 3, 10, 20)  # and of others, as the curve stop leaves them
METRIC = "value"


def history(n: int) -> list[Trial]:
    """Random configurations of a bowl."""
    rng = np.random.default_rng(0)
    configs = [SPACE.sample(rng) for _ in range(n)]
    return [Trial(i, c, State.COMPLETE, sum((float(v) - 0.3) ** 2 for v in c.values())) for i, c in enumerate(configs)]


def with_curves(trials: list[Trial]) -> list[Trial]:
    """The same, each with a curve that falls to its value, four in five of them stopped before the end."""
    rng = np.random.default_rng(0)
    return [_trained(trial, EPOCHS if trial.number % 5 == 0 else int(rng.choice(STOPPED))) for trial in trials]


def _trained(trial: Trial, epochs: int) -> Trial:
    assert trial.value is not None
    values = tuple(trial.value + 1 / epoch - 1 / EPOCHS for epoch in range(1, epochs + 1))
    curve = Trajectory(tuple(range(1, epochs + 1)), {METRIC: values})
    state = State.COMPLETE if epochs == EPOCHS else State.PRUNED
    return replace(trial, state=state, value=values[-1], trajectory=curve, extra={"expected": trial.value})


def proposal(trials: list[Trial], seed: int, curves: bool) -> Candidate:
    """What the first advisor that has something to say proposes."""
    advisors = reading_curves(default_advisors(), METRIC) if curves else default_advisors()
    asked = (advisor.advise(SPACE, trials, Direction.MINIMIZE, seed=seed) for advisor in advisors[1:])
    return next(found[0] for found in asked if found)


def timed(trials: list[Trial], seed: int, curves: bool) -> tuple[float, str]:
    """Seconds of wall time, and whose proposal it is."""
    start = time.perf_counter()
    source = proposal(trials, seed, curves).source
    return time.perf_counter() - start, source


def main() -> None:
    """Print one row a study size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default="10,29,50,99,100")
    parser.add_argument("--curves", action="store_true", help="time the process over curves")
    args = parser.parse_args()
    for size in map(int, args.trials.split(",")):
        trials = with_curves(history(size)) if args.curves else history(size)
        proposal(trials, 0, args.curves)  # the first one pays for the imports
        taken, sources = zip(*(timed(trials, seed, args.curves) for seed in range(5)), strict=True)
        median, slowest = statistics.median(taken), max(taken)
        print(f"{size} trials, {sources[0]}: median {median:.2f} s, slowest {slowest:.2f} s")


if __name__ == "__main__":
    main()
