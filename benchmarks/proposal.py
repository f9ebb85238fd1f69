"""How long the Gaussian process takes for one proposal, as a study grows.

    python benchmarks/proposal.py --trials 20,50,99

Reach: 1.5 s at 100 trials, beyond which TPE takes over. Seven hyperparameters; the median and the slowest of five.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from luthier.trials.advisors import GPAdvisor
from luthier.trials.records import Direction, State, Trial
from luthier.trials.space import Float, Space

SPACE = Space({f"x{i}": Float(0.0, 1.0, default=0.5) for i in range(7)})


def history(n: int) -> list[Trial]:
    """Random configurations of a bowl."""
    rng = np.random.default_rng(0)
    configs = [SPACE.sample(rng) for _ in range(n)]
    return [Trial(i, c, State.COMPLETE, sum((float(v) - 0.3) ** 2 for v in c.values())) for i, c in enumerate(configs)]


def seconds(trials: list[Trial], seed: int) -> float:
    """Wall time of one proposal."""
    start = time.perf_counter()
    GPAdvisor().advise(SPACE, trials, Direction.MINIMIZE, seed=seed)
    return time.perf_counter() - start


def main() -> None:
    """Print one row a study size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default="20,50,99")
    sizes = [int(size) for size in parser.parse_args().trials.split(",")]
    seconds(history(5), 0)  # the first one pays for the imports
    for size in sizes:
        taken = [seconds(history(size), seed) for seed in range(5)]
        print(f"{size} trials: median {statistics.median(taken):.2f} s, slowest {max(taken):.2f} s")


if __name__ == "__main__":
    main()
