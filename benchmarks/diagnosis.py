"""How often the diagnosis of a curve agrees with its label, and that every broken curve of TaskSet is found.

    python benchmarks/diagnosis.py [--data ../shared/data]

The labelled curves (tests/data/labelled_curves.json) were labelled by eye before the rules saw them. The trees may be
fitted to the development curves only (the sets "first" to "ninth"); the held-out ones are the figure.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from luthier.models.probe import Share
from luthier.trials.diagnosis import Verdict, diagnose_curves
from luthier.trials.records import Direction

SETS = {
    "development": ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    "held out": ("tenth",),
}
LABELLED = Path(__file__).parents[1] / "tests" / "data" / "labelled_curves.json"


def load(part: str) -> list[dict[str, Any]]:
    """The labelled curves of one part; null stands for NaN."""
    curves = json.loads(LABELLED.read_text())["curves"]
    for curve in curves:
        for side in ("train", "valid"):
            curve[side] = [math.nan if v is None else v for v in curve[side]]
    return [curve for curve in curves if curve["set"] in SETS[part]]


def verdict(curve: dict[str, Any]) -> Verdict:
    """What the rules say of one labelled curve, the task's best value given as a study would know it."""
    steps = range(len(curve["valid"]))
    direction = Direction.MAXIMIZE if curve.get("maximize") else Direction.MINIMIZE
    return diagnose_curves(steps, curve["train"], curve["valid"], direction, curve["best"]).verdict


def confusion(curves: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """(label, verdict) -> how often."""
    return Counter((curve["label"], verdict(curve).value) for curve in curves)


def table(counts: Counter[tuple[str, str]]) -> str:
    """The confusion table in Markdown: a row a label, a column a verdict."""
    names = sorted({name for pair in counts for name in pair})
    rows = [f"| labelled \\ diagnosed | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    rows += [f"| {a} | {' | '.join(str(counts[a, b] or '') for b in names)} |" for a in names]
    return "\n".join(rows)


def taskset(folder: Path) -> None:
    """Every curve of TaskSet: a NaN in it must be called diverged; the rest is counted by verdict."""
    counts: Counter[str] = Counter()
    missed = 0
    for file in sorted(folder.glob("*.npz")):
        data = np.load(file)
        best = float(np.nanmin(data["valid"][:, -1]))
        for train, valid in zip(data["train"], data["valid"], strict=True):
            found = diagnose_curves(range(len(valid)), train.tolist(), valid.tolist(), Direction.MINIMIZE, best).verdict
            counts[found.value] += 1
            missed += bool(np.isnan(valid).any()) and found is not Verdict.DIVERGED
    print(f"TaskSet, {sum(counts.values())} curves: {dict(counts.most_common())}; NaN but not diverged: {missed}")


def report(part: str) -> None:
    """Print how many curves of a part are right, with the interval, its confusion table, and each of its sets."""
    curves = load(part)
    counts = confusion(curves)
    right = sum(n for (a, b), n in counts.items() if a == b)
    low, high = Share(right, len(curves)).interval
    print(f"{part}: {right} of {len(curves)} right, {right / len(curves):.0%} (95 % interval {low:.0%} to {high:.0%})")
    print(f"{table(counts)}\n")
    for name in SETS[part]:
        ours = [curve for curve in curves if curve["set"] == name]
        print(f"{name}: {sum(verdict(curve) == curve['label'] for curve in ours)} of {len(ours)}")


def main() -> None:
    """Print the figures and tables of both parts, and TaskSet's counts where the data are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds taskset/")
    parser.add_argument("--part", choices=SETS, help="one part only")
    parser.add_argument("--wrong", action="store_true", help="list the development curves that are diagnosed wrong")
    args = parser.parse_args()
    for part in [args.part] if args.part else SETS:
        report(part)
    if args.wrong:
        for place, curve in enumerate(load("development")):
            if verdict(curve) != curve["label"]:
                print(place, curve["task"][:40], curve["label"], "->", verdict(curve))
    if args.data is not None:
        taskset(args.data / "taskset")


if __name__ == "__main__":
    main()
