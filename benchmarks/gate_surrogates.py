"""Gate 2 on problems whose answers are known: a tuner with and without it, at an equal number of trials that run.

Every trial there is a full training, so an equal number of runs is an equal budget; judging takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from methods import advisors_with, propose, quiet
from suites import Task, as_trial, find_suite, normaliser, with_default

from luthier.predictor.audits import MAX_SKIPS
from luthier.predictor.no_win import NoWin
from luthier.predictor.trial_gate import LOSES, TrialGate
from luthier.trials.advisor import seed_for
from luthier.trials.records import Candidate, Trial
from luthier.trials.space import Space

TUNERS = ("random", "luthier")
# The tasks that thresholds were chosen on; the others are reported.
DEVELOPMENT = {"lcbench": slice(12, 18), "taskset": slice(0, 4)}
CANDIDATES = 200  # random ones that the no-win estimate is asked about
KNOWN = (10, 25)  # random trials, the default among them, that it learns from


@dataclass(frozen=True)
class Gated:
    """One run: the regret after each trial that ran, and what was skipped on the way."""

    regret: list[float]
    skipped: int


def tasks_of(suite: str, data: Path | None, half: str, most: int) -> list[str]:
    """The first tasks of one half.

    Raises:
        DataMissing: when the suite's data is not there.
    """
    names = find_suite(suite).tasks(data)
    chosen = names[DEVELOPMENT[suite]]
    return (chosen if half == "development" else [name for name in names if name not in chosen])[:most]


def judged(suite: str, data: Path | None, name: str, known: int) -> dict[str, float]:
    """Of random candidates after some trials: the share skipped as no win, and what of all wins and gain that loses."""
    quiet()
    task = _task(suite, data, name)
    start = task.starts("common", 0)[0]
    space, objective = with_default(task.space, start), task.objective()
    rng = np.random.default_rng(seed_for(0, 0, name))
    configs = [start, *(space.sample(rng) for _ in range(known - 1 + CANDIDATES))]
    values = np.array([objective(config) for config in configs])
    trials = [as_trial(i, Candidate(configs[i], ""), values[i]) for i in range(known)]
    found = NoWin(space, task.direction).fit(trials, 0.0).probability(configs[known:])
    gain = np.maximum(task.direction.sign * values[known:] - np.nanmax(task.direction.sign * values[:known]), 0.0)
    gain = np.nan_to_num(gain)
    skipped = np.zeros(CANDIDATES, bool) if found is None else found >= LOSES
    lost = {"wins-lost": (gain > 0), "gain-lost": gain}
    shares = {key: float(of[skipped].sum() / of.sum()) for key, of in lost.items() if of.sum() > 0}
    return {"skipped": float(skipped.mean()), **shares}


def runs(
    suite: str, data: Path | None, names: Sequence[str], tuners: Sequence[str], seeds: int, trials: int
) -> Iterator[tuple[str, str, Gated, Gated]]:
    """Tuner, task, the run without the gate and the one with it, from the same draws."""
    quiet()
    for name in names:
        for seed in range(seeds):
            for tuner in tuners:
                without, gated = (run(suite, _task(suite, data, name), tuner, seed, trials, gate) for gate in (0, 1))
                yield tuner, name, without, gated


@lru_cache(maxsize=2)
def _task(suite: str, data: Path | None, name: str) -> Task:
    return find_suite(suite).task(data, name)


def run(suite: str, task: Task, tuner: str, seed: int, trials: int, gated: int) -> Gated:
    """One run from the task's usual default on."""
    start = task.starts("common", seed)[0]
    space, objective, skipped = with_default(task.space, start), task.objective(), 0
    values: list[float] = []
    done: list[Trial] = []
    for number in range(trials):
        asked = _candidates(tuner, space, task, done, seed) if number else iter([Candidate(start, "default")])
        if gated and number:
            gate = TrialGate(space, task.direction, seed=seed).fit(done, 0.0)
            candidate, skips = _first_worth(gate, asked)
            skipped += skips
        else:
            candidate = next(asked)
        values.append(objective(candidate.config))
        done.append(as_trial(number, candidate, values[-1]))
    return Gated(normaliser(suite, task.name).regrets(values), skipped)


def _first_worth(gate: TrialGate, asked: Iterator[Candidate]) -> tuple[Candidate, int]:
    """The first candidate that the gate lets run, or the most hopeful of those that it refused; and how many it did."""
    refused: list[tuple[float, Candidate]] = []
    for candidate in asked:
        judged = gate.judge(candidate.config)
        if not judged.skip:
            return candidate, len(refused)
        refused.append((judged.no_win or 0.0, candidate))
        if len(refused) > MAX_SKIPS:
            break
    return min(refused, key=lambda pair: pair[0])[1], len(refused) - 1


def _candidates(tuner: str, space: Space, task: Task, done: Sequence[Trial], seed: int) -> Iterator[Candidate]:
    """What the tuner proposes next, and what it proposes when that was refused."""
    for again in range(MAX_SKIPS + 1):
        drawn = seed_for(seed, len(done), f"{task.name} {again}")
        if tuner == "random":
            yield Candidate(space.sample(np.random.default_rng(drawn)), "random")
        else:
            yield propose(advisors_with([]), space, done, task.direction, drawn if again else seed)
