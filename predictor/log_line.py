"""One line of a log: FLORA-Bench's six keys (arXiv 2503.11301), and those of ours that a log may have beside them.

FLORA's own code reads our lines, since it takes its six keys and leaves the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt

from .errors import LogFault
from .gain import finite
from .gathering import MAX_RUNS, check_counts, check_size
from .logs import COSTS, LoggedWorkflow, Task

Run = tuple[LoggedWorkflow, Task, int, int]  # with its runs and successes
_CONTEXT, _QUESTION = "Context: ", "\n\nQuestion: "  # how FLORA's tasks hold both in one text


class LogLine(BaseModel):
    """A workflow on a task. Keys of ours are None or empty where they are not given; unknown keys are left."""

    workflow_id: StrictInt | str
    task_id: StrictInt | str
    task: str
    nodes: dict[str, str]
    edge_index: list[tuple[StrictInt | str, StrictInt | str]]  # places in `nodes`, or its keys
    label: StrictBool | StrictInt | StrictFloat | None = None
    runs: StrictInt | None = None
    successes: StrictInt | None = None
    suite: str | None = None  # of the workflow
    task_suite: str | None = None  # where it is another
    context: str | None = None
    operators: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    edge_type: tuple[str, ...] = ()
    conditional: tuple[bool, ...] = ()
    decoding: tuple[dict[str, Any], ...] = ()
    parent: str = ""
    change: str = ""
    tokens: Any = None  # as the next three, of all runs of the line; what is no amount is left
    seconds: Any = None
    energy: Any = None  # joules, or an object that has `joules`
    money: Any = None
    round: Annotated[int, Field(strict=True, ge=0, le=MAX_RUNS)] | None = None


def run_of(line: LogLine, domain: str = "") -> Run:
    """What a line says.

    Args:
        domain: the suite where the line names none. FLORA numbers workflows and tasks anew in each domain, so it
            then stands before the ids.

    Raises:
        LogFault, ValueError: the line breaks a rule.
    """
    check_size(len(line.nodes), len(line.edge_index))
    runs, successes = _counts(line)
    suite = domain if line.suite is None else line.suite
    before = f"{domain}/" if line.suite is None and domain else ""
    keys = {key: i for i, key in enumerate(line.nodes)}
    workflow = LoggedWorkflow(
        id=f"{before}{line.workflow_id}",
        suite=suite,
        nodes=tuple(line.nodes.values()),
        edges=tuple((_place(a, keys), _place(b, keys)) for a, b in line.edge_index),
        operators=line.operators,
        models=line.models,
        edge_types=line.edge_type,
        conditional=line.conditional,
        decoding=tuple(json.dumps(one, sort_keys=True) if one else "" for one in line.decoding),
        parent=line.parent,
        change=line.change,
        round=line.round,
    )
    text, context = text_and_context(line.task, line.context)
    task_suite = suite if line.task_suite is None else line.task_suite
    return workflow, Task(f"{before}{line.task_id}", task_suite, text, context), runs, successes


def costs_of(line: LogLine) -> tuple[float, ...]:
    """What the runs of a line cost, one of each of COSTS; NaN where it is not said."""
    return tuple(_amount(getattr(line, name)) for name in COSTS)


def flora_line(workflow: LoggedWorkflow, task: Task, label: int, ids: tuple[int | str, int | str]) -> dict[str, Any]:
    """FLORA's six keys in its order.

    Args:
        ids: what workflow and task are called.
    """
    return {
        "workflow_id": ids[0],
        "task_id": ids[1],
        "task": joined(task),
        "nodes": {str(i): text for i, text in enumerate(workflow.nodes)},
        "edge_index": [list(edge) for edge in workflow.edges],
        "label": bool(label),
    }


def our_line(run: Run, costs: Sequence[float] = ()) -> dict[str, Any]:
    """FLORA's keys and ours: nothing of the run is lost.

    Args:
        costs: one of each of COSTS, NaN where unknown; such a key is left out.
    """
    workflow, task, runs, successes = run
    return {
        **flora_line(workflow, task, 2 * successes >= runs, (workflow.id, task.id)),
        "runs": runs,
        "successes": successes,
        "suite": workflow.suite,
        "task_suite": task.suite,
        "context": task.context,
        "operators": list(workflow.operators),
        "models": list(workflow.models),
        "edge_type": list(workflow.edge_types),
        "conditional": list(workflow.conditional),
        **({"decoding": [json.loads(one or "{}") for one in workflow.decoding]} if any(workflow.decoding) else {}),
        "parent": workflow.parent,
        "change": workflow.change,
        "round": workflow.round,
        **{name: amount for name, amount in zip(COSTS, costs, strict=False) if not math.isnan(amount)},
    }


def joined(task: Task) -> str:
    """Context and text in one, as FLORA's tasks have them."""
    return f"{_CONTEXT}{task.context}{_QUESTION}{task.text}" if task.context else task.text


def text_and_context(task: str, context: str | None = None) -> tuple[str, str]:
    """The text of a task and its context, which are one text where no context is named."""
    if context is None:
        found, mark, text = task.rpartition(_QUESTION)
        together = bool(mark) and found.startswith(_CONTEXT) and len(found) > len(_CONTEXT)
        return (text, found.removeprefix(_CONTEXT)) if together else (task, "")
    return task.removeprefix(f"{_CONTEXT}{context}{_QUESTION}" if context else ""), context


def _counts(line: LogLine) -> tuple[int, int]:
    if (line.runs is None) != (line.successes is None):
        raise LogFault("`runs` and `successes` go together, but one of them is missing; write both or none")
    if line.runs is not None and line.successes is not None:
        check_counts(line.runs, line.successes)
        return line.runs, line.successes
    if line.label not in (0, 1):
        raise LogFault(f"a label must be 0 or 1 where a line names no `runs`, but is {line.label}; correct it")
    return 1, int(line.label)


def _amount(given: object) -> float:
    found = finite(given.get("joules") if isinstance(given, Mapping) else given)
    return math.nan if found is None or found < 0 else found


def _place(end: int | str, keys: Mapping[str, int]) -> int:
    if isinstance(end, int):
        return end
    if end not in keys:
        raise LogFault(f"an edge must join nodes of its workflow, but {end!r} is none; add the node or drop the edge")
    return keys[end]
