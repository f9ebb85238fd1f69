"""Which word most labellers would say of a curve: the vote of small decision trees on its quantities.

The trees are data (`diagnosis.json`), fitted to labelled curves by `benchmarks/diagnosis_fit.py`. A node is
[quantity, limit, what holds up to the limit, what holds above]; a leaf is the share of each label in it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .curve import Curve

FILE = Path(__file__).with_name("diagnosis.json")
# The quantities of `Curve` that a tree may ask for; those from `train_left` on are of the training curve.
QUANTITIES = (
    "lost", "lost_seen", "late", "late_seen", "fall", "fall_seen", "clear", "covered", "left", "beyond", "undone",
    "rough", "wandering", "train_left", "train_end", "parted",
)  # fmt: skip
FAR = 9.0  # a share beyond it says no more than this
UNKNOWN = -10.0  # for a quantity of a training curve that is not there

Tree = Any  # a list as above, or a mapping from label to share


def quantities(curve: Curve) -> dict[str, float]:
    """What the trees may ask of a curve, by name."""
    found = {name: float(getattr(curve, name)) for name in QUANTITIES}
    return {name: UNKNOWN if math.isnan(v) else min(max(v, -FAR), FAR) for name, v in found.items()}


def vote(curve: Curve, trees: Sequence[Tree] | None = None) -> str:
    """The label with the largest share over all trees; of equal ones the first by name."""
    values = quantities(curve)
    shares: Counter[str] = Counter()
    for tree in _fitted() if trees is None else trees:
        shares.update(_leaf(tree, values))
    return min(shares, key=lambda label: (-shares[label], label))


def _leaf(tree: Tree, values: Mapping[str, float]) -> Mapping[str, float]:
    while isinstance(tree, list):
        name, limit, below, above = tree
        tree = below if values[name] <= limit else above
    return tree  # type: ignore[no-any-return]


@cache
def _fitted() -> Sequence[Tree]:
    return json.loads(FILE.read_text())["trees"]  # type: ignore[no-any-return]
