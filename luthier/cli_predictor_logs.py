"""`luthier predictor import` and `export`: logs of workflows into the predictor's folder, and out in FLORA's layout."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .progress import progress
from .words import printable, strict_json

if TYPE_CHECKING:
    from .predictor.sources import Imported

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Source = Annotated[
    Path,
    typer.Argument(
        help="AFlow's archive, FLORA's files, a study folder or a folder of them, or files that end in .jsonl."
    ),
]
_SHOWN = 5  # faults in words


def add_to(app: typer.Typer) -> None:
    """Give the commands to `luthier predictor`."""
    app.command("import", epilog="Example: luthier predictor import datasets_checkpoints --name flora")(import_source)
    app.command("export", epilog="Example: luthier predictor export .luthier datasets_checkpoints")(export_source)


def import_source(
    source: Source,
    to: Annotated[Path | None, typer.Option(help="The folder of the logs, if not the predictor's own.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the logs, if not as the source.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over logs of this name.")] = False,
    json: Json = False,
) -> None:
    """Take logs of workflows into the predictor's folder. A bad line is named and passed over, the rest is kept."""
    from .predictor.errors import LogFault
    from .predictor.log_place import log_file, logs_folder
    from .predictor.own_logs import write_logs

    file = log_file(name or _name_of(source), logs_folder(to))
    if file.exists() and not force:
        raise LogFault(f"{file}: logs of this name are there already; choose another --name, or write over by --force")
    found = read_told(source)
    write_logs(found.logs, file)
    _tell({**_counts(found), "file": str(file)}, json, f"{_sentence(found)}\nwritten to {file}")


def export_source(
    source: Source,
    folder: Annotated[Path, typer.Argument(help="A folder for FLORA's <Domain>/{train,val,test}.jsonl.")],
    json: Json = False,
) -> None:
    """Write logs in FLORA-Bench's layout, for its own code: 80, 10 and 10 % of the pairs, a label by the majority."""
    from .predictor.flora import write_flora

    found = read_told(source)
    files = [str(file) for file in write_flora(found.logs, folder)]
    _tell({**_counts(found), "files": files}, json, "\n".join([_sentence(found), "written:", *files]))


def read_told(source: Path) -> Imported:
    """The source's logs; what was passed over is said on standard error."""
    from .predictor.sources import read_source

    with progress("reading logs") as on_progress:
        found = read_source(source, on_progress)
    for reason, count in found.left.items():
        print(f"left out: {count:,} {reason}", file=sys.stderr)
    if found.skipped:
        print(f"skipped: {found.skipped:,} {'lines' if found.skipped > 1 else 'line'}", file=sys.stderr)
        print(printable("\n".join(f"  {problem}" for problem in found.problems[:_SHOWN])), file=sys.stderr)
        if found.skipped > _SHOWN:
            print(f"  and {found.skipped - _SHOWN:,} more", file=sys.stderr)
    return found


def _name_of(source: Path) -> str:
    """A name after the source: the study's for its `workflows.jsonl`, else the file's or the folder's."""
    place = source.expanduser().resolve()
    named = place.parent if place.name == "workflows.jsonl" else place
    return re.sub(r"[^\w.-]+", "-", re.sub(r"\.jsonl(\.gz)?$", "", named.name)).lstrip(".") or "logs"


def _counts(found: Imported) -> dict[str, Any]:
    logs = found.logs
    return {
        "kind": found.kind,
        "workflows": len(logs.workflows),
        "graphs": len({workflow.graph_key for workflow in logs.workflows}),
        "tasks": len(logs.tasks),
        "pairs": len(logs),
        "runs": int(logs.runs.sum()),
        "successes": int(logs.successes.sum()),
        "skipped": found.skipped,
        "problems": list(found.problems),
        "left": found.left,
    }


def _sentence(found: Imported) -> str:
    told = _counts(found)
    share = 100 * told["successes"] / told["runs"]
    graphs = f"{told['workflows']:,} workflows ({told['graphs']:,} different graphs)"
    runs = f"{told['pairs']:,} pairs, {told['runs']:,} runs, {share:.1f} % of them successes"
    return f"{found.kind}: {graphs}, {told['tasks']:,} tasks, {runs}"


def _tell(told: object, json: bool, text: str) -> None:
    print(strict_json(told) if json else text)
