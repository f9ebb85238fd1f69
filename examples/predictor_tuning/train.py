"""The predictor's own settings as hyperparameters of a training script, judged on validation folds.

A fifth of the tasks and a fifth of the workflows are the test: no pair with one of them is looked at before the
settings are chosen. What is left is split again, by tasks and by workflows, and each split's folds are held back in
turn. Every fold is a step of the trajectory. Without `--data` the script makes a small file of logs, so that it runs
anywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import luthier
from luthier.models.embedder import open_embedder
from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor import metrics
from luthier.predictor.ability import Ability
from luthier.predictor.design import PARTS
from luthier.predictor.embeddings import EmbeddingFile
from luthier.predictor.encoding import Encoder
from luthier.predictor.logs import Logs
from luthier.predictor.mixed import Priors
from luthier.predictor.own_logs import write_logs
from luthier.predictor.sources import read_source
from luthier.predictor.splits import folds, split_rows
from luthier.predictor.testing import generated

SPLITS = ("task", "workflow")
TEST_FOLDS, TEST_SEED = 5, 41  # fold 0 of each split is the test; one split for every trial
FOLDS, FOLD_SEED = 3, 7  # of the rest
OWN = Path("logs.jsonl")  # in the trial's folder
TASKS, WORKFLOWS = 60, 16  # of the logs that the script makes: a trial takes a few seconds


def main() -> None:
    """Report the mean log loss so far after each fold, and at the end that on the test."""
    args = parse()
    logs, encoder = load(args.data), encoder_of(args.embedder, args.vectors)
    rest, test = apart(logs)
    losses = list[float]()
    for step, (train, held) in enumerate(validation(rest)):
        losses.append(loss(args, encoder, train, held))
        luthier.report(step, val_log_loss=float(np.mean(losses)))
    luthier.report(len(losses) - 1, test_log_loss=loss(args, encoder, rest, test))


def parse() -> argparse.Namespace:
    """The settings. The defaults are those of `luthier predictor train`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="logs that `luthier predictor import` takes")
    parser.add_argument(
        "--embedder", default="words", help="words (no model), embedded, ollama:NAME or openai:NAME@URL"
    )
    parser.add_argument("--vectors", type=Path, help="the folder with the vectors of `luthier predictor train`")
    parser.add_argument("--axes", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--heavy", choices=["yes", "no"], default="yes")
    parser.add_argument("--degrees", type=float, default=3.0)
    parser.add_argument("--surface", choices=["yes", "no"], default="yes")
    parser.add_argument("--text", choices=["yes", "no"], default="yes")
    parser.add_argument("--context", choices=["yes", "no"], default="yes")
    parser.add_argument("--nearness", choices=["yes", "no"], default="yes")
    parser.add_argument("--structure", choices=["yes", "no"], default="yes")
    parser.add_argument("--lineage", choices=["yes", "no"], default="no")
    parser.add_argument("--prompts", choices=["yes", "no"], default="yes")
    parser.add_argument("--models", choices=["yes", "no"], default="yes")
    return parser.parse_args()


def load(data: Path | None) -> Logs:
    """The logs of a source, or small ones that this script makes."""
    if data is None and not OWN.exists():
        write_logs(generated(TASKS, WORKFLOWS), OWN)
    return read_source(OWN if data is None else data).logs


def encoder_of(spec: str, vectors: Path | None) -> Encoder:
    """An encoder, with the vectors that were made earlier; those it makes itself last for this trial."""
    encoder = Encoder(HashEmbedder(64) if spec == "words" else open_embedder(spec))
    if vectors is not None and encoder.size:
        encoder.known.update(EmbeddingFile(vectors, encoder.name, encoder.size).read())
    return encoder


def apart(logs: Logs) -> tuple[Logs, Logs]:
    """What settings may be chosen by, and the test: all pairs with a held-back task or a held-back workflow."""
    held = np.any([folds(logs, split, TEST_FOLDS, TEST_SEED) == 0 for split in SPLITS], axis=0)
    return logs.take(~held), logs.take(held)


def validation(rest: Logs) -> Iterator[tuple[Logs, Logs]]:
    """What to train on and what to judge by, fold by fold of each split."""
    for split in SPLITS:
        fold = folds(rest, split, FOLDS, FOLD_SEED)
        for held in np.unique(fold):
            yield split_rows(rest, fold, int(held))


def loss(args: argparse.Namespace, encoder: Encoder, train: Logs, held: Logs) -> float:
    """Nats a run on what was held back."""
    parts = frozenset(part for part in PARTS if getattr(args, part) == "yes")
    priors = Priors(args.degrees, args.rate)
    ability = Ability(encoder, parts, heavy=args.heavy == "yes", axes=args.axes, priors=priors).fit(train)
    return metrics.log_loss(ability.predict(held).probability, held.frequency, held.runs.astype(float))


if __name__ == "__main__":
    main()
