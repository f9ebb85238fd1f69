"""The picture of a study: one HTML file that opens without a network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .trials.records import State, Trial
from .trials.study import Study
from .words import config

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {State.COMPLETE: "#2a9d8f", State.PRUNED: "#e9c46a", State.FAILED: "#e76f51", State.RUNNING: "#8ecae6"}
BEST = "#1d3557"
STRETCHES = 500  # of a curve, each drawn by its lowest and its highest point: a screen shows no more


def write_picture(study: Study, path: Path) -> Path:
    """Write values by trial, the best so far, and every learning curve to `path`."""
    figure = draw(study)
    path.write_text(figure.to_html(include_plotlyjs=True, full_html=True), encoding="utf-8")
    return path


def draw(study: Study) -> Figure:
    """Two panels: the value of each trial with the best so far, and the curves of all trials."""
    from plotly.subplots import make_subplots

    titles = (f"{study.metric} by trial", f"{study.metric} while each trial ran")
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles)
    trials = study.finished
    _values(figure, study, trials)
    best = study.best
    for trial in trials:
        _curve(figure, study, trial, best is not None and trial.number == best.number)
    figure.update_layout(title=f"Luthier: {study.name}", template="plotly_white", legend_title="from")
    figure.update_xaxes(title_text="trial", row=1, col=1)
    figure.update_xaxes(title_text="step", row=1, col=2)
    return figure


def _values(figure: Figure, study: Study, trials: list[Trial]) -> None:
    import plotly.graph_objects as go

    for source in dict.fromkeys(t.source for t in trials):
        mine = [t for t in trials if t.source == source and t.value is not None]
        text = [f"{config(t.config)}<br>{t.reason}" for t in mine]
        dots = go.Scatter(
            x=[t.number for t in mine],
            y=[t.value for t in mine],
            mode="markers",
            name=source,
            text=text,
            marker_size=10,
        )
        figure.add_trace(dots, row=1, col=1)
    x, y = _best_so_far(study, trials)
    line = go.Scatter(x=x, y=y, mode="lines", name="best so far", line={"color": BEST, "shape": "hv"})
    figure.add_trace(line, row=1, col=1)
    lost = [t for t in trials if t.value is None]
    if lost and y:
        level = study.direction.worst([t.value for t in trials if t.value is not None])
        crosses = go.Scatter(
            x=[t.number for t in lost],
            y=[level] * len(lost),
            mode="markers",
            name="failed",
            text=[t.failure.cause.value if t.failure else "" for t in lost],
            marker={"symbol": "x", "size": 10, "color": COLOURS[State.FAILED]},
        )
        figure.add_trace(crosses, row=1, col=1)


def _best_so_far(study: Study, trials: list[Trial]) -> tuple[list[int], list[float]]:
    x: list[int] = []
    y: list[float] = []
    for trial in trials:
        if trial.state is State.COMPLETE and trial.value is not None and math.isfinite(trial.value):
            x.append(trial.number)
            y.append(study.direction.best([trial.value, *y[-1:]]))
    return x, y


def _curve(figure: Figure, study: Study, trial: Trial, best: bool) -> None:
    import plotly.graph_objects as go

    points = outline(trial.trajectory.curve(study.metric))
    if not points:
        return
    line = go.Scatter(
        x=[s for s, _ in points],
        y=[v for _, v in points],
        mode="lines",
        name=f"trial {trial.number}",
        text=config(trial.config),
        line={"color": BEST if best else COLOURS[trial.state], "width": 3 if best else 1},
        opacity=1.0 if best else 0.5,
        showlegend=False,
    )
    figure.add_trace(line, row=1, col=2)


def outline(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A curve, steps increasing, by fewer points that look the same: its ends and the extremes of each stretch."""
    if len(points) <= 2 * STRETCHES:
        return list(points)
    bounds = [len(points) * i // STRETCHES for i in range(STRETCHES + 1)]
    stretches = [points[a:b] for a, b in itertools.pairwise(bounds)]
    extremes = [pick(part, key=lambda point: point[1]) for part in stretches for pick in (min, max)]
    return sorted({points[0], *extremes, points[-1]})
