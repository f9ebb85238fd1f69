"""What a trained predictor is and how far it can be trusted: its model card (Mitchell and others, 2019)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict

from .logs import Logs
from .splits import QUESTIONS

CANNOT = (
    "On a suite that is not in its logs it abstains, by the suite's name alone; its probability there is a guess. Logs "
    "that name no suite are one suite, in which it never abstains.",
    "A new task or workflow is judged by its features alone: trust the figures of the splits `task` and `workflow`.",
    "It tells language models and prompts apart only as far as the logs name them, and decodings not at all.",
    "A workflow is new once the words of a step, an operator, a model or an edge changes in the log; what no log says, "
    "such as the text of a prompt's file of `luthier tune`, it does not see.",
    "It learnt what happened, not why: a part of the logit is no cause.",
)
NO_TEXTS = "It reads no texts, as no embedder was there when it was trained."
NO_FIGURES = "It was not evaluated, so nothing is known of its errors; train it without --no-evaluate."
_PACKAGES = ("luthier", "numpy", "scikit-learn", "torch")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Frozen):
    """One number of an evaluation on held-out folds, with its 95 % interval; None where it cannot be said."""

    split: str
    model: str  # `luthier - NAME` for the difference to another
    metric: str
    value: float | None
    low: float | None
    high: float | None


class Card(_Frozen):
    """Everything to know of a checkpoint besides its numbers."""

    name: str
    sources: list[str] = []  # in words, with licence where it is another's
    data_hash: str
    counts: dict[str, int]  # workflows, graphs, tasks, pairs, runs
    suites: list[str]
    parts: list[str]
    settings: dict[str, float | int | bool]
    embedder: str  # its name; `none` where texts are not read
    seed: int
    folds: int
    figures: list[Figure] = []
    left_out: dict[str, str] = {}  # splits that could not be evaluated, and why
    versions: dict[str, str] = {}
    date: str = ""  # of the training, ISO 8601 in UTC
    seconds: float = 0.0  # of the training, evaluation included
    cannot: list[str] = []

    def markdown(self) -> str:
        """The card for people."""
        counted = ", ".join(f"{count:,} {what}" for what, count in self.counts.items())
        lines = [
            f"# Predictor {self.name}",
            f"Trained {self.date} in {self.seconds:,.0f} s on {counted}.",
            "",
            *(f"- source: {source}" for source in self.sources),
            f"- suites: {', '.join(suite or '(no name)' for suite in self.suites)}",
            f"- data: {self.data_hash}",
            f"- features: {', '.join(self.parts) or 'none'}; embedder: {self.embedder}",
            f"- settings: {', '.join(f'{name} {value}' for name, value in self.settings.items())}; seed {self.seed}",
            f"- versions: {', '.join(f'{name} {number}' for name, number in self.versions.items())}",
            "",
            *self._figures(),
            "## What it cannot do",
            *(f"- {text}" for text in self.cannot),
        ]
        return "\n".join(lines)

    def _figures(self) -> list[str]:
        if not self.figures:
            return []
        lines = [f"## On held-out parts of its logs ({self.folds} folds, 95 % intervals)"]
        for split in dict.fromkeys(figure.split for figure in self.figures):
            lines += ["", f"**{split}**: {QUESTIONS[split]}", "", *table(self.figures, split)]
        for split, why in self.left_out.items():
            lines += ["", f"**{split}** could not be evaluated: {why}."]
        return [*lines, ""]


def table(figures: Sequence[Figure], split: str) -> list[str]:
    """A Markdown table of one split, a row a model."""
    inside = {(f.model, f.metric): f for f in figures if f.split == split}
    metrics = list(dict.fromkeys(metric for _, metric in inside))
    rows = [["model", *metrics], ["---"] * (len(metrics) + 1)]
    for model in dict.fromkeys(model for model, _ in inside):
        rows.append([model, *(in_words(inside.get((model, metric))) for metric in metrics)])
    return [f"| {' | '.join(row)} |" for row in rows]


def in_words(figure: Figure | None, *, interval: bool = True) -> str:
    """A figure, with its interval where wanted: AUC and accuracy in per cent, errors as they are."""
    if figure is None or figure.value is None:
        return ""
    scale, digits = (1, 3) if figure.metric in ("Brier", "calibration error") else (100, 1)
    sign = "+" if " - " in figure.model else ""
    shown = f"{scale * figure.value:{sign}.{digits}f}"
    if not interval or figure.low is None or figure.high is None:
        return shown
    return f"{shown} ({scale * figure.low:{sign}.{digits}f} to {scale * figure.high:{sign}.{digits}f})"


def counts_of(logs: Logs) -> dict[str, int]:
    """How much was learnt from, of workflows and tasks that stand in a pair."""
    return {
        "workflows": len(set(logs.workflow.tolist())),
        "graphs": len(set(logs.graph.tolist())),
        "tasks": len(set(logs.task.tolist())),
        "pairs": len(logs),
        "runs": int(logs.runs.sum()),
    }


def digests(logs: Logs) -> list[str]:
    """Of each pair a hash of its workflow, its task and its outcome."""
    flows = [_digest([w.graph_key, w.suite, w.parent, w.round]) for w in logs.workflows]
    tasks = [_digest([t.suite, t.id, t.text, t.context]) for t in logs.tasks]
    rows = zip(logs.workflow.tolist(), logs.task.tolist(), logs.runs.tolist(), logs.successes.tolist(), strict=True)
    return [_digest([flows[w], tasks[t], runs, successes]) for w, t, runs, successes in rows]


def data_hash(logs: Logs) -> str:
    """Equal for equal pairs, in whatever order."""
    return _digest(sorted(digests(logs)))


def versions() -> dict[str, str]:
    """Of the packages that training depends on."""
    return {name: version(name) for name in _PACKAGES}


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
