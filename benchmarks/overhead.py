"""What the whole tuning graph costs a trial: no model, a random advisor, an objective that does nothing.

    python benchmarks/overhead.py --trials 510 --json overhead.json

Reach: at most 150 ms at trial 10, and at most 1.3 times that at trial 500. Everything is real but the objective and the
advisor: study and checkpoints on disk, one LangGraph invocation a trial, context, gates, record. Each figure is the
median of the trials within `--window` of the one it names; processor time stands beside, since a busy machine doubles
the wall clock. `--profile` prints where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from luthier.graphs.events import Event, TrialFinished
from luthier.graphs.gating import Gates
from luthier.graphs.loop import tune_study
from luthier.trials.advisors import RandomAdvisor
from luthier.trials.records import Config, Direction, Outcome, State, Trajectory
from luthier.trials.runner import OnReport
from luthier.trials.space import Choice, Float, Int, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study

AT = (10, 100, 250, 500)  # trials to name
LIMIT = 0.150  # seconds at trial 10
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


class Clock:
    """A listener that notes the time from one finished trial to the next, one entry a trial."""

    def __init__(self) -> None:
        self._last, self._last_cpu = time.perf_counter(), time.process_time()
        self.seconds: list[float] = []
        self.cpu: list[float] = []  # seconds of the processor

    def __call__(self, event: Event) -> None:
        if isinstance(event, TrialFinished):
            now, cpu = time.perf_counter(), time.process_time()
            self.seconds.append(now - self._last)
            self.cpu.append(cpu - self._last_cpu)
            self._last, self._last_cpu = now, cpu


def measure(trials: int, folder: Path, *, stop_early: bool) -> Clock:
    """Tune a new study in `folder`."""
    study = Study.create(folder, name="overhead", space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    clock = Clock()
    tune_study(
        study,
        NoOpRunner(),
        budget=Budget(trials=trials),
        advisors=[RandomAdvisor()],
        listen=clock,
        gates=Gates(),
        noise=0,
        stop_early=stop_early,
    )
    study.close()
    return clock


def at(seconds: Sequence[float], number: int, window: int) -> float:
    """The median around one trial; of trial 0, which also opens everything, nothing counts."""
    return statistics.median(seconds[max(1, number - window) : number + window + 1])


def main() -> None:
    """Measure, print a table, and say whether the figures were reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=max(AT) + 11)
    parser.add_argument("--window", type=int, default=9)
    parser.add_argument("--no-early-stop", action="store_true", help="leave the pruner out")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        if options.profile:
            profile.enable()
        clock = measure(options.trials, Path(folder) / "study", stop_early=not options.no_early_stop)
        profile.disable()
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    named = {number: at(clock.seconds, number, options.window) for number in AT if number < len(clock.seconds)}
    cpu = {number: at(clock.cpu, number, options.window) for number in named}
    print("| trial | ms a trial | of the processor |\n|---|---|---|")
    for number, found in named.items():
        print(f"| {number} | {1000 * found:.1f} | {1000 * cpu[number]:.1f} |")
    first, last = named[min(named)], named[max(named)]
    reached = first <= LIMIT and last <= GROWTH * first
    growth = f"{last / first:.2f} times that at trial {max(named)} (reach {GROWTH})"
    print(
        f"{1000 * first:.0f} ms at trial {min(named)} (reach {1000 * LIMIT:.0f}); {growth}; {size / 1e6:.1f} MB on disk"
    )
    print("reached" if reached else "NOT reached")
    if options.json is not None:
        facts = {
            name: {n: round(1000 * s, 2) for n, s in row.items()} for name, row in (("ms", named), ("cpu_ms", cpu))
        }
        trials = [round(s, 5) for s in clock.seconds]
        options.json.write_text(json.dumps({**facts, "reached": reached, "bytes": size, "trials": trials}) + "\n")
    if options.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()
