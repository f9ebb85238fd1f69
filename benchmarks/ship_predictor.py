"""Makes the predictor that ships with the package: `predictor/shipped.pt` and its card, `predictor/shipped.md`.

    python benchmarks/ship_predictor.py --data ../shared/data

It learns from AFlow's archive, and from other logs that are named with `--also`. The same data and versions give the
same numbers; only the date and the seconds differ. Large tables are kept in half precision, after a check that this
moves no estimate by 0.001.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from luthier.models.embedder import open_embedder
from luthier.predictor.checkpoint import read, save
from luthier.predictor.encoding import Encoder
from luthier.predictor.logs import Logs
from luthier.predictor.own_logs import write_logs
from luthier.predictor.sources import read_source
from luthier.predictor.splits import SPLITS
from luthier.predictor_open import with_known
from luthier.predictor_train import train
from luthier.stages import stages

OUT = Path(__file__).parents[1] / "predictor" / "shipped.pt"
AFLOW = "AFlow's archive of workflow runs (arXiv 2410.10762, MIT), in FLORA's schema; that gpt-4o-mini ran is inferred"
SHIPPED = 8  # directions of a text, where a predictor of one's own keeps 20: half the bytes
MOVED = 1e-3  # of a probability: more is not rounding


def main() -> None:
    """Train, evaluate, check, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds aflow_runs")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="more logs, of any kind")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    logs, encoder = together([args.data / "aflow_runs", *args.also]), with_known(Encoder(open_embedder()))
    with stages() as progress:
        sources = [AFLOW, *(f"{place.name}: {read_source(place).kind}" for place in args.also)]
        card = train(logs, encoder, args.out, splits=list(SPLITS), sources=sources, axes=SHIPPED, progress=progress)
    ability = read(args.out).ability(encoder)
    save(ability, args.out, card, half=True)
    moved = np.abs(ability.predict(logs).probability - read(args.out).ability(encoder).predict(logs).probability).max()
    if moved > MOVED:
        raise SystemExit(f"half precision may move no estimate by {MOVED}, but moves one by {moved:.1e}")
    args.out.with_suffix(".md").write_text(card.markdown() + "\n")
    size = args.out.stat().st_size / 1e3
    print(f"{args.out}: {size:,.0f} kB; half precision moves no estimate by more than {moved:.1e}")


def together(sources: list[Path]) -> Logs:
    """All sources as one."""
    with tempfile.TemporaryDirectory() as folder:
        for number, source in enumerate(sources):
            write_logs(read_source(source).logs, Path(folder) / f"{number}.jsonl")
        return read_source(Path(folder)).logs


if __name__ == "__main__":
    main()
