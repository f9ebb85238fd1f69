"""What a study found, as one value that prints as a page or as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from .agents.summarizer import summarize
from .confirm import Confirmation
from .predictor.skipping import Savings
from .savings import decided, savings_beside
from .trials.records import State, Trial
from .trials.study import Study

MATTERED = 4  # hyperparameters named in the summary


@dataclass(frozen=True)
class Summary:
    """The end of a study. Gains are in units of the metric, positive when better."""

    name: str
    folder: str
    metric: str
    direction: str
    stopped: str
    trials: int
    best_trial: int | None
    best_value: float | None
    best_config: dict[str, Any]
    default_value: float | None
    gain: float | None
    noise: float | None  # standard deviation over runs of trial 0; None with fewer than two
    noise_runs: int
    mattered: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    model: str
    tokens: int
    model_seconds: float
    training_seconds: float
    sources: dict[str, int] = field(default_factory=dict)
    confirmation: Confirmation | None = None
    savings: Savings | None = None  # over all studies beside it; None where its gates kept nothing from running

    def as_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return asdict(self)


def summary_of(study: Study, *, stopped: str, confirmation: Confirmation | None = None) -> Summary:
    """The summary of a study as it stands in its folder."""
    trials = study.finished
    best, default = study.best, study.default
    context = summarize(
        name=study.name,
        space=study.space,
        trials=trials,
        direction=study.direction,
        metric=study.metric,
        noise=study.noise,
    )
    both = None not in (best, default) and best is not None and default is not None
    gain = (
        study.direction.gain(best.value, default.value)
        if both and best and default and best.value is not None and default.value is not None
        else None
    )
    return Summary(
        name=study.name,
        folder=str(study.folder),
        metric=study.metric,
        direction=study.direction.value,
        stopped=stopped,
        trials=len(trials),
        best_trial=None if best is None else best.number,
        best_value=None if best is None else best.value,
        best_config=dict(best.config) if best else {},
        default_value=None if default is None else default.value,
        gain=gain,
        noise=context.noise.deviation,
        noise_runs=context.noise.runs,
        mattered=[effect.model_dump() for effect in context.effects if effect.certain][:MATTERED],
        failures=[_failure(t) for t in trials if t.state is State.FAILED],
        model=next((str(t.extra["model"]) for t in reversed(trials) if t.extra.get("model", "none") != "none"), "none"),
        tokens=sum(int(t.extra.get("tokens", 0)) for t in trials),
        model_seconds=sum(float(t.extra.get("model_seconds", 0.0)) for t in trials),
        training_seconds=sum(t.seconds for t in trials),
        sources=dict(Counter(t.source for t in trials)),
        confirmation=confirmation,
        savings=savings_beside(study) if decided(study) else None,
    )


def _failure(trial: Trial) -> dict[str, Any]:
    assert trial.failure is not None  # a failed trial carries its cause
    return {
        "trial": trial.number,
        "cause": trial.failure.cause.value,
        "detail": trial.failure.detail[-300:],
        "config": dict(trial.config),
    }
