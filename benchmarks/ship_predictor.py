"""Makes the predictor that ships with the package: `predictor/shipped.pt` and its card, `predictor/shipped.md`.

    python benchmarks/ship_predictor.py --data ../shared/data --also benchmarks/both_arms.jsonl.gz

It learns from AFlow's archive, and from other logs that are named with `--also`. The same data and versions give the
same numbers; only the date and the seconds differ. Large tables are kept in half precision, after a check that this
moves no estimate by 0.001.

For a benchmark on a suite of its logs, a version that never saw that suite:

    python benchmarks/ship_predictor.py --data ../shared/data --without GSM8K --out without-gsm8k.pt
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from luthier.models.embedder import open_embedder
from luthier.predictor.checkpoint import read, save
from luthier.predictor.encoding import Encoder
from luthier.predictor.gathering import Gathering
from luthier.predictor.lines import Faults
from luthier.predictor.logs import Logs
from luthier.predictor.sources import read_source
from luthier.predictor.splits import SPLITS, families
from luthier.predictor.study_logs import SUITE
from luthier.predictor_open import with_known
from luthier.predictor_train import train
from luthier.stages import stages

OUT = Path(__file__).parents[1] / "predictor" / "shipped.pt"
AFLOW = "AFlow's archive of workflow runs (arXiv 2410.10762, MIT), in FLORA's schema; that gpt-4o-mini ran is inferred"
BOTH_ARMS = "what workflows would have tried from states of studies on surrogates, by benchmarks/both_arms.py"
SHIPPED = 8  # directions of a text, where a predictor of one's own keeps 20: half the bytes
MOVED = 1e-3  # of a probability: more is not rounding


def main() -> None:
    """Train, evaluate, check, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds aflow_runs")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="more logs, of any kind")
    parser.add_argument("--without", nargs="*", default=[], help="suites to leave out; needs an --out of its own")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    if args.without and args.out.resolve() == OUT.resolve():
        parser.error("a version without a suite must not replace the one that ships; name another file with --out")
    try:
        sources = [args.data / "aflow_runs", *args.also]
        logs = without(together(read_source(source).logs for source in sources), args.without)
    except ValueError as error:
        parser.error(str(error))
    encoder = with_known(Encoder(open_embedder()))
    with stages() as progress:
        told = [AFLOW, *(f"{place.name}: {_told(place)}" for place in args.also)]
        told += [f"left out: {name}" for name in args.without]
        card = train(logs, encoder, args.out, splits=list(SPLITS), sources=told, axes=SHIPPED, progress=progress)
    ability = read(args.out).ability(encoder)
    save(ability, args.out, card, half=True)
    moved = np.abs(ability.predict(logs).probability - read(args.out).ability(encoder).predict(logs).probability).max()
    if moved > MOVED:
        raise SystemExit(f"half precision may move no estimate by {MOVED}, but moves one by {moved:.1e}")
    args.out.with_suffix(".md").write_text(card.markdown() + "\n")
    size = args.out.stat().st_size / 1e3
    print(f"{args.out}: {size:,.0f} kB; half precision moves no estimate by more than {moved:.1e}")


def together(parts: Iterable[Logs]) -> Logs:
    """All logs as one, in their order; runs of a pair add up. Raises LogFault when an id stands for two things."""
    gathering = Gathering(Faults(strict=True))
    for number, logs in enumerate(parts, 1):
        columns = (logs.workflow, logs.task, logs.runs, logs.successes)
        for w, t, runs, successes in zip(*(column.tolist() for column in columns), strict=True):
            gathering.add(f"source {number}", logs.workflows[w], logs.tasks[t], runs, successes)
    return gathering.logs()


def without(logs: Logs, names: Sequence[str]) -> Logs:
    """The logs without these suites and whatever shares tasks with them. Studies of both arms are all of the suite
    `tuning`; what they tune is the beginning of a task's id.

    Raises:
        ValueError: nothing is called so.
    """
    family, first = families(logs), np.array([logs.tasks[t].id.split("/")[0] for t in logs.task], str)
    known = sorted({*map(str, logs.suite), *map(str, first[logs.suite == SUITE])})
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"a suite to leave out must be one of {', '.join(known)}, but got {', '.join(wrong)}")
    out = np.isin(family, family[np.isin(logs.suite, names)]) | ((logs.suite == SUITE) & np.isin(first, names))
    return logs.take(~out)


def _told(place: Path) -> str:
    found = read_source(place)
    both_arms = set(found.logs.suite.tolist()) == {SUITE} and bool((found.logs.runs == 2).all())
    return BOTH_ARMS if both_arms else found.kind


if __name__ == "__main__":
    main()
