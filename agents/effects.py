"""What the trials say about each hyperparameter: sign, size and certainty. Pure: arrays in, arrays out.

Numbers by Spearman's rank correlation, choices by the correlation ratio of ranks; both with a permutation test, since
ten trials are far from any asymptote.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..trials.records import Direction, Trial
from ..trials.space import Choice, Space
from .context import Effect

MIN_TRIALS = 5  # below, a permutation test cannot reach 5 %
PERMUTATIONS = 400
LEVEL = 0.1  # of the test: agents act on hints, and a tenth of idle hyperparameters will look busy
MAX_TRIALS = 100  # the latest ones; more cost time and change little


def effects(space: Space, trials: Sequence[Trial], direction: Direction) -> list[Effect]:
    """The effect of each hyperparameter on the value, strongest first; the same for any order of `trials`.

    Args:
        trials: complete ones count; where a hyperparameter is inactive its trial does not.
    """
    done = sorted((t for t in trials if t.state == "complete" and t.value is not None), key=lambda t: t.number)
    found = [_effect(space, name, done[-MAX_TRIALS:], direction) for name in space]
    return sorted(found, key=lambda e: (not e.certain, -abs(e.strength), e.name))


def _effect(space: Space, name: str, done: Sequence[Trial], direction: Direction) -> Effect:
    active = [t for t in done if name in t.config]
    values = np.array([direction.sign * float(t.value or 0.0) for t in active])
    parameter = space[name]
    x = np.array([parameter.to_unit(t.config[name]) for t in active])
    if len(active) < MIN_TRIALS or len(set(x.tolist())) < 2 or len(set(values.tolist())) < 2:
        return _unknown(name, len(active))
    if isinstance(parameter, Choice):
        strength, p = _by_choice(x, values)
        best = max(set(x.tolist()), key=lambda u: float(np.mean(values[x == u])))
        word = f"{name}={parameter.from_unit(best)} looks best"
    else:
        strength, p = _by_rank(x, values)
        word = f"{'higher' if strength > 0 else 'lower'} {name} looks better"
    if p > LEVEL:
        return _unknown(name, len(active), strength, p)
    size = "strongly" if abs(strength) > 0.7 else "clearly" if abs(strength) > 0.5 else "weakly"
    text = f"{word}, {size} (r={strength:+.2f}, p={p:.2f}, {len(active)} trials)"
    return Effect(name=name, strength=strength, p_value=p, trials=len(active), text=text, certain=True)


def _unknown(name: str, trials: int, strength: float = 0.0, p: float = 1.0) -> Effect:
    text = f"effect of {name} unknown"
    return Effect(name=name, strength=strength, p_value=p, trials=trials, text=text, certain=False)


def _by_rank(x: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation of shape-(n,) arrays and its two-sided permutation p-value."""
    a, b = _standard(_ranks(x)), _standard(_ranks(values))
    strength = float(a @ b) / len(a)
    shuffled = _shuffles(b) @ a / len(a)
    return strength, _p_value(np.abs(shuffled), abs(strength))


def _by_choice(x: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The correlation ratio of ranks over groups, in [0, 1], and its permutation p-value."""
    ranks = _standard(_ranks(values))
    groups = np.stack([x == u for u in sorted(set(x.tolist()))]).astype(float)  # (n_groups, n)
    sizes = groups.sum(axis=1)

    def ratio(rows: np.ndarray) -> np.ndarray:  # (n_permutations, n) -> (n_permutations,)
        means = rows @ groups.T / sizes
        return np.asarray(np.sqrt((means**2 * sizes).sum(axis=1) / len(x)))

    strength = float(ratio(ranks[None, :])[0])
    return strength, _p_value(ratio(_shuffles(ranks)), strength)


def _p_value(shuffled: np.ndarray, strength: float) -> float:
    # The observed order is one of the possible ones: counting it keeps p above zero.
    return float((np.sum(shuffled >= strength - 1e-12) + 1) / (len(shuffled) + 1))


def _shuffles(values: np.ndarray) -> np.ndarray:
    """Permutations of a shape-(n,) array, shape (PERMUTATIONS, n); the same each time."""
    return np.asarray(values[_orders(len(values))])


@lru_cache(maxsize=4)  # hyperparameters have nearly all the same number of trials; an entry takes about a megabyte
def _orders(n: int) -> np.ndarray:
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)
    orders.setflags(write=False)
    return orders


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[inverse], dtype=float)


def _standard(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / values.std())
