"""What the whole tuning graph costs a trial: no model, a random advisor, an objective that does nothing.

    python benchmarks/overhead.py --json overhead.json

Reach: at most 150 ms at trial 10, and at most 1.3 times that at trial 500. Everything is real but the objective and the
advisor: study and checkpoints on disk, one LangGraph invocation a trial, context, gates, record. A machine may change
its pace by half from one minute to the next, so an old study and young ones take turns: a trial of the old one, about
the number named, then one of a young one, about its tenth. Printed are the medians, and the old one's over the young
ones' with a bootstrap interval over the pairs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore

import numpy as np
from figures import write
from rich.progress import track

from luthier.graphs.events import Event, TrialFinished
from luthier.graphs.gating import Gates
from luthier.graphs.loop import tune_study
from luthier.trials.advisors import RandomAdvisor
from luthier.trials.records import Config, Direction, Outcome, State, Trajectory
from luthier.trials.runner import OnReport
from luthier.trials.space import Choice, Float, Int, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study

AT = (100, 250, 500)  # trials of the old study to name
YOUNG = 20  # trials of a young study; the first, which opens everything, does not count
LIMIT = 150  # milliseconds at trial 10
GROWTH = 1.3  # from trial 10 to trial 500
STEPS = 10  # reports of each trial
SPACE = Space(
    {
        "lr": Float(1e-5, 0.5, log=True, default=1e-3),
        "units": Int(16, 512, log=True, default=64),
        "optimizer": Choice(("sgd", "adam"), default="adam"),
        "momentum": Float(0.0, 0.99, default=0.9, when='optimizer == "sgd"'),
        "dropout": Float(0.0, 0.8, default=0.2),
        "layers": Int(1, 6, default=2),
    }
)


class NoOpRunner:
    """Reports a curve and its end at once, and says how long that took."""

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """A value that depends on the configuration, after `STEPS` reports."""
        began = time.perf_counter()
        value = float(SPACE.to_unit(config).sum())
        curve = tuple(value + 1 / (step + 1) for step in range(STEPS))
        for step, reported in enumerate(curve):
            if on_report is not None:
                on_report(step, {"loss": reported})
        trajectory = Trajectory(tuple(range(STEPS)), {"loss": curve})
        seconds = time.perf_counter() - began
        return Outcome(State.COMPLETE, curve[-1], {"loss": curve[-1]}, trajectory, seconds=seconds)

    def close(self) -> None:
        """Nothing to close."""


class Stepped:
    """A study of `trials` trials that does the next one whenever it is asked, in a thread of its own."""

    def __init__(self, folder: Path, trials: int) -> None:
        self._folder, self._budget = folder, Budget(trials=trials)
        self._go, self._done = Semaphore(0), Semaphore(0)
        self._pool = ThreadPoolExecutor(1)
        self._running = self._pool.submit(self._run)

    def step(self) -> float:
        """Milliseconds from the end of one trial to the end of the next."""
        began = time.perf_counter()
        self._go.release()
        self._done.acquire()
        if self._running.done():
            self._running.result()
        return 1000 * (time.perf_counter() - began)

    def close(self) -> None:
        """Let the study end; all its trials are done."""
        self._go.release()
        self._running.result()
        self._pool.shutdown()

    def _run(self) -> None:
        try:
            self._go.acquire()
            study = Study.create(
                self._folder, name="overhead", space=SPACE, metric="loss", direction=Direction.MINIMIZE
            )
            tune_study(
                study, NoOpRunner(), budget=self._budget, advisors=[RandomAdvisor()], listen=self._listen,
                gates=Gates(), noise=0,
            )  # fmt: skip
            study.close()
        finally:
            self._done.release()

    def _listen(self, event: Event) -> None:
        if isinstance(event, TrialFinished):
            self._done.release()
            self._go.acquire()


def in_turns(folder: Path, rounds: int) -> dict[int, np.ndarray]:
    """Milliseconds of the young studies' trials and the old one's, by the old one's number; each of shape (n, 2)."""
    half = rounds * (YOUNG - 1) // 2
    old = Stepped(folder / "old", max(AT) - half + rounds * (YOUNG - 1))
    done, found = 0, {}
    for number in AT:
        for _ in track(range(number - half - done), f"to trial {number - half}", transient=True):
            old.step()
        pairs = []
        for round_ in range(rounds):
            young = Stepped(folder / f"young-{number}-{round_}", YOUNG)
            young.step()
            pairs += [(young.step(), old.step()) for _ in range(YOUNG - 1)]
            young.close()
        done, found[number] = number - half + len(pairs), np.array(pairs)
    old.close()
    return found


@dataclass(frozen=True)
class Cost:
    """Medians of one trial of the old study and of the young ones beside it, and their ratio with its 95 % interval."""

    trial: int
    ms: float
    young_ms: float
    ratio: float
    low: float
    high: float


def cost(number: int, pairs: np.ndarray, resamples: int = 2000) -> Cost:
    """What trials about this number cost, from pairs (young, old) of shape (n, 2); the bootstrap draws pairs."""
    young, old = np.median(pairs, axis=0)
    drawn = pairs[np.random.default_rng(0).integers(len(pairs), size=(resamples, len(pairs)))]
    ratios = np.divide(*np.median(drawn, axis=1).T[::-1])
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Cost(number, *(round(float(one), 3) for one in (old, young, old / young, low, high)))


def main() -> None:
    """Measure, print a table, and say whether the figures were reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="young studies beside each trial that is named")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = [cost(number, pairs) for number, pairs in in_turns(Path(folder), options.rounds).items()]
    print("| trial | ms | at trial 10 meanwhile, ms | ratio |\n|---|---|---|---|")
    for one in costs:
        print(f"| {one.trial} | {one.ms:.0f} | {one.young_ms:.0f} | {one.ratio:.2f} [{one.low:.2f}, {one.high:.2f}] |")
    young, last = max(one.young_ms for one in costs), costs[-1]
    reached = young <= LIMIT and last.ratio <= GROWTH
    print(f"{young:.0f} ms at trial 10 (reach {LIMIT}); {last.ratio:.2f} times that at {last.trial} (reach {GROWTH})")
    print("reached" if reached else "NOT reached")
    if options.json is not None:
        write(options.json, costs)


if __name__ == "__main__":
    main()
