"""Is the account of what skipping lost true? Studies on surrogates, where what a skipped candidate is worth is known.

    python benchmarks/audits.py --data ../shared/data --json audits.json

A study takes 20 trials: of each candidate (half of them drawn from the task's best quarter, as good advisors would) a
gate with known mistakes says whether it can beat the best; `sharp` and `blurred` see its value with noise of 0.2 and 1
interquartile ranges, `blind` refuses half of all at random. What it refuses is skipped, up to five times a trial, but
for a share of 5 % that runs all the same. Whole studies of random tasks are pooled until there are 60, 150 or 300
audits; then `predictor/skipping.py` estimates, and is compared with what was really skipped. The figures are over
repetitions: `coverage` is the share of them whose 95 % interval holds the truth (93 % is to be reached), in brackets
its own 95 % interval; `bias` the mean error, `truth` and `high` the means of the truth and of the upper end, a skip
each in scales. `bootstrap` is the plain percentile bootstrap of the same audits. LCBench's surrogate tells seconds too,
which the gate guesses wrong by a factor of its own in each study and by noise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from audit_studies import GATES, Pool, Studies, pools, simulate
from figures import Figure, write
from rich.progress import track
from scipy.stats import binomtest
from suites import DataMissing

from luthier.predictor.bounded import Estimate
from luthier.predictor.skipping import savings_of

SIZES = (60, 150, 300)
RESAMPLES = 2_000  # of the plain bootstrap


@dataclass(frozen=True)
class Check:
    """One estimate beside the truth, both for one skip."""

    metric: str
    found: Estimate
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the interval has the truth; rounding aside."""
        return self.found.low - 1e-9 <= self.truth <= self.found.high + 1e-9


def checks(pool: Pool) -> Iterator[Check]:
    """All estimates of one pool of studies."""
    gate = savings_of(pool.facts).gate
    if gate.gain is not None:
        yield Check("gain", gate.gain.times(1 / gate.skips), pool.gain / gate.skips)
    if gate.lost is not None:
        yield Check("lost", gate.lost.times(1 / gate.trials), pool.lost / gate.trials)
    if gate.seconds is not None and pool.seconds:
        yield Check("seconds, of 1", gate.seconds.times(1 / pool.seconds), 1.0)
    yield Check("wins at most", Estimate(gate.share, 0.0, gate.share_at_most), pool.wins / gate.skips)
    yield Check("gain, bootstrap", bootstrap([audit.gain for audit in pool.facts.audits]), pool.gain / gate.skips)


def bootstrap(gains: Sequence[float]) -> Estimate:
    """The plain one."""
    values, rng = np.array(gains), np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def rows(suite: str, method: str, found: Sequence[Check]) -> Iterator[Figure]:
    """The figures of one estimate over its repetitions."""
    metric = found[0].metric
    held = sum(check.holds for check in found)
    sure = binomtest(held, len(found)).proportion_ci(method="wilson")
    errors = np.array([check.found.value - check.truth for check in found])
    spread = 1.96 * errors.std(ddof=1) / np.sqrt(len(errors))
    figures = {
        "coverage": (held / len(found), sure.low, sure.high),
        "bias": (errors.mean(), errors.mean() - spread, errors.mean() + spread),
        "truth": (np.mean([check.truth for check in found]),) * 3,
        "high": (np.mean([check.found.high for check in found]),) * 3,
    }
    for name, (value, low, high) in figures.items():
        yield Figure(suite, method, f"{metric}: {name}", float(value), float(low), float(high))


def run(suite: str, studies: Studies, repetitions: int) -> Iterator[Figure]:
    """All gates and numbers of audits of one suite."""
    for seed, gate in enumerate(GATES):
        for audits in SIZES:
            rng = np.random.default_rng([seed, audits])
            simulated = simulate(studies, gate, audits * repetitions, rng)
            gathered: dict[str, list[Check]] = {}
            told = track(pools(simulated, audits), f"{suite}, {gate}, {audits}", total=repetitions)
            for pool, _ in zip(told, range(repetitions), strict=False):
                for check in checks(pool):
                    gathered.setdefault(check.metric, []).append(check)
            # Where only some pools have enough audits for an estimate, they are no fair draw.
            for found in (one for one in gathered.values() if len(one) == repetitions):
                yield from rows(suite, f"{gate}, {audits} audits", found)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each figure, and write them; 2 where the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    found: list[Figure] = []
    try:
        suites = {"lcbench": Studies.of_lcbench(given.data), "taskset": Studies.of_taskset(given.data)}
    except DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    for name, studies in suites.items():
        for row in run(name, studies, given.repetitions):
            print(f"{row.suite:8} {row.method:20} {row.metric:28} {row.value:8.4f} [{row.low:.4f}, {row.high:.4f}]",
                  flush=True)  # fmt: skip
            found.append(row)
    if given.json is not None:
        write(given.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
