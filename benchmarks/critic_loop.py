"""What a critic does for a planner: whole runs with and without it, the scorer fitted on other suites.

    python benchmarks/critic_loop.py --data ../shared/data --runs critic_runs.jsonl --json critic_loop.json

Each turn a planner ranks what TPE, the local advisor (two moves), a step of `walk` and a random draw propose, in any
order or, the `informed` one, with the truly best first every other time. The critic refuses a plan whose score is
below a share of the score of what would run instead, TPE's or, early, the local candidate; twice, as in the product,
then that runs. Regret: 0 the best of the reference points, 1 their median. Tasks of even place are for choosing the
share (`--tasks tune`), the others for the figures (`--tasks test`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from critic_models import FITS, StepScorer
from critic_runs import SEEDS, load
from critic_table import Rows, kept
from critic_tuners import walked
from critic_worlds import Arena, Offer, arena
from figures import Figure, figure, write
from fit_critic import stored
from methods import quiet
from rich.console import Console
from stats import bootstrap, paired
from suites import find_suite, normaliser

from luthier.predictor.step_reward import StepJudge, StepReward
from luthier.trials.local import LocalAdvisor
from luthier.trials.records import Trial
from luthier.trials.sampling import ask

TRIALS, AT = 20, (10, 20)
STARTUP = 5  # TPE's random trials, in which the local candidate is what runs instead
REVISIONS = 2
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # 0: no critic
Score = Callable[[float, float | None, bool], float]
SCORES: dict[str, Score] = {
    "step": lambda alone, merged, bad: alone,
    "merged": lambda alone, merged, bad: max(alone, merged or 0.0) if bad else alone,
}


def offers(place: Arena, trials: Sequence[Trial], rng: np.random.Generator) -> list[Offer]:
    """What the planner has before it, first what runs instead of a refused plan."""
    import optuna

    space, direction, seed = place.space, place.direction, int(rng.integers(2**31))
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP)
    tpe = [Offer(c, None, "tpe") for c in ask(sampler, space, trials, direction, 1, seed)]
    local = [Offer(c.config, None, "local") for c in LocalAdvisor().advise(space, trials, direction, seed=seed, n=2)]
    first = [*local, *tpe] if len(trials) < STARTUP else [*tpe, *local]
    walk = Offer(walked(space, trials, direction, rng), None, "walk")
    return [*first, walk, Offer(space.sample(rng), None, "random")]


def ranking(place: Arena, found: Sequence[Offer], number: int, informed: bool, rng: np.random.Generator) -> list[int]:
    """The planner's order of the offers."""
    order: list[int] = rng.permutation(len(found)).tolist()
    if informed and rng.random() < 0.5:
        values = [place.run(number, o.config, o.source).value for o in found]
        known = [i for i, v in enumerate(values) if v is not None]
        if known:
            best = max(known, key=lambda i: place.direction.sign * float(values[i] or 0.0))
            order.remove(best)
            return [best, *order]
    return order


@dataclass(frozen=True)
class Arm:
    """A planner with a critic, or without one."""

    informed: bool
    share: float  # of the score of what would run instead, below which a plan is refused; 0 for no critic
    score: str
    scorer: StepReward

    @property
    def name(self) -> str:
        """As it is printed."""
        critic = f"critic by {self.score} at {self.share}" if self.share else "no critic"
        return f"{'informed' if self.informed else 'random'} planner, {critic}"


def arms(scorer: StepReward, shares: Sequence[float]) -> list[Arm]:
    """Both planners, under every critic."""
    found = []
    for informed in (False, True):
        for share in shares:
            found += [Arm(informed, share, score, scorer) for score in (SCORES if share else ("step",))]
    return found


def run(place: Arena, name: str, seed: int, arm: Arm) -> list[float]:
    """The values of one run, NaN for a failed trial."""
    rng = np.random.default_rng([seed, *name.encode()])
    trials = [place.run(0, place.starts[seed % len(place.starts)], "default")]
    for number in range(1, TRIALS):
        found = offers(place, trials, rng)
        chosen = _judged(place, trials, found, ranking(place, found, number, arm.informed, rng), arm)
        trials.append(place.run(number, chosen.config, chosen.source))
    return [float("nan") if t.value is None else t.value for t in trials]


def _judged(place: Arena, trials: Sequence[Trial], found: Sequence[Offer], order: Sequence[int], arm: Arm) -> Offer:
    """The first plan that the critic lets pass; what runs instead where none does."""
    if not arm.share:
        return found[order[0]]
    judge = StepJudge.of(place.space, trials, place.direction, place.metric, arm.scorer)

    def score(offer: Offer) -> float:
        return SCORES[arm.score](judge(offer.config), judge.merged(offer.config), judge.now.outcome < 0)

    least = arm.share * score(found[0])
    return next((found[i] for i in order[: REVISIONS + 1] if score(found[i]) >= least), found[0])


def main() -> None:
    """Run every arm on every task, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--tasks", choices=("tune", "test"), default="test")
    parser.add_argument("--shares", default=",".join(map(str, SHARES)))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="only every n-th of these tasks")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    quiet()
    rows = kept(load(args.runs, args.data), args.table)
    regrets: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    for suite in SEEDS:
        scorer = StepReward.of(stored(fitted(rows, suite)))
        for task in find_suite(suite).tasks(args.data)[args.tasks == "test" :: 2][:: args.every]:
            place = arena(args.data, suite, task)
            regrets[suite, task] = {}
            for arm in arms(scorer, [float(s) for s in args.shares.split(",")]):
                runs = [normaliser(suite, task).regrets(run(place, task, seed, arm)) for seed in range(args.seeds)]
                for at in AT:
                    regrets[suite, task][arm.name, at] = float(np.mean([r[at - 1] for r in runs]))
            print(suite, task, flush=True)
    figures = summary(regrets)
    console = Console(width=160)
    for f in figures:
        if f.suite == "all":
            console.print(f"{f.method:55} {f.metric:25} {f.value:+.3f} [{f.low:+.3f}, {f.high:+.3f}]")
    if args.json:
        write(args.json, figures)


def fitted(rows: Rows, without: str) -> object:
    """A model of all suites but one."""
    return StepScorer.fit(rows.take(rows.suite != without), FITS["trees"], False).model


def summary(regrets: dict[tuple[str, str], dict[tuple[str, int], float]]) -> list[Figure]:
    """Mean regret of each arm, and its paired difference from the same planner without a critic."""
    found = []
    for suite in [*SEEDS, "all"]:
        tasks = [t for t in regrets if suite in ("all", t[0])]
        for arm, at in regrets[tasks[0]] if tasks else []:
            own = [regrets[t][arm, at] for t in tasks]
            base = [regrets[t][arm.partition(",")[0] + ", no critic", at] for t in tasks]
            for name, i in ((f"regret at {at}", bootstrap(own)), (f"regret at {at} - no critic", paired(own, base))):
                found.append(figure(suite, arm, name, i))
    return found


if __name__ == "__main__":
    main()
