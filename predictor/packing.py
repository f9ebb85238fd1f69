"""A trained predictor as tensors, numbers and words, and back: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from .ability import Ability
from .design import Design
from .encoding import Encoder
from .mixed import Posterior, Priors
from .scaling import Scaling

NAMES = ("suites", "graphs", "models", "operators", "task_keys", "groups", "apart")  # of Design, tuples of words
SMALL = ("b", "u", "spread", "block_variance", "group_variance")  # of Posterior, kept in double precision


def state_of(ability: Ability, large: Any) -> dict[str, Any]:
    """All that a trained predictor knows, as tensors, numbers and words.

    Args:
        large: the type of the large tables, `torch.float32` or `torch.float16`.

    Raises:
        ValueError: it was not trained, or adds something to `Ability` that would be lost.
    """
    if ability.posterior is None:
        raise ValueError("only a trained predictor can be saved; call `fit` first")
    if type(ability).logit is not Ability.logit:  # else half of it would be lost without a word
        raise ValueError(f"a checkpoint holds an `Ability` alone, but this is a {type(ability).__name__}")
    design, posterior = ability.design, ability.posterior
    reach = sp.csr_matrix(posterior.reach)
    return {
        "parts": sorted(design.parts),
        "heavy": ability.heavy,
        "axes": design.axes,
        "priors": {"degrees": ability.priors.degrees, "rate": ability.priors.rate},
        **{name: list(getattr(design, name)) for name in NAMES},
        "group": _tensor(design.group),
        "scalings": [
            {"part": part, "scope": scope, **_packed(scaling, large)}
            for (part, scope), scaling in design.scalings.items()
        ],
        **{name: _tensor(getattr(posterior, name)) for name in SMALL},
        "rho": posterior.rho,
        "root": _tensor(_root(posterior.covariance)).to(large),
        "reach": _tensor(reach.data).to(large),
        "reach_columns": _tensor(reach.indices.astype(np.int16 if reach.shape[1] < 2**15 else np.int32)),
        "reach_rows": _tensor(reach.indptr.astype(np.int32)),
    }


def _packed(scaling: Scaling, large: Any) -> dict[str, Any]:
    """One feature a column is kept as such: few numbers, whose features may be large."""
    axes, each = scaling.axes, bool(((scaling.axes != 0).sum(axis=0) == 1).all())
    kind = _tensor(scaling.mean).dtype if each else large
    means = {suite: _tensor(mean).to(kind) for suite, mean in scaling.means.items()}
    found = {"mean": _tensor(scaling.mean).to(kind), "means": means}
    if each:
        return {**found, "rows": _tensor(np.argmax(axes != 0, axis=0)), "weights": _tensor(axes.sum(axis=0))}
    return {**found, "axes": _tensor(axes).to(large)}


def _root(covariance: np.ndarray) -> np.ndarray:
    """A triangle R with R'R the covariance, row by row; whatever is rounded later, R'R has no negative variance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    triangle = np.linalg.qr(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T).R
    rows, columns = np.triu_indices(len(values))
    return np.asarray(triangle[rows, columns])


def ability_of(state: Mapping[str, Any], encoder: Encoder) -> Ability:
    """The predictor again.

    Raises:
        KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError: the state does not fit together.
    """
    parts, axes = frozenset(map(str, state["parts"])), int(state["axes"])
    priors = Priors(**{str(name): float(value) for name, value in state["priors"].items()})
    ability = Ability(encoder, parts, heavy=bool(state["heavy"]), axes=axes, priors=priors)
    ability.design = Design(
        encoder,
        parts,
        **{name: tuple(map(str, state[name])) for name in NAMES},
        group=_array(state["group"]).astype(int),
        scalings={(str(one["part"]), str(one["scope"])): _unpacked(one) for one in state["scalings"]},
        axes=axes,
    )
    ability.posterior = _posterior(state, width=sum(len(block.columns) for block in ability.blocks()))
    _check(ability)
    return ability


def _unpacked(packed: Mapping[str, Any]) -> Scaling:
    mean = _array(packed["mean"]).astype(float)
    if "rows" in packed:
        rows, weights = _array(packed["rows"]).astype(int), _array(packed["weights"]).astype(float)
        axes = np.zeros((len(mean), len(rows)))
        axes[rows, np.arange(len(rows))] = weights
    else:
        axes = _array(packed["axes"]).astype(float)
    means = {str(suite): _array(one).astype(float) for suite, one in packed["means"].items()}
    if axes.ndim != 2 or any(one.shape != axes.shape[:1] for one in (mean, *means.values())):
        raise ValueError(f"a scaling has shapes {mean.shape} and {axes.shape}, which do not fit")
    return Scaling(mean, axes, means)


def _posterior(state: Mapping[str, Any], width: int) -> Posterior:
    small = {name: _array(state[name]).astype(float) for name in SMALL}
    root = np.zeros((width, width))
    rows, columns = np.triu_indices(width)
    if len(state["root"]) != len(rows):
        raise ValueError(f"its covariance has {len(state['root'])} numbers, where {len(rows)} are needed")
    root[rows, columns] = _array(state["root"]).astype(float)
    sparse = (
        _array(state["reach"]).astype(float),
        _array(state["reach_columns"]).astype(np.int32),
        _array(state["reach_rows"]).astype(np.int32),
    )
    reach = sp.csr_matrix(sparse, shape=(len(state["task_keys"]), width))
    reach.check_format(full_check=True)
    return Posterior(**small, covariance=root.T @ root, reach=reach.toarray(), rho=float(state["rho"]))


def _check(ability: Ability) -> None:
    posterior, design, blocks = ability.posterior, ability.design, ability.blocks()
    assert posterior is not None
    tasks, groups, width = len(design.task_keys), len(design.groups), len(posterior.covariance)
    wanted = {"b": width, "u": tasks, "spread": tasks, "block_variance": len(blocks), "group_variance": groups}
    for name, length in wanted.items():
        if getattr(posterior, name).shape != (length,):
            raise ValueError(f"`{name}` has shape {getattr(posterior, name).shape}, where ({length},) is needed")
    if design.group.shape != (tasks,) or (design.group < 0).any() or (design.group >= groups).any():
        raise ValueError("the groups of its tasks do not fit")
    held = (posterior.b, posterior.u, posterior.spread, posterior.covariance, posterior.reach, posterior.block_variance)
    if not all(np.isfinite(array).all() for array in held):
        raise ValueError("it holds numbers that are not finite")


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array).copy())


def _array(tensor: Any) -> np.ndarray:
    """A tensor as an array. Raises ValueError for one that claims more numbers than the file holds."""
    if not tensor.is_contiguous() or tensor.is_sparse or tensor.is_quantized:
        raise ValueError("a table in it is no plain one")
    return np.asarray(tensor.detach().numpy())
