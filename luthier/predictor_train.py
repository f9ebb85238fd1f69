"""Trains a predictor on logs and evaluates it on held-out folds; what is done stays when it is stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from .predictor import card as cards
from .predictor.ability import Ability, Rasch
from .predictor.baselines import GradientBoosting, LogisticRegression, Majority, SuiteMean
from .predictor.card import Card, Figure
from .predictor.checkpoint import Stored, save
from .predictor.design import AXES, DEFAULT
from .predictor.embeddings import embed, texts_of
from .predictor.encoding import Encoder
from .predictor.errors import CheckpointFault
from .predictor.estimator import Progress
from .predictor.evaluation import HeldOut, Make, figures, hold_out, why_not
from .predictor.logs import Logs
from .predictor_open import KeptFolds, embedding_file

SPLITS = ("pair", "task", "workflow")  # without `suite`, where it abstains


@dataclass(frozen=True)
class Evaluation:
    """Figures by split, and why other splits have none."""

    figures: list[Figure]
    left_out: dict[str, str]


def embed_texts(logs: Logs, encoder: Encoder, progress: Progress) -> None:
    """Embed what the predictor will read, once for all folds and all later runs."""
    file = embedding_file(encoder) if encoder.size else None
    embed(encoder, texts_of(logs, DEFAULT), file, progress)


def models_of(encoder: Encoder, axes: int) -> Mapping[str, Make]:
    """Ours and what it has to beat."""
    return {
        "majority": Majority,
        "suite mean": SuiteMean,
        "Rasch": Rasch,
        "logistic": partial(LogisticRegression, encoder),
        "boosting": partial(GradientBoosting, encoder),
        "luthier": partial(Ability, encoder, axes=axes),
    }


def evaluate(
    logs: Logs,
    encoder: Encoder,
    splits: Sequence[str],
    *,
    folds: int,
    seed: int,
    kept: Path,
    progress: Progress,
    axes: int = AXES,
) -> Evaluation:
    """Figures on held-out folds. Finished folds are taken from the folder `kept`, and go there."""
    folder = KeptFolds(kept / _run_hash(logs, encoder, folds, seed, axes))
    found, left = list[Figure](), dict[str, str]()
    for split in splits:
        if reason := why_not(logs, split):
            left[split] = reason
            continue
        held = hold_out(logs, split, models_of(encoder, axes), count=folds, seed=seed, kept=folder, progress=progress)
        progress(f"resampling split {split} for intervals", 0.0)
        found += figures(held, seed=seed)
    return Evaluation(found, left)


def _run_hash(logs: Logs, encoder: Encoder, folds: int, seed: int, axes: int) -> str:
    """What the estimates of a fold depend on; rows in another order are other folds."""
    told = [cards.digests(logs), encoder.name, folds, seed, axes, sorted(DEFAULT), cards.versions()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def kept_folder(out: Path) -> Path:
    """Where the finished folds of a checkpoint's training lie."""
    return out.with_name(f"{out.stem}.folds")


def train(
    logs: Logs,
    encoder: Encoder,
    out: Path,
    *,
    splits: Sequence[str] = SPLITS,
    folds: int = 5,
    seed: int = 0,
    spec: str = "embedded",
    sources: Sequence[str] = (),
    axes: int = AXES,
    progress: Progress,
) -> Card:
    """Embed, evaluate, fit on everything, and write the checkpoint with its card.

    Args:
        splits: to evaluate; none for no evaluation.
        spec: how the embedder is asked for.
        sources: of the logs, in words.
        axes: directions of a text that are kept; fewer make a smaller checkpoint.
    """
    began = time.monotonic()
    embed_texts(logs, encoder, progress)
    kept = kept_folder(out)
    done = evaluate(logs, encoder, splits, folds=folds, seed=seed, kept=kept, progress=progress, axes=axes)
    progress("fitting on everything", 0.0)
    ability = Ability(encoder, axes=axes).fit(logs)
    card = _card(logs, ability, out.stem, done, folds=folds, seed=seed, seconds=time.monotonic() - began)
    card = card.model_copy(update={"sources": list(sources)})
    save(ability, out, card, spec=spec)
    shutil.rmtree(kept, ignore_errors=True)
    return card


def try_on(stored: Stored, ability: Ability, logs: Logs, seed: int = 0) -> Evaluation:
    """Figures of a checkpoint on logs that it has not learnt from, by what is new about a pair.

    Raises:
        CheckpointFault: these are the logs that it learnt from.
    """
    if cards.data_hash(logs) == stored.card.data_hash:
        raise CheckpointFault(
            f"{stored.path}: a predictor must be judged by other logs than those it learnt from, but these are the "
            "same; name others by --on, or evaluate by folds: luthier predictor evaluate SOURCE"
        )
    new_suite, new_graph = ability.design.unseen(logs)
    new_task = ability.design.tasks(logs)[0] < 0
    said = ability.predict(logs).probability
    rows = {"task": new_task & ~new_graph, "workflow": new_graph & ~new_task, "suite": new_suite}
    found, left = list[Figure](), dict[str, str]()
    rows = {split: inside & (new_suite if split == "suite" else ~new_suite) for split, inside in rows.items()}
    for split, inside in rows.items():
        if inside.any():
            found += figures(HeldOut(split, logs.take(inside), {"luthier": said[inside]}), seed=seed)
        else:
            left[split] = "the logs have no such pair"
    seen = len(logs) - int(np.any(list(rows.values()), axis=0).sum())
    if seen:
        left["pair"] = f"{seen:,} pairs have a known task with a known workflow, or neither is known"
    return Evaluation(found, left)


def _card(logs: Logs, ability: Ability, name: str, done: Evaluation, *, folds: int, seed: int, seconds: float) -> Card:
    encoder, priors = ability.design.encoder, ability.priors
    cannot = [*cards.CANNOT]
    if not encoder.size:
        cannot.append(cards.NO_TEXTS)
    if not done.figures:
        cannot.append(cards.NO_FIGURES)
    return Card(
        name=name,
        data_hash=cards.data_hash(logs),
        counts=cards.counts_of(logs),
        suites=list(ability.design.suites),
        parts=sorted(ability.design.parts),
        settings={
            "heavy": ability.heavy,
            "axes": ability.design.axes,
            "degrees": priors.degrees,
            "rate": priors.rate,
        },
        embedder=encoder.name,
        seed=seed,
        folds=folds,
        figures=done.figures,
        left_out=done.left_out,
        versions=cards.versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        cannot=cannot,
    )
