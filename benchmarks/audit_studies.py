"""Studies with a gate that makes known mistakes, simulated many at once on tables of what configurations are worth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import suite_lcbench
import suite_taskset
from suites import need

from luthier.predictor.audits import CAP, MAX_SKIPS, Audit, Facts, Ran, Skip
from luthier.predictor.gain import UNKNOWN_SCALE

# How far the gate errs about a value, in interquartile ranges of the task's values; None refuses half at random.
GATES: Mapping[str, float | None] = {"sharp": 0.2, "blurred": 1.0, "blind": None}
TRIALS = 20
SEED = 0  # of the configurations on LCBench
RATE = 0.05
POINTS = 2_000  # of a task of LCBench
ADVISED = 0.5  # share of candidates from the best quarter
GUESS = (0.5, 0.3)  # of seconds: the spread of the gate's factor over studies, and over candidates, as logarithms
AT_ONCE = 4_000  # studies


@dataclass(frozen=True)
class Studies:
    """Tasks to study: what each configuration is worth, higher is better, and its seconds; both (tasks, points)."""

    values: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of_lcbench(cls, data: Path) -> Studies:
        """Random configurations on each data set, by the surrogate."""
        folder = need(data, "yahpo_lcbench")
        codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
        rng = np.random.default_rng(SEED)
        outputs = []
        for name in suite_lcbench.SUITE.tasks(data):
            configs = [suite_lcbench.SPACE.sample(rng) for _ in range(POINTS)]
            numbers = [[suite_lcbench.LAST_EPOCH, *(c[n] for n in suite_lcbench.COLUMNS)] for c in configs]
            inputs = {
                "x_cont": np.array(numbers, dtype=np.float32),
                "x_cat": np.full((POINTS, 1), codes[name], dtype=np.int32),
            }
            outputs.append(suite_lcbench.session(folder / "model.onnx").run(None, inputs)[0])
        found = np.stack(outputs).astype(float)  # (tasks, points, 6)
        return cls(found[:, :, suite_lcbench.ACCURACY], np.maximum(found[:, :, 0], 1.0))

    @classmethod
    def of_taskset(cls, data: Path) -> Studies:
        """All rows of each architecture; nobody measured their seconds."""
        suite = suite_taskset.SUITE
        values = -np.stack([list(suite.task(data, name).reference()) for name in suite.tasks(data)])
        return cls(values, np.zeros_like(values))


@dataclass(frozen=True)
class Refused:
    """Candidates that the gate refused and that were skipped: one array of shape (n,) each."""

    study: np.ndarray
    gain: np.ndarray  # what it would have been, uncapped
    seconds: np.ndarray
    expected: np.ndarray
    first: np.ndarray  # whether it was the first of its trial


@dataclass(frozen=True)
class Pool:
    """Whole studies, as the report sees them, and the truth about what they skipped."""

    facts: Facts
    gain: float
    lost: float
    seconds: float
    wins: int


@dataclass(frozen=True)
class Simulated:
    """Many studies: what was skipped, the audits, and what ran in trials with skips as (study, gain, seconds)."""

    skipped: Refused
    audited: Refused
    instead: tuple[np.ndarray, np.ndarray, np.ndarray]


def simulate(studies: Studies, gate: str, audits: int, rng: np.random.Generator) -> Simulated:
    """As many studies as it takes for so many audits, and some more."""
    parts: list[Simulated] = []
    while (have := sum(len(part.audited.gain) for part in parts)) < 1.2 * audits:
        need = AT_ONCE if not have else int(1.2 * AT_ONCE * len(parts) * (1.2 * audits - have) / have) + 10
        parts.append(_batch(studies, gate, min(need, AT_ONCE), AT_ONCE * len(parts), rng))
    join = np.concatenate
    refused = (
        Refused(*(join([getattr(getattr(p, of), f) for p in parts]) for f in Refused.__annotations__))
        for of in ("skipped", "audited")
    )
    instead = tuple(join([part.instead[i] for part in parts]) for i in range(3))
    return Simulated(next(refused), next(refused), (instead[0], instead[1], instead[2]))


def pools(simulated: Simulated, audits: int) -> Iterator[Pool]:
    """Whole studies, one after another, until there are so many audits; no study is in two pools."""
    each = np.bincount(simulated.audited.study)
    begin, had = 0, 0
    for study, count in enumerate(each):
        had += count
        if had >= audits:
            yield _pool(simulated, begin, study + 1)
            begin, had = study + 1, 0


def _pool(simulated: Simulated, begin: int, end: int) -> Pool:
    skipped, audited = (_within(of, begin, end) for of in (simulated.skipped, simulated.audited))
    inside = (simulated.instead[0] >= begin) & (simulated.instead[0] < end)
    _, gained, took = (of[inside] for of in simulated.instead)
    facts = Facts(
        tuple(
            Audit(str(study), min(gain, CAP), seconds, RATE, expected, first)
            for study, gain, seconds, expected, first in _rows(audited)
        ),
        tuple(Skip(str(study), expected) for study, _, _, expected, _ in _rows(skipped)),
        tuple(Ran("", min(gain, CAP), seconds) for gain, seconds in zip(gained.tolist(), took.tolist(), strict=True)),
    )
    worth = np.minimum(skipped.gain, CAP)
    lost = worth[skipped.first].sum() - np.minimum(gained, CAP).sum()
    return Pool(facts, float(worth.sum()), float(lost), float(skipped.seconds.sum()), int((worth > 0).sum()))


def _within(refused: Refused, begin: int, end: int) -> Refused:
    inside = (refused.study >= begin) & (refused.study < end)
    return Refused(*(getattr(refused, name)[inside] for name in Refused.__annotations__))


def _rows(refused: Refused) -> Iterator[tuple[int, float, float, float, bool]]:
    columns = (getattr(refused, name).tolist() for name in Refused.__annotations__)
    return zip(*columns, strict=True)


def _batch(studies: Studies, gate: str, count: int, numbered_from: int, rng: np.random.Generator) -> Simulated:
    values, task = studies.values, rng.integers(len(studies.values), size=count)
    spread = np.subtract(*np.quantile(values, [0.75, 0.25], axis=1))[task]
    ranked = np.argsort(-values, axis=1)
    slow = rng.lognormal(0.0, GUESS[0], count)  # the gate's factor in each study
    everyone = np.arange(count)
    past = values[task, rng.integers(values.shape[1], size=count)][:, None]  # (studies, trials so far)
    told: dict[str, list[tuple[np.ndarray, ...]]] = {"skipped": [], "audited": [], "instead": []}
    for _ in range(1, TRIALS):
        best, scale = past.max(axis=1), np.subtract(*np.quantile(past, [0.75, 0.25], axis=1))
        open_, skips = np.ones(count, dtype=bool), np.zeros(count, dtype=int)
        ran, took, gained = np.zeros(count), np.zeros(count), np.zeros(count)
        while open_.any():
            point = _candidates(ranked[task], rng)
            value, seconds = values[task, point], studies.seconds[task, point]
            gain, expected = _gain(value, best, scale), seconds * slow * rng.lognormal(0.0, GUESS[1], count)
            refused = _refused(GATES[gate], value, best, spread, rng)
            audit = refused & (rng.random(count) < RATE)
            skip = open_ & refused & ~audit & (skips < MAX_SKIPS)
            for name, which in (("skipped", skip), ("audited", open_ & audit & (skips < MAX_SKIPS))):
                of = (everyone + numbered_from, gain, seconds, expected, skips == 0)
                told[name].append(tuple(column[which] for column in of))
            runs = open_ & ~skip
            ran[runs], took[runs], gained[runs] = value[runs], seconds[runs], gain[runs]
            skips += skip
            open_ &= skip
        after = skips > 0
        told["instead"].append((everyone[after] + numbered_from, gained[after], took[after]))
        past = np.column_stack([past, ran])
    joined = {name: [np.concatenate(column) for column in zip(*parts, strict=True)] for name, parts in told.items()}
    first, second, third = joined["instead"]
    return Simulated(Refused(*joined["skipped"]), Refused(*joined["audited"]), (first, second, third))


def _candidates(ranked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A point for each study, shape (studies,); `ranked` are its points, the best first."""
    count, points = ranked.shape
    most = np.where(rng.random(count) < ADVISED, points // 4, points)
    found: np.ndarray = ranked[np.arange(count), (rng.random(count) * most).astype(int)]
    return found


def _gain(value: np.ndarray, best: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """As `luthier.predictor.gain` without noise, for whole arrays, and uncapped."""
    above = np.maximum(value - best, 0.0)
    share = np.where(scale > 0, above / np.where(scale > 0, scale, 1.0), UNKNOWN_SCALE)
    return np.where(above > 0, share, 0.0)


def _refused(
    error: float | None, value: np.ndarray, best: np.ndarray, spread: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    if error is None:
        return rng.random(len(value)) < 0.5
    return np.asarray(value + rng.normal(0.0, error, len(value)) * spread < best)
