"""Does the predictor know anything of tuning workflows? Trained on the states of one suite, asked about another's.

    python benchmarks/tuning_prior.py both-arms

`both-arms` is what `both_arms.py` wrote, a folder a suite. Beside ours: the suite's mean, Rasch, and even odds, which
are what gate 1 starts from without a predictor. A tie with the advisors is half a success. Intervals resample studies.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from stats import bootstrap

from luthier.models.embedder import open_embedder
from luthier.predictor.ability import Ability, Rasch
from luthier.predictor.baselines import SuiteMean
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimator
from luthier.predictor.logs import Logs
from luthier.predictor.sources import read_source
from luthier.predictor_open import with_known

AXES = 8  # as in the one that ships
ADVISORS = "advisors"


def asked(logs: Logs) -> Logs:
    """Without the advisors against themselves, which nobody asks about."""
    names = np.array([logs.workflows[w].id.split("/")[0] for w in logs.workflow])
    return logs.take(names != ADVISORS)


def told(train: Logs, test: Logs, encoder: Encoder) -> Mapping[str, np.ndarray]:
    """What each model says of the other suite's states."""
    models: dict[str, Estimator] = {"suite mean": SuiteMean(), "rasch": Rasch(), "luthier": Ability(encoder, axes=AXES)}
    said = {name: model.fit(train).predict(test).probability for name, model in models.items()}
    return {"even odds": np.full(len(test), 0.5), **said}


def studies(logs: Logs) -> np.ndarray:
    """The study of each pair: its task's id without the trial."""
    return np.array([logs.tasks[t].id.rpartition("/")[0] for t in logs.task])


def by_study(values: np.ndarray, study: np.ndarray) -> list[float]:
    """The mean of each study."""
    return [float(values[study == one].mean()) for one in np.unique(study)]


def rows(name: str, train: Logs, test: Logs, encoder: Encoder) -> Iterator[list[str]]:
    """A row a model: its squared error, and the difference to the suite's mean."""
    said, study = told(train, test, encoder), studies(test)
    error = {model: (p - test.frequency) ** 2 for model, p in said.items()}
    for model, p in said.items():
        mean = float(error[model].mean())
        gap = bootstrap(by_study(error[model] - error["suite mean"], study))
        spread = f"{p.min():.2f} to {p.max():.2f}"
        yield [
            name,
            model,
            f"{mean:.4f}",
            f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]",
            f"{p.mean():.2f}",
            spread,
        ]


def main() -> None:
    """Each suite in turn is the one that is asked about."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, help="the folder that both_arms.py wrote")
    parser.add_argument("--embedder", default="embedded", help="as in `luthier` (%(default)s)")
    args = parser.parse_args()
    encoder, console = with_known(Encoder(open_embedder(args.embedder))), Console()
    parts = {place.name: asked(read_source(place).logs) for place in sorted(args.logs.iterdir()) if place.is_dir()}
    table = Table("trained on", "model", "Brier", "minus suite mean", "mean", "said", title="another suite's states")
    for test in parts:
        for name, train in parts.items():
            if name != test:
                for row in rows(f"{name}, asked about {test} ({len(parts[test])})", train, parts[test], encoder):
                    table.add_row(*row)
    console.print(table)
    for name, logs in parts.items():
        for workflow, value in _rates(logs):
            console.print(f"{name}: {workflow} {value}", highlight=False)


def _rates(logs: Logs) -> Iterator[tuple[str, str]]:
    """Of each workflow, how often it won, a tie being half, with its interval over studies."""
    names, study = np.array([logs.workflows[w].id.split("/")[0] for w in logs.workflow]), studies(logs)
    for name in dict.fromkeys(names.tolist()):
        inside = names == name
        yield name, f"{bootstrap(by_study(logs.frequency[inside], study[inside]))} in {inside.sum()} states"


if __name__ == "__main__":
    main()
