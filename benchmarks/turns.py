"""Who gets the turn: gate 1 against always asking the model, never, and a random gate of the same share.

    python benchmarks/turns.py --json turns.json

Simulated worlds (`turns_worlds.py`), without a predictor and without past studies unless the setting gives some. Shares
are of the model; regret is what is left of the gap at a study's begin; intervals are bootstrapped over runs. The gate
is the product's own code; its constants were chosen on other seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from figures import Figure, figure, write
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stats import bootstrap
from turns_worlds import TRAINING, WORLDS, Landscape, World, at_random

from luthier.predictor.arms import Arm, Turn
from luthier.predictor.turns import draw_turn

SETTINGS = {"long": (1, 100), "short": (10, 10), "first": (1, 10)}  # studies one after another, trials of each
LIMIT = 0.15  # "little": the share of turns 21 to 100 below which a model has lost its turns
BOUND = 0.02  # "not worse": the interval of the paired difference of regrets ends below this
SEED = 10_000  # of the first run; constants were chosen on seeds below

ADVISORS, MODEL, CHANCE = Arm("advisors"), Arm("planner-critic", "model"), Arm("chance")
ARMS = [MODEL, Arm("planner", "model"), Arm("debate", "model"), CHANCE, ADVISORS]  # as in the product
DEARER = {"debate": 2.0}  # what it asks of a model, against the others
Gate = Callable[[list[Turn], list[Turn], int, int], tuple[Arm, float]]  # turns, past, index, seed -> arm, probability


@dataclass
class Run:
    """What became of a few studies, one after another."""

    asked: list[bool] = field(default_factory=list)  # of each turn, whether the model carried it
    gains: list[float] = field(default_factory=list)
    seconds: float = 0.0
    regrets: list[float] = field(default_factory=list)  # of each study at its end
    early: list[float] = field(default_factory=list)  # and after its tenth trial

    def share(self, first: int, last: int) -> float:
        """The model's share of the turns `first` to `last`, counted from 1 over all studies."""
        return float(np.mean(self.asked[first - 1 : last]))


def ours(arms: Sequence[Arm]) -> Gate:
    """The product's gate."""

    def gate(turns: list[Turn], past: list[Turn], index: int, seed: int) -> tuple[Arm, float]:
        drawn = draw_turn(arms, turns, seed=seed, index=index, past=past)
        return drawn.arm, drawn.probability

    return gate


def lottery(share: float) -> Gate:
    """A random gate: the model gets this share of the turns, 0 never and 1 always."""

    def gate(turns: list[Turn], past: list[Turn], index: int, seed: int) -> tuple[Arm, float]:
        asks = np.random.default_rng(seed).random() < share
        return (MODEL, share) if asks else (ADVISORS, 1 - share)

    return gate


def play(world: World, gate: Gate, seed: int, studies: int, trials: int) -> Run:
    """Carry studies one after another through a gate; each knows the turns of those before it."""
    run, past = Run(), list[Turn]()
    for study in range(studies):
        land, turns = Landscape(100 * seed + study), list[Turn]()
        for index in range(1, trials + 1):
            arm, probability = gate(turns, past, index, 7919 * (100 * seed + study) + index)
            asked = arm.model != "none"
            gain = land.trial(index, world.chooses if asked else at_random if arm == CHANCE else None)
            spent = world.seconds * DEARER.get(arm.workflow, 1.0) if asked else 0.0
            turns.append(Turn(arm.workflow, arm.model, gain, TRAINING, spent, probability, index, str(study)))
            run.asked.append(asked)
            run.gains.append(gain)
            run.seconds += TRAINING + spent
            if index == min(10, trials):
                run.early.append(land.regret)
        run.regrets.append(land.regret)
        past += turns
    return run


def figures(world: str, setting: str, arms: Sequence[Arm], seeds: Sequence[int]) -> list[Figure]:
    """Every gate in one world, on the same luck."""
    studies, trials = SETTINGS[setting]

    def all_of(gate: Gate) -> list[Run]:
        return [play(WORLDS[world], gate, seed, studies, trials) for seed in seeds]

    gated = all_of(ours(arms))
    share = float(np.mean([run.share(1, studies * trials) for run in gated]))
    found = {
        "gate 1": gated,
        "always": all_of(lottery(1)),
        "never": all_of(lottery(0)),
        "random gate": all_of(lottery(share)),
    }
    return [
        figure(f"turns/{setting}/{world}", method, metric, bootstrap(values))
        for method, of in found.items()
        for metric, values in _metrics(of, found["never"], found["always"]).items()
    ]


def _metrics(runs: Sequence[Run], never: Sequence[Run], always: Sequence[Run]) -> dict[str, list[float]]:
    """One value a run of each metric."""
    last = len(runs[0].asked)
    values: dict[str, list[float]] = {"share of turns 1-10": [r.share(1, 10) for r in runs]}
    if last > 20:
        late = [r.share(21, last) for r in runs]
        values |= {"share of turns 21-100": late, "below 15 %": [float(share < LIMIT) for share in late]}
    return values | {
        "gain": [sum(r.gains) for r in runs],
        "regret after 10": [float(np.mean(r.early)) for r in runs],
        "regret": [float(np.mean(r.regrets)) for r in runs],
        "regret - never": [float(np.mean(r.regrets) - np.mean(n.regrets)) for r, n in zip(runs, never, strict=True)],
        "cost / always": [r.seconds / a.seconds for r, a in zip(runs, always, strict=True)],
    }


def table(found: Sequence[Figure], title: str) -> Table:
    """One line a gate, the metrics beside each other."""
    cells = {(f.method, f.metric): f.shown for f in found}
    shown = Table(title=title, box=None)
    shown.add_column("metric")
    methods = list(dict.fromkeys(f.method for f in found))
    for method in methods:
        shown.add_column(method, justify="right")
    for metric in dict.fromkeys(f.metric for f in found):
        shown.add_row(metric, *(cells[method, metric] for method in methods))
    return shown


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=lambda s: s.split(","), default=list(WORLDS), help="default: all")
    parser.add_argument("--settings", type=lambda s: s.split(","), default=["long", "short"], help=f"of {[*SETTINGS]}")
    parser.add_argument("--runs", type=int, default=200, help="a world and gate (%(default)s)")
    parser.add_argument("--one", action="store_true", help="one workflow against the advisors, not the product's five")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first run (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the list that other programs read")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, print; 2 when the request cannot be met."""
    args, console = parse(argv), Console()
    for asked, known, what in ((args.worlds, WORLDS, "world"), (args.settings, SETTINGS, "setting")):
        if wrong := [a for a in asked if a not in known]:
            print(f"a {what} must be one of {', '.join(known)}, but got {', '.join(wrong)}", file=sys.stderr)
            return 2
    arms = [ADVISORS, MODEL] if args.one else ARMS
    jobs = [(world, setting) for setting in args.settings for world in args.worlds]
    found: list[Figure] = []
    for world, setting in track(jobs, "worlds", console=console, transient=True):
        rows = figures(world, setting, arms, range(args.seed, args.seed + args.runs))
        found += rows
        studies, trials = SETTINGS[setting]
        console.print(table(rows, f"{world}: the model {WORLDS[world].words}; {studies} x {trials} trials"))
        if args.json:
            write(args.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
