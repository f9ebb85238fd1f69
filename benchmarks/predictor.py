"""Compare predictors of workflow success on logged runs: pairs, tasks, workflows and suites that training has not seen.

    python benchmarks/predictor.py --data ../shared/data --splits pair,task,workflow,suite --folds 5 --models all \\
        --json predictor.json

Predictions are kept in a folder beside the result file, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import predictor_folds
from predictor_figures import Figure, Part, chosen_elsewhere, figure, figures, halves_tau, minus, probe_taus
from predictor_models import ABLATIONS, BASELINES, MODELS, OURS
from predictor_probes import CHOSEN, PROBES, probes_alone, probes_knowing
from predictor_runs import Kept, as_estimates, gather, run_all
from predictor_tables import markdown, tables
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from luthier.models.embedder import open_embedder
from luthier.models.errors import ModelError
from luthier.predictor.aflow import DOMAINS, read_aflow
from luthier.predictor.encoding import Encoder
from luthier.predictor.errors import LogFault
from luthier.predictor.logs import Logs
from luthier.predictor.splits import FOLDS, SPLITS, folds

SHOWN = (
    "auc",
    "auc-within",
    "auc-within-in-fold",
    "auc-minus-best",
    "auc-minus-chosen",
    "calibration-error",
    "calibration-error-by-chance",
    "log-loss",
    "kendall-tau",
    "kendall-tau-in-fold",
    "top-1-regret",
    "utility",
)
ENDINGS = {f"after {n}{how}": f"-after-{n}{how.replace(' ', '-')}" for n in PROBES for how in ("", CHOSEN)}
ALONE, KNOWING = "probes alone", "probes alone, difficulties known"
HALVES = "all runs on half of the tasks, by the other half"


class BadRequest(ValueError):
    """The command asks for what is not there."""


def domains(logs: Logs) -> dict[str, np.ndarray]:
    """The rows of each domain, and of all together; a suite that has no domain is one by itself."""
    names = np.array([DOMAINS.get(str(suite), str(suite)) for suite in logs.suite], str)
    found = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
    return {**found, "pooled": np.arange(len(logs))} if len(found) > 1 else found


def suites(logs: Logs) -> dict[str, np.ndarray]:
    """The rows of each suite."""
    return {str(suite): np.flatnonzero(logs.suite == suite) for suite in np.unique(logs.suite)}


def evaluate(logs: Logs, dealt: Mapping[str, np.ndarray], models: Sequence[str], kept: Kept) -> Iterator[Figure]:
    """Every figure from kept predictions, split by split."""
    for split, fold in dealt.items():
        arrays = {model: gather(logs, split, fold, model, kept) for model in models}
        found = {model: as_estimates(one) for model, one in arrays.items()}
        simple, parts = {name: found[name] for name in BASELINES if name in found}, domains(logs)
        for domain, rows in parts.items():
            part = Part.of(logs, rows, split)
            yield from figures(part, split, domain, fold, found, BASELINES)
            others = [r for name, r in parts.items() if name not in (domain, "pooled") and domain != "pooled"]
            if OURS in found and (chosen := chosen_elsewhere(logs, others, simple)):
                gap = minus(part, found[OURS], found[chosen], fold)
                yield figure(split, domain, OURS, "auc-minus-chosen", gap)
        if split == "workflow":
            after = {(m, name): a for m, one in arrays.items() for name, a in one.items() if name in ENDINGS}
            for domain, rows in {**suites(logs), **parts}.items():
                yield from probed(logs, Part.of(logs, rows, split), domain, fold, after)


def probed(
    logs: Logs, part: Part, domain: str, fold: np.ndarray, after: Mapping[tuple[str, str], np.ndarray]
) -> Iterator[Figure]:
    """How workflows are ranked after probes.

    Args:
        after: probabilities of all rows by model and ending.
    """
    simple = {ALONE: probes_alone, KNOWING: probes_knowing}
    alone = {(name, f"after {n}"): make(logs, fold, n) for n in PROBES for name, make in simple.items()}
    for (model, name), one in {**after, **alone}.items():
        for metric, drawn in probe_taus(part, one, fold, ENDINGS[name]).items():
            yield figure("workflow", domain, model, metric, drawn)
    yield figure("workflow", domain, HALVES, "kendall-tau", halves_tau(part))


def read_vectors(path: Path) -> dict[str, np.ndarray]:
    """Embeddings of an earlier run."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(zip(map(str, file["keys"]), file["vectors"], strict=True))


def prepared(args: argparse.Namespace, logs: Logs, console: Console) -> Encoder:
    """An encoder that has seen every text, with its vectors in a file beside the result."""
    path = args.json.with_name(f"{args.json.stem}.embeddings.npz")
    encoder = Encoder(open_embedder(args.embedder), read_vectors(path))
    before = len(encoder.known)
    nodes = {text for w in logs.workflows for text in w.nodes}
    texts = sorted(nodes | {text for task in logs.tasks for text in (task.text, task.context)})
    for start in track(range(0, len(texts), 16), "embedding", console=console, transient=True):
        encoder.texts(texts[start : start + 16])
    if len(encoder.known) > before:
        np.savez(path, keys=np.array(list(encoder.known)), vectors=np.array(list(encoder.known.values())))
    return encoder


def dealt(args: argparse.Namespace, logs: Logs) -> dict[str, np.ndarray]:
    """The fold of each row on each split asked for: of the project's file, or dealt anew for another number."""
    if args.folds == FOLDS:
        return {split: predictor_folds.read(logs, split) for split in args.splits}
    return {split: folds(logs, split, args.folds) for split in args.splits}


def check(args: argparse.Namespace) -> None:
    """Raises BadRequest for names that do not exist."""
    groups = {"all": list(MODELS), "ablations": list(ABLATIONS)}
    args.models = list(dict.fromkeys(name for asked in args.models for name in groups.get(asked, [asked])))
    models = {**MODELS, **ABLATIONS}
    asked = (("split", args.splits, SPLITS), ("model", args.models, models), ("model", args.redo, models))
    for what, names, known in asked:
        wrong = [name for name in names if name not in known]
        if wrong:
            raise BadRequest(f"a {what} must be one of {', '.join(known)}, but got {', '.join(wrong)}")


def benchmark(args: argparse.Namespace, console: Console) -> list[Figure]:
    """Train what is not kept, then count."""
    check(args)
    logs = read_aflow(args.data / "aflow_runs")
    if args.make_folds:
        predictor_folds.FILE.write_text(json.dumps(predictor_folds.make(logs), indent=1) + "\n")
    fold = dealt(args, logs)
    kept = Kept(args.json.with_name(f"{args.json.stem}.predictions"), args.redo)
    models = {name: {**MODELS, **ABLATIONS}[name] for name in args.models}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    total = len(models) * sum(len(np.unique(one)) for one in fold.values())
    jobs = run_all(logs, fold, models, prepared(args, logs, console), kept)
    for _ in track(jobs, "training", total=total, console=console, transient=True):
        pass
    found = evaluate(logs, fold, args.models, kept)
    return list(track(found, "counting", console=console, transient=True))


def write(path: Path, found: Sequence[Figure]) -> None:
    """The list that other programs read; null where there is no value."""
    rows = [{k: None if v != v else v for k, v in asdict(one).items()} for one in found]
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""

    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with aflow_runs")
    parser.add_argument("--splits", type=names, default=list(SPLITS), help="default: all four")
    parser.add_argument("--folds", type=int, default=FOLDS, help="another number than %(default)s is dealt anew")
    parser.add_argument(
        "--models", type=names, default=["all"], help=f"of {', '.join(MODELS)}, all of these, ablations; default all"
    )
    parser.add_argument("--redo", type=names, default=[], help="models to train again, as after a change of their code")
    parser.add_argument("--json", type=Path, default=Path("predictor.json"), help="result file (%(default)s)")
    parser.add_argument("--embedder", default="embedded", help="as in `luthier` (%(default)s)")
    parser.add_argument("--metrics", type=names, default=list(SHOWN), help="tables to print; `all` for every one")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--make-folds", action="store_true", help="write the fold file anew first")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, print; 2 when the request cannot be met."""
    args, console = parse(argv), Console()
    try:
        with threadpool_limits(1):  # tables and graphs are small: more threads only wait for each other
            found = benchmark(args, console)
    except (BadRequest, LogFault, ModelError, predictor_folds.WrongFolds, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    write(args.json, found)
    shown = (
        []
        if args.metrics == ["all"]
        else [*args.metrics, *(f"{m}{ending}" for m in args.metrics if "tau" in m for ending in ENDINGS.values())]
    )
    for table in tables(found, shown):
        console.print(markdown(table) if args.markdown else table, soft_wrap=args.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
