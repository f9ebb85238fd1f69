"""Fits the trees that diagnose a curve to the labelled curves, and says how right they are on sets they did not see.

    python benchmarks/diagnosis_fit.py            # leave one set out: our trees, one tree, a linear score a verdict
    python benchmarks/diagnosis_fit.py --write    # fit on all development curves and write trials/diagnosis.json

The sets that were labelled by the guide alone, from the sixth on, count more and are the ones that are left out.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnosis import SETS, load
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from luthier.trials.curve import curve_of
from luthier.trials.forest import FILE, QUANTITIES, quantities, vote

GUIDED = SETS["development"][5:]  # labelled from pictures and the guide alone
WEIGHT = 6.0  # of their curves; those of the sets before count once
TREES, LEAST = 40, 3  # how many trees, how many curves a leaf has at least
SEED = 0
Fit = Callable[[np.ndarray, list[str], np.ndarray], Any]  # features, labels, weights -> a predictor


def finite(curve: dict[str, Any]) -> bool:
    """Whether the trees are asked at all: a curve with a value that is no number has diverged."""
    return all(math.isfinite(v) for v in (*curve["train"], *curve["valid"]))


def seen(curve: dict[str, Any]) -> Any:
    """The quantities' source."""
    return curve_of(curve["valid"], curve["train"] or None, curve["best"], -1 if curve.get("maximize") else 1)


def table(curves: list[dict[str, Any]]) -> np.ndarray:
    """The quantities, shape (n_curves, n_quantities)."""
    return np.array([[quantities(seen(curve))[name] for name in QUANTITIES] for curve in curves])


def grown(x: np.ndarray, labels: list[str], weights: np.ndarray) -> Any:
    """Our trees."""
    forest = RandomForestClassifier(TREES, min_samples_leaf=LEAST, max_features=0.3, random_state=SEED)
    return forest.fit(x, labels, sample_weight=weights)


def one_tree(leaves: int) -> Fit:
    """One tree of a few leaves, the most readable."""
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=LEAST, random_state=SEED)
    return lambda x, labels, weights: tree.fit(x, labels, sample_weight=weights)


def scores(x: np.ndarray, labels: list[str], weights: np.ndarray) -> Any:
    """A linear score a verdict, of quantities whose small values are spread."""
    spread = FunctionTransformer(lambda v: np.sign(v) * np.log1p(np.abs(v) / 0.01))
    model = make_pipeline(spread, StandardScaler(), LogisticRegression(C=0.3, max_iter=1000))
    return model.fit(x, labels, logisticregression__sample_weight=weights)


def left_out(curves: list[dict[str, Any]], x: np.ndarray, fit: Fit) -> dict[str, int]:
    """Set -> how many of its curves are right when the predictor is fitted on all others."""
    right = {}
    for name in GUIDED:
        inside = [i for i, c in enumerate(curves) if c["set"] != name]
        outside = [i for i, c in enumerate(curves) if c["set"] == name]
        model = fit(x[inside], [curves[i]["label"] for i in inside], weights([curves[i] for i in inside]))
        right[name] = int(sum(model.predict(x[outside]) == [curves[i]["label"] for i in outside]))
    return right


def weights(curves: list[dict[str, Any]]) -> np.ndarray:
    """How much each curve counts, shape (n_curves,)."""
    return np.array([WEIGHT if curve["set"] in GUIDED else 1.0 for curve in curves])


def nested(tree: Any, labels: list[str], node: int = 0) -> Any:
    """A tree of scikit-learn as lists, see `luthier.trials.forest`."""
    if tree.children_left[node] < 0:
        shares = tree.value[node][0] / tree.value[node][0].sum()
        return {label: round(float(s), 2) for label, s in zip(labels, shares, strict=True) if s >= 0.005}
    below, above = (nested(tree, labels, int(side[node])) for side in (tree.children_left, tree.children_right))
    return [QUANTITIES[tree.feature[node]], float(f"{tree.threshold[node]:.4g}"), below, above]


def write(curves: list[dict[str, Any]], x: np.ndarray) -> None:
    """Fit our trees on all and write them, one a line."""
    forest = grown(x, [curve["label"] for curve in curves], weights(curves))
    trees = [nested(tree.tree_, list(forest.classes_)) for tree in forest.estimators_]
    rows = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in trees)
    FILE.write_text(f'{{"made by": "benchmarks/diagnosis_fit.py --write", "trees": [\n{rows}\n]}}\n')
    print(f"{len(trees)} trees; {sum(vote(seen(c), trees) == c['label'] for c in curves)} of {len(curves)} right")


def main() -> None:
    """Print the table of sets left out, or write the trees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write trials/diagnosis.json")
    args = parser.parse_args()
    every = load("development")
    curves = [curve for curve in every if finite(curve)]
    x = table(curves)
    if args.write:
        return write(curves, x)
    total = {name: sum(c["set"] == name for c in every) for name in GUIDED}
    broken = {name: n - sum(c["set"] == name for c in curves) for name, n in total.items()}
    print(f"| fitted on the other sets | {' | '.join(GUIDED)} | together |\n|{'---|' * (len(GUIDED) + 2)}")
    fits: dict[str, Fit] = {f"{TREES} trees": grown, "linear scores": scores}
    fits |= {f"one tree, {leaves} leaves": one_tree(leaves) for leaves in (8, 12, 16)}
    for title, fit in fits.items():
        right = {name: n + broken[name] for name, n in left_out(curves, x, fit).items()}
        share = sum(right.values()) / sum(total.values())
        print(f"| {title} | {' | '.join(str(right[n]) for n in GUIDED)} | {sum(right.values())}, {share:.0%} |")
    return None


if __name__ == "__main__":
    main()
