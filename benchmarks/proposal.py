"""How long one proposal takes without a model, as a study grows.

    python benchmarks/proposal.py --trials 10,29,50,99,100

Reach: 1.5 s at 100 trials. Timed is the advisor whose candidate would run: the averaged Gaussian process, then
TPE. Seven hyperparameters; the median and the slowest of five.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from luthier.trials.advisors import default_advisors
from luthier.trials.records import Candidate, Direction, State, Trial
from luthier.trials.space import Float, Space

SPACE = Space({f"x{i}": Float(0.0, 1.0, default=0.5) for i in range(7)})


def history(n: int) -> list[Trial]:
    """Random configurations of a bowl."""
    rng = np.random.default_rng(0)
    configs = [SPACE.sample(rng) for _ in range(n)]
    return [Trial(i, c, State.COMPLETE, sum((float(v) - 0.3) ** 2 for v in c.values())) for i, c in enumerate(configs)]


def proposal(trials: list[Trial], seed: int) -> Candidate:
    """What the first advisor that has something to say proposes."""
    asked = (a.advise(SPACE, trials, Direction.MINIMIZE, seed=seed) for a in default_advisors()[1:])
    return next(found[0] for found in asked if found)


def timed(trials: list[Trial], seed: int) -> tuple[float, str]:
    """Seconds of wall time, and whose proposal it is."""
    start = time.perf_counter()
    source = proposal(trials, seed).source
    return time.perf_counter() - start, source


def main() -> None:
    """Print one row a study size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default="10,29,50,99,100")
    sizes = [int(size) for size in parser.parse_args().trials.split(",")]
    for size in sizes:
        trials = history(size)
        proposal(trials, 0)  # the first one pays for the imports
        taken, sources = zip(*(timed(trials, seed) for seed in range(5)), strict=True)
        median, slowest = statistics.median(taken), max(taken)
        print(f"{size} trials, {sources[0]}: median {median:.2f} s, slowest {slowest:.2f} s")


if __name__ == "__main__":
    main()
