"""The memory as a picture: notes as dots, links as lines, in one HTML file that opens without a network."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from .memory.note import Kind, Link, LinkType, Note
from .memory.task import Task
from .memory_graph import Graph
from .memory_page import first_line
from .words import printable

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SPREAD = 5.0  # of the layout, in its usual distances: with 1 the trials of a task lie on a heap
SEED = 0  # of the layout: the same memory gives the same picture
HOVER = 70  # characters of a line of hover text
LABEL = 40  # characters beside a task's dot
COLOURS: Mapping[Kind, str] = {
    Kind.TRIAL: "#a8b5c2",
    Kind.CONVERSATION: "#e9c46a",
    Kind.FAILURE: "#e76f51",
    Kind.LESSON: "#2a9d8f",
    Kind.TASK: "#1d3557",
}
SIZES: Mapping[Kind, int] = {Kind.TASK: 20, Kind.TRIAL: 8}  # pixels; others 13
LINES: Mapping[LinkType, tuple[str, str]] = {  # colour and dash
    LinkType.SAME_STUDY: ("#b8c0cc", "dash"),
    LinkType.NEXT_TRIAL: ("#8ecae6", "solid"),
    LinkType.SAME_TASK: ("#d5dae1", "solid"),
    LinkType.SAME_SPACE: ("#b8c0cc", "dot"),
    LinkType.SIMILAR: ("#e9c46a", "solid"),
    LinkType.SUPPORTS: ("#2a9d8f", "solid"),
    LinkType.REFUTES: ("#e76f51", "solid"),
    LinkType.DERIVED: ("#9d4edd", "solid"),
}


def write_graph(graph: Graph, path: Path) -> Path:
    """Write the picture to `path`."""
    page = draw(graph).to_html(
        include_plotlyjs=True,
        full_html=True,
        config={"scrollZoom": True},
        default_height="96vh",  # with the page's margins it fits the window without scrolling
    )
    path.write_text(page, encoding="utf-8")
    return path


def draw(graph: Graph) -> Figure:
    """Lines by type below, dots by kind above, each with its entry in the legend."""
    import plotly.graph_objects as go

    places = _layout(graph)
    figure = go.Figure()
    for kind in LinkType:
        _add_lines(figure, kind, [link for link in graph.links if link.type is kind], places)
    for note_kind in COLOURS:  # trials first: no dot of another kind is hidden by them
        _add_dots(figure, note_kind, [note for note in graph.notes if note.kind is note_kind], places)
    figure.update_layout(
        title={"text": "Luthier: memory", "subtitle": {"text": graph.missing()}},
        template="plotly_white",
        hovermode="closest",
        dragmode="pan",
        hoverlabel={"align": "left"},
        margin={"t": 80, "b": 20, "l": 20, "r": 20},  # pixels
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _layout(graph: Graph) -> dict[str, tuple[float, float]]:
    """A place for each note: tied ones near each other, loose ones all around."""
    import networkx as nx

    ties: nx.Graph[str] = nx.Graph()
    ties.add_nodes_from(note.id for note in graph.notes)
    ties.add_edges_from((link.source, link.target) for link in graph.links)
    if not ties:
        return {}
    found = nx.spring_layout(ties, seed=SEED, iterations=100, k=SPREAD / len(ties) ** 0.5)
    return {name: (float(x), float(y)) for name, (x, y) in found.items()}


def _add_lines(figure: Figure, kind: LinkType, links: list[Link], places: Mapping[str, tuple[float, float]]) -> None:
    import plotly.graph_objects as go

    if not links:
        return
    x: list[float | None] = []
    y: list[float | None] = []
    for link in links:
        (x0, y0), (x1, y1) = places[link.source], places[link.target]
        x += [x0, x1, None]  # None ends the line
        y += [y0, y1, None]
    colour, dash = LINES[kind]
    line = {"color": colour, "dash": dash, "width": 1.5}
    name = f"{kind.value} ({len(links):,})"
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            name=name,
            line=line,
            hoverinfo="skip",
            legendgroup="links",
            legendgrouptitle_text="links",
        )
    )


def _add_dots(figure: Figure, kind: Kind, notes: list[Note], places: Mapping[str, tuple[float, float]]) -> None:
    import plotly.graph_objects as go

    if not notes:
        return
    figure.add_trace(
        go.Scatter(
            x=[places[note.id][0] for note in notes],
            y=[places[note.id][1] for note in notes],
            mode="markers+text" if kind is Kind.TASK else "markers",
            name=f"{kind.value} ({len(notes):,})",
            text=[_label(note) for note in notes] if kind is Kind.TASK else None,
            textposition="top center",
            hovertext=[_hover(note) for note in notes],
            hoverinfo="text",
            marker={"size": SIZES.get(kind, 13), "color": COLOURS[kind], "line": {"width": 1, "color": "white"}},
            legendgroup="notes",
            legendgrouptitle_text="notes",
        )
    )


def _hover(note: Note) -> str:
    """Plotly reads hover text as HTML; a note's words are only words."""
    lines = [html.escape(line, quote=False) for line in wrap(first_line(note), HOVER)]
    return "<br>".join([f"<b>{note.kind.value}</b> {note.id}", *lines])


def _label(note: Note) -> str:
    task = Task.read(note)
    text = first_line(note) if task is None else printable(task.script)
    return html.escape(text if len(text) <= LABEL else text[: LABEL - 1] + "…", quote=False)
