"""What refusing plans by a score comes to, one turn at a time: how many of the trials run are worth it.

A planner ranks what is on offer in a state at random or, the `informed` one, with a step that is worth its trial first
every other time. A plan is refused below a share of the score of what would run instead: the local advisor's
candidate, or TPE's. After two more refusals that runs. `critic_loop.py` plays whole runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from critic_table import Rows

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # 0: nothing is refused
ORDERS = 10  # of the planner, drawn for each state
REVISIONS = 2


def turns(rows: Rows) -> list[tuple[np.ndarray, int]]:
    """Each state with three offers or more as its rows and the place among them of what would run instead."""
    state = np.char.add(rows.walk, np.char.add(":", rows.index.astype(str)))
    order = np.argsort(state, kind="stable")
    found = []
    for part in np.split(order, np.flatnonzero(state[order][1:] != state[order][:-1]) + 1):
        fallback = next((i for s in ("bayes", "local", "tpe") for i, r in enumerate(part) if rows.source[r] == s), None)
        if len(part) >= 3 and fallback is not None:
            found.append((part, fallback))
    return found


def worth_it(rows: Rows, score: np.ndarray, shares: Sequence[float] = SHARES) -> dict[str, np.ndarray]:
    """Planner and share -> whether what ran was worth it, a mean over orders, shape (n_states,); states as `turns`."""
    found: dict[str, list[float]] = {f"{p} planner at {s}": [] for p in ("random", "informed") for s in shares}
    rng = np.random.default_rng(0)
    for part, fallback in turns(rows):
        orders = [rng.permutation(len(part)).tolist() for _ in range(ORDERS)]
        good = np.flatnonzero(rows.worth[part]).tolist()
        for planner in ("random", "informed"):
            ranked = orders
            if planner == "informed" and good:
                ranked = [[good[0], *(i for i in o if i != good[0])] if k % 2 else o for k, o in enumerate(orders)]
            for share in shares:
                ran = [_ran(o, score[part], share * score[part[fallback]], fallback) for o in ranked]
                found[f"{planner} planner at {share}"].append(float(np.mean(rows.worth[part[ran]])))
    return {name: np.array(values) for name, values in found.items()}


def _ran(order: Sequence[int], score: np.ndarray, least: float, fallback: int) -> int:
    return next((i for i in order[: REVISIONS + 1] if score[i] >= least), fallback)
