"""What do other logs do to the predictor's figures on AFlow's? Trained on both, asked about AFlow's held-out parts.

    python benchmarks/predictor_also.py --data ../shared/data --also benchmarks/both_arms.jsonl.gz

8 directions, as in the one that ships; the folds are those of the card. The last rows are "with them" minus "alone",
resampled together: tasks, or graphs where workflows are new.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.table import Table
from ship_predictor import SHIPPED, together

from luthier.models.embedder import open_embedder
from luthier.predictor.ability import Ability
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Progress, silent
from luthier.predictor.evaluation import figures, hold_out
from luthier.predictor.logs import Logs
from luthier.predictor.sources import read_source
from luthier.predictor_open import with_known

FOLDS = 5
SHOWN = ("AUC", "AUC within suites", "Brier")
ALONE, BOTH = "alone", "with them"


class Beside(Ability):
    """Learns from other logs beside those that it is given."""

    def __init__(self, encoder: Encoder, others: Logs) -> None:
        super().__init__(encoder, axes=SHIPPED)
        self._others = others

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """From both."""
        return super().fit(together([logs, self._others]), progress)


def main() -> None:
    """A row a split and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds aflow_runs")
    parser.add_argument("--also", type=Path, required=True, help="the other logs, of any kind")
    parser.add_argument("--splits", default="pair,task,workflow", help="of pair, task, workflow, suite (%(default)s)")
    args = parser.parse_args()
    logs, others = read_source(args.data / "aflow_runs").logs, read_source(args.also).logs
    encoder = with_known(Encoder(open_embedder()))
    models = {ALONE: lambda: Ability(encoder, axes=SHIPPED), BOTH: lambda: Beside(encoder, others)}
    table = Table("split", "model", *SHOWN)
    for split in args.splits.split(","):
        found = figures(hold_out(logs, split, models, count=FOLDS), ours=BOTH)
        for name in dict.fromkeys(figure.model for figure in found):
            told = {f.metric: f"{f.value:.4f} [{f.low:.4f}, {f.high:.4f}]" for f in found if f.model == name}
            table.add_row(split, name, *(told[metric] for metric in SHOWN))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
