"""Fits the scorer that ships with the critic, on the walks of every suite: `predictor/step_reward.json`.

    python benchmarks/critic_runs.py --data ../shared/data --out critic_runs.jsonl
    python benchmarks/fit_critic.py --data ../shared/data --runs critic_runs.jsonl --write

How right it is on suites that it did not see: benchmarks/critic.py.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from critic_models import StepScorer, boosted
from critic_runs import load
from critic_table import kept

from luthier.predictor.step_features import FEATURES
from luthier.predictor.step_reward import FILE, StepReward

COMPRESS = False  # node compression: see docs/gate.md


def nested(nodes: np.ndarray, at: int = 0) -> Any:
    """A tree of scikit-learn's histogram boosting as lists, see `luthier.predictor.step_reward`."""
    node = nodes[at]
    if node["is_leaf"]:
        return round(float(node["value"]), 4)
    sides = (nested(nodes, int(node[side])) for side in ("left", "right"))
    return [FEATURES[node["feature_idx"]], float(node["num_threshold"]), *sides]


def stored(model: Any) -> dict[str, Any]:
    """A fitted model as the file holds it."""
    trees = [nested(one.nodes) for (one,) in model._predictors]
    return {"features": list(FEATURES), "start": round(float(model._baseline_prediction.item()), 4), "trees": trees}


def main() -> None:
    """Fit, compare with scikit-learn's own answers, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="where the steps as numbers are kept (.npz)")
    parser.add_argument("--without", help="leave out the walks of a suite, such as llambo's, and write to --out")
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write it")
    args = parser.parse_args()
    rows = kept(load(args.runs, args.data), args.table)
    if args.without is not None:
        if args.without not in rows.suite or args.out == FILE:
            parser.error(f"--without must be of {', '.join(sorted(set(rows.suite)))}, with an --out of its own")
        rows = rows.take(rows.suite != args.without)
    scorer = StepScorer.fit(rows, boosted, COMPRESS)
    found = stored(scorer.model)
    some = np.random.default_rng(0).choice(len(rows), 500, replace=False)
    ours = StepReward.of(found)
    gap = max(
        abs(ours.probability(rows.alone[i]) - p) for i, p in zip(some, scorer.alone(rows.take(some)), strict=True)
    )
    head = {"made by": "benchmarks/fit_critic.py --write", "steps": len(rows)}
    head |= {"features": found["features"], "start": found["start"]}
    lines = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in found["trees"])
    text = json.dumps(head)[:-1] + f', "trees": [\n{lines}\n]}}\n'
    size = f"{len(found['trees'])} trees, {len(text) / 1000:.0f} kB"
    print(f"{len(rows)} steps, {size}, at most {gap:.4f} from scikit-learn")
    if args.write:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
