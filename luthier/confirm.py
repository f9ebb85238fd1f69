"""Is the best configuration really better than the default? Both run again on fresh seeds.

The winner of a search is chosen for its luck as well as its merit, so its own trial proves little.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .trials.processes import end_recorded
from .trials.records import Config, Direction, Outcome, State, Trial, best_trial
from .trials.runner import Runner
from .trials.study import Study

FIRST_SEED = 1000  # far from the seeds that trials and noise runs use
LEVEL = 0.95  # of every interval
CLOSE = 2.0  # deviations of the noise within which the next best may be as good as the default


@dataclass(frozen=True)
class Comparison:
    """A trial against the default on one metric over paired seeds. `low`..`high` bounds the mean paired gain."""

    metric: str
    challenger: list[float]
    default: list[float]
    gain: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `tie`: a tie whenever the interval holds zero."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "tie"


@dataclass(frozen=True)
class Confirmation:
    """The comparisons of one trial with the default, and how many of the runs failed."""

    trial: int
    seeds: list[int]
    comparisons: list[Comparison]
    failed: int = 0


def paired_interval(gains: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Student's interval for the mean of paired gains, shape (n_seeds,).

    One pair bounds nothing: the interval is infinite. Pairs without spread give their mean twice.
    """
    from scipy import stats

    n = len(gains)
    if n < 2:
        return -math.inf, math.inf
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return mean - half, mean + half


def compare(metric: str, challenger: list[float], default: list[float], direction: Direction) -> Comparison:
    """Challenger against default, paired by seed."""
    gains = [direction.gain(a, b) for a, b in zip(challenger, default, strict=True)]
    low, high = paired_interval(gains)
    return Comparison(metric, challenger, default, float(np.mean(gains)), low, high)


def confirm(
    study: Study, runner: Runner, *, seeds: int, said: Callable[[str, int, int], None] = lambda *_: None
) -> Confirmation | None:
    """Run the best and the default configuration on `seeds` fresh seeds each, resumable run by run.

    Where the default is the best, the next best stands in, if it is worse by no more than noise: the default may have
    been lucky. None when there is nothing to compare.
    """
    from .graphs.running import repaired

    trial, default = challenger_of(study), study.default
    if trial is None or default is None:
        return None
    runner = repaired(study, runner)  # what ran in the search, with its launch as it was mended there
    fresh = list(range(FIRST_SEED, FIRST_SEED + seeds))
    runs: dict[str, list[Outcome | None]] = {"best": [], "default": []}
    for i, seed in enumerate(fresh):
        for name, one in (("best", trial), ("default", default)):
            said(f"trial {one.number}", i + 1, seeds)
            runs[name].append(_run_once(study, runner, f"{name}-{trial.number}", one.config, seed))
    return _compare_runs(study, trial.number, fresh, runs)


def challenger_of(study: Study) -> Trial | None:
    """The trial that may be better than the default: the best one, or the next best within the default's noise."""
    best, default = study.best, study.default
    if best is None or default is None:
        return None
    if best.number != default.number:
        return best
    second = best_trial([trial for trial in study.finished if trial.number != default.number], study.direction)
    if second is None or second.value is None or default.value is None:
        return None
    values = [default.value, *study.noise]
    noise = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return second if study.direction.gain(second.value, default.value) >= -CLOSE * noise else None


def _run_once(study: Study, runner: Runner, name: str, config: Config, seed: int) -> Outcome | None:
    folder = study.folder / "confirm" / f"{name}-{seed}"
    kept = folder / "outcome.json"
    if (done := _read(kept)) is not None:
        return done if done.state is State.COMPLETE else None
    folder.mkdir(parents=True, exist_ok=True)
    end_recorded(folder)
    outcome = runner.run(config, folder, seed=seed)
    _write(kept, outcome)
    return outcome if outcome.state is State.COMPLETE else None


def _write(path: Path, outcome: Outcome) -> None:
    done = {"state": outcome.state, "value": outcome.value, "metrics": dict(outcome.metrics)}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(done))
    partial.replace(path)


def _read(path: Path) -> Outcome | None:
    """What a run came to; None where it has not ended yet, or its file is damaged."""
    try:
        done = json.loads(path.read_text())
        return Outcome(State(done["state"]), done["value"], done["metrics"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _compare_runs(
    study: Study, trial: int, seeds: list[int], runs: dict[str, list[Outcome | None]]
) -> Confirmation | None:
    pairs = [(a, b) for a, b in zip(runs["best"], runs["default"], strict=True) if a is not None and b is not None]
    failed = sum(run is None for side in runs.values() for run in side)
    if not pairs:
        return Confirmation(trial, seeds, [], failed)
    shared = set.intersection(*(set(run.metrics) for pair in pairs for run in pair))
    # Test metrics stand in for nothing during the search: here is where they may speak.
    names = [study.metric, *sorted(n for n in shared if n.startswith("test") and n != study.metric)]
    done = [_compare_metric(study, name, pairs) for name in names]
    return Confirmation(trial, seeds, done, failed)


def _compare_metric(study: Study, name: str, pairs: list[tuple[Outcome, Outcome]]) -> Comparison:
    def value(run: Outcome) -> float:
        return float(run.value or 0.0) if name == study.metric else run.metrics[name]

    smaller = any(word in name for word in ("loss", "error", "perplexity", "rmse", "mae"))
    direction = study.direction if name == study.metric else Direction.MINIMIZE if smaller else Direction.MAXIMIZE
    return compare(name, [value(a) for a, _ in pairs], [value(b) for _, b in pairs], direction)


def as_dict(confirmation: Confirmation) -> dict[str, object]:
    """JSON-able data, verdicts included."""
    found = asdict(confirmation)
    found["comparisons"] = [{**asdict(c), "verdict": c.verdict} for c in confirmation.comparisons]
    return found
