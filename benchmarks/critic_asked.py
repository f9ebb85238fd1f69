"""What a language model says of a sample of the steps: worth a trial or not, alone and with the step before.

    python benchmarks/critic_asked.py --data ../shared/data --runs critic_runs.jsonl --out critic_asked.jsonl

As many steps that were worth it as not, from each suite alike, mending steps among both. Answers are kept in the file,
so a killed run goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from critic_runs import load
from critic_table import gain
from critic_worlds import Offer, Walk

from luthier.agents.critic import model_scores
from luthier.agents.summarizer import summarize
from luthier.models.caller import Caller
from luthier.models.open import open_model
from luthier.predictor.step_features import FEATURES, Stand

EACH = 4  # steps of a suite of each kind: worth it or not, mending or not
LATEST = 30  # trial; the product is made for few
SEED = 7
PATIENCE = 1200.0  # seconds for one question: the machine may be busy


def cases(walks: Sequence[Walk]) -> Iterator[tuple[Walk, int, Offer, bool]]:
    """The sample: (walk, number of the trial, what could run, whether it was worth it), the same at each call."""
    suites = sorted({w.suite for w in walks})
    order = np.random.default_rng(SEED).permutation(len(walks))
    wanted = {(s, worth, mends): EACH for s in suites for worth in (True, False) for mends in (True, False)}
    for place in order.tolist():
        walk = walks[place]
        rng = np.random.default_rng([SEED, place])
        number = int(rng.integers(3, min(len(walk.trials), LATEST)))
        stand = Stand(walk.space, walk.trials[:number], walk.direction, walk.metric)
        if stand.best is None:
            continue
        ran = walk.trials[number]
        options = [Offer(ran.config, ran.value, ran.source), *walk.offers.get(number, [])]
        for i in rng.permutation(len(options)).tolist():
            worth = gain(walk, options[i], stand) > 1
            mends = bool(stand.features(options[i].config)[FEATURES.index("mends")])
            if wanted[walk.suite, worth, mends] > 0:
                wanted[walk.suite, worth, mends] -= 1
                yield walk, number, options[i], worth
                break  # one step of a walk
    return


def main() -> None:
    """Ask, one line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    args = parser.parse_args()
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    done = {(row["walk"], row["index"]) for row in map(json.loads, lines)}
    walks = load(args.runs, args.data)
    chosen = list(cases(walks))
    print(f"{len(chosen)} cases")
    model = open_model(args.model)
    if model is None:
        parser.error("a model is needed, but got none")
    caller = Caller(model, name=args.model, timeout=PATIENCE)
    for walk, number, offer, worth in chosen:
        if (walk.id, number) in done:
            continue
        trials = walk.trials[:number]
        context = summarize(
            name=walk.suite, space=walk.space, trials=trials, direction=walk.direction, metric=walk.metric
        )
        step, pair = model_scores(offer.config, context, walk.space, trials, caller)
        row = {"walk": walk.id, "suite": walk.suite, "index": number, "source": offer.source, "worth": worth}
        with args.out.open("a") as file:
            file.write(json.dumps({**row, "config": dict(offer.config), "step": step, "pair": pair}) + "\n")
        print(walk.id, number, worth, step, pair, flush=True)


if __name__ == "__main__":
    main()
