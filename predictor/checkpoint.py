"""Trained predictors on disk: numbers, words and nothing that could run.

A file is PyTorch's zip, read with `weights_only`, so that a foreign file cannot execute anything. Vectors of texts are
not in it: whoever asks about a text needs the embedder, which the file names.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from pydantic import ValidationError

from .ability import Ability
from .card import Card
from .design import Design, Scaling
from .encoding import Encoder
from .errors import CheckpointFault
from .mixed import Posterior, Priors

FORMAT, VERSION = "luthier predictor", 1
NAMES = ("suites", "graphs", "models", "operators", "task_keys", "groups")  # of Design, tuples of words
SMALL = ("b", "u", "spread", "block_variance", "group_variance")  # of Posterior, kept in double precision


@dataclass(frozen=True)
class Stored:
    """A checkpoint that was read. `ability` makes it whole, once an embedder is at hand."""

    path: Path
    card: Card
    embedder: str  # the name of what made the vectors; `none`
    spec: str  # how `open_embedder` is asked for it
    state: Mapping[str, Any]

    def ability(self, encoder: Encoder) -> Ability:
        """The predictor.

        Raises:
            CheckpointFault: the encoder has another embedder, or the file does not fit together.
        """
        if encoder.name != self.embedder:
            raise CheckpointFault(
                f"{self.path}: it was trained with the embedder {self.embedder}, but this is {encoder.name}, whose "
                "vectors mean something else; use that one, or train again: luthier predictor train"
            )
        try:
            return _ability(self.state, encoder)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise _damaged(self.path, error) from error


def save(ability: Ability, path: Path, card: Card, *, spec: str = "embedded", half: bool = False) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        spec: how `open_embedder` is asked for the embedder.
        half: keep the large tables in half precision: 450 kB in place of 800 on AFlow's logs, where it moves no
            estimate by 2e-5.

    Raises:
        ValueError: the predictor was not trained.
    """
    import torch

    state = {
        "format": FORMAT,
        "version": VERSION,
        "embedder": ability.design.encoder.name,
        "spec": spec,
        "card": card.model_dump(mode="json"),
        **_state(ability, torch.float16 if half else torch.float32),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read(path: Path) -> Stored:
    """Read a checkpoint. Nothing in it is executed.

    Raises:
        FileNotFoundError: there is none.
        CheckpointFault: it is damaged, holds objects, or has another version.
    """
    import torch

    with path.open("rb") as file:
        whole = zipfile.is_zipfile(file)
    if not whole:
        raise _damaged(path, "it is cut short, or no checkpoint at all")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointFault(
            f"{path}: a checkpoint must hold numbers and words only, but this holds objects that could run code, so it "
            "was not opened; train one of your own: luthier predictor train"
        ) from error
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, AttributeError, TypeError, IndexError) as error:
        raise _damaged(path, error) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise _damaged(path, "it is a file of PyTorch, but no predictor of Luthier")
    if state.get("version") != VERSION:
        raise CheckpointFault(
            f"{path}: this Luthier reads version {VERSION} of checkpoints, but the file has version "
            f"{state.get('version')!r}; train again with this Luthier: luthier predictor train"
        )
    try:
        return Stored(path, Card.model_validate(state["card"]), str(state["embedder"]), str(state["spec"]), state)
    except (KeyError, ValidationError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, why: object) -> CheckpointFault:
    said = " ".join(str(why).split())[:160]
    return CheckpointFault(f"{path}: a checkpoint must be whole, but {said}; train again: luthier predictor train")


def _state(ability: Ability, large: Any) -> dict[str, Any]:
    if ability.posterior is None:
        raise ValueError("only a trained predictor can be saved; call `fit` first")
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
            {"part": part, "suite": suite, **_packed(scaling, large)}
            for (part, suite), scaling in design.scalings.items()
        ],
        **{name: _tensor(getattr(posterior, name)) for name in SMALL},
        "rho": posterior.rho,
        "root": _tensor(_root(posterior.covariance)).to(large),
        "reach": _tensor(reach.data).to(large),
        "reach_columns": _tensor(reach.indices.astype(np.int16 if reach.shape[1] < 2**15 else np.int32)),
        "reach_rows": _tensor(reach.indptr.astype(np.int32)),
    }


def _packed(scaling: Scaling, large: Any) -> dict[str, Any]:
    """A diagonal is kept as such."""
    axes = scaling.axes
    diagonal = axes.shape[0] == axes.shape[1] and not (axes - np.diag(np.diag(axes))).any()
    if diagonal:  # few numbers, whose features may be large
        return {"mean": _tensor(scaling.mean), "diagonal": _tensor(np.diag(axes))}
    return {"mean": _tensor(scaling.mean).to(large), "axes": _tensor(axes).to(large)}


def _root(covariance: np.ndarray) -> np.ndarray:
    """A triangle R with R'R the covariance, row by row; whatever is rounded later, R'R has no negative variance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    triangle = np.linalg.qr(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T).R
    rows, columns = np.triu_indices(len(values))
    return np.asarray(triangle[rows, columns])


def _ability(state: Mapping[str, Any], encoder: Encoder) -> Ability:
    parts, axes = frozenset(map(str, state["parts"])), int(state["axes"])
    priors = Priors(**{str(name): float(value) for name, value in state["priors"].items()})
    ability = Ability(encoder, parts, heavy=bool(state["heavy"]), axes=axes, priors=priors)
    ability.design = Design(
        encoder,
        parts,
        **{name: tuple(map(str, state[name])) for name in NAMES},
        group=_array(state["group"]).astype(int),
        scalings={(str(one["part"]), str(one["suite"])): _unpacked(one) for one in state["scalings"]},
        axes=axes,
    )
    ability.posterior = _posterior(state, width=sum(len(block.columns) for block in ability.blocks()))
    _check(ability)
    return ability


def _unpacked(packed: Mapping[str, Any]) -> Scaling:
    mean = _array(packed["mean"]).astype(float)
    axes = np.diag(_array(packed["diagonal"])) if "diagonal" in packed else _array(packed["axes"]).astype(float)
    if axes.ndim != 2 or mean.shape != axes.shape[:1]:
        raise ValueError(f"a scaling has shapes {mean.shape} and {axes.shape}, which do not fit")
    return Scaling(mean, axes)


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
