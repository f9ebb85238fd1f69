"""What is asked of a predictor: a workflow by its file, name or id, a task by its words; and the answer in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from .predictor import mixed
from .predictor.errors import LogFault
from .predictor.flora import domain_of
from .predictor.gathering import check_graph
from .predictor.lines import Faults, at, in_words, parsed, read_lines
from .predictor.log_line import LogLine, run_of, text_and_context
from .predictor.logs import LoggedWorkflow, Logs, Pairs, Task
from .predictor.records import WorkflowRecord
from .predictor.study_logs import SUITE, as_planned, task_of
from .predictor.workflow import WORKFLOWS

if TYPE_CHECKING:
    from .predictor.ability import Ability

Z95 = 1.96  # standard deviations of a normal's 95 % interval
Asked = tuple[LoggedWorkflow, Task]
_TEXT_MARK = "@"  # before a file that holds a task's text


@dataclass(frozen=True)
class Answer:
    """What is believed of one workflow on one task."""

    workflow: str
    task: str
    suite: str
    probability: float
    low: float  # the 95 % interval of the logit, as probabilities
    high: float
    logit: float
    deviation: float
    abstains: bool
    why: str  # it abstains; else what was new about the pair

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        return asdict(self)

    def sentence(self) -> str:
        """For people."""
        chance = f"{self.probability:.0%} (95 % interval {self.low:.0%} to {self.high:.0%})"
        if self.abstains:
            return f"{self.workflow} on {self.task!r}: abstains, {self.why}; its guess would be {chance}"
        return f"{self.workflow} on {self.task!r}: succeeds with probability {chance}; {self.why}"


def answers(ability: Ability, asked: list[Asked], probes: Logs | None = None) -> list[Answer]:
    """The answers, in order.

    Args:
        probes: a few runs of workflows that are asked about, or under new models; they sharpen the estimates.
    """
    pairs = pairs_of(asked)
    mean, variance = (ability if probes is None else ability.probed(probes)).logit(pairs)
    runs = probe_runs(probes)
    found, deviation = mixed.probability(mean, variance), np.sqrt(variance)
    new_suite, new_graph = ability.design.unseen(pairs)
    new_task = ability.design.tasks(pairs)[0] < 0
    return [
        Answer(
            workflow=workflow.id,
            task=shortened(task),
            suite=str(pairs.suite[i]),
            probability=float(found[i]),
            low=float(expit(mean[i] - Z95 * deviation[i])),
            high=float(expit(mean[i] + Z95 * deviation[i])),
            logit=float(mean[i]),
            deviation=float(deviation[i]),
            abstains=bool(new_suite[i]),
            why=_why(ability, str(pairs.suite[i]), bool(new_suite[i]), bool(new_graph[i]), bool(new_task[i]))
            + (f"; {runs[workflow.graph_key]:,} probe runs of it count too" if workflow.graph_key in runs else ""),
        )
        for i, (workflow, task) in enumerate(asked)
    ]


def probe_runs(probes: Logs | None) -> dict[str, int]:
    """How often each graph ran in the probes."""
    if probes is None:
        return {}
    found: dict[str, int] = {}
    for place, runs in zip(probes.workflow.tolist(), probes.runs.tolist(), strict=True):
        key = probes.workflows[place].graph_key
        found[key] = found.get(key, 0) + runs
    return found


def in_suite(probes: Logs, suite: str) -> Logs:
    """The same runs, their workflows and tasks taken for a suite's."""
    flows = tuple(replace(workflow, suite=suite) for workflow in probes.workflows)
    return replace(probes, workflows=flows, tasks=tuple(replace(task, suite=suite) for task in probes.tasks))


def pairs_of(asked: list[Asked]) -> Pairs:
    """The pairs in order, equal workflows and tasks once."""
    flows, tasks = list(dict.fromkeys(w for w, _ in asked)), list(dict.fromkeys(t for _, t in asked))
    w, t = {one: i for i, one in enumerate(flows)}, {one: i for i, one in enumerate(tasks)}
    places = np.array([(w[workflow], t[task]) for workflow, task in asked], int).reshape(-1, 2)
    return Pairs(tuple(flows), tuple(tasks), places[:, 0], places[:, 1])


def _why(ability: Ability, suite: str, new_suite: bool, new_graph: bool, new_task: bool) -> str:
    if new_suite:
        known = ", ".join(name or "(no name)" for name in ability.design.suites)
        return f"as it was not trained on suite {suite!r} (known: {known}; name one with --suite)"
    new = [what for what, is_new in (("workflow", new_graph), ("task", new_task)) if is_new]
    return (
        f"the {' and the '.join(new)} were never run, so features alone speak"
        if len(new) > 1
        else (
            f"the {new[0]} was never run, so its features speak" if new else "workflow and task are known from the logs"
        )
    )


def shortened(task: Task) -> str:
    """The first words of a task, for a line."""
    words = " ".join(task.text.split())
    return words if len(words) <= 60 else words[:57] + "..."


def workflow_asked(name: str, suite: str, llm: str, logs: Logs | None) -> LoggedWorkflow:
    """A workflow by the JSON file that holds it, the name of a built-in one, or its id in the logs.

    Args:
        suite: what it is to be taken for; empty for its own.
        llm: the language model that the steps of a built-in one ask.
        logs: where ids are looked up; None where there are none.

    Raises:
        LogFault: there is no such workflow, or its file breaks a rule.
    """
    if name.endswith((".json", ".jsonl")) or Path(name).is_file():
        found = _from_file(Path(name).expanduser())
    elif name in WORKFLOWS:
        found = as_planned(WORKFLOWS[name].bound(llm, {}) if llm else WORKFLOWS[name])
        found = replace(found, suite=SUITE)
    else:
        found = _from_logs(name, logs)
    return replace(found, suite=suite) if suite else found


def _from_file(path: Path) -> LoggedWorkflow:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return _pair_of({"workflow_id": path.stem, "task_id": "", "task": "", **parsed(text)})[0]
    except ValueError as error:
        raise LogFault(f"{path}: a workflow is one JSON object with FLORA's keys, but {in_words(error)}") from error


_NO_OUTCOME = {"label": 0, "runs": None, "successes": None}


def _pair_of(given: Mapping[str, Any], domain: str = "") -> Asked:
    """The pair of a line, its outcome unread; of a study's line the workflow as it was planned.

    Raises:
        ValueError: no log could hold it.
    """
    planned = given.get("planned")
    told = {"suite": SUITE, **given, **planned} if planned and isinstance(planned, dict) else given
    workflow, task, _, _ = run_of(LogLine.model_validate({**told, **_NO_OUTCOME}), domain)
    check_graph(workflow)
    return workflow, task


def _from_logs(name: str, logs: Logs | None) -> LoggedWorkflow:
    known = {workflow.id: workflow for workflow in (() if logs is None else logs.workflows)}
    if name in known:
        return known[name]
    near = get_close_matches(name, [*WORKFLOWS, *known], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"built-in are {', '.join(WORKFLOWS)}"
    rule = "a workflow must be a JSON file, a built-in one or an id in the logs"
    raise LogFault(f"{rule}, but there is no {name!r} in {len(known)} logged ones; {hint}")


def task_asked(text: str, suite: str, logs: Logs | None, *, moved: bool = False) -> Task:
    """A task by its words, by `@` and a file that holds them, or by its id in the logs; known words are the known task.

    Args:
        suite: the workflow's; a logged task may be of another, as a suite's workflows may run on another's tasks.
        moved: a logged task of another suite is taken for a new one of this suite.

    Raises:
        LogFault: the file is not there.
    """
    if text.startswith(_TEXT_MARK):
        path = Path(text.removeprefix(_TEXT_MARK)).expanduser()
        if not path.is_file():
            raise LogFault(
                f"{path}: `@` must stand before a file with a task's text, but none is there; check the path"
            )
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    words, context = text_and_context(text)
    known = None if logs is None else _logged_task(words.strip(), context, suite, logs)
    if known is None:
        return Task("", suite, words, context)
    return replace(known, id="", suite=suite) if moved and known.suite != suite else known


def _logged_task(said: str, context: str, suite: str, logs: Logs) -> Task | None:
    """The task of this id or these words: one of the suite before others, and an id before words."""

    def means(task: Task) -> bool:
        return said == task.id or (said == task.text.strip() and context in ("", task.context))

    found = [task for task in logs.tasks if means(task)]
    return min(found, key=lambda task: (bool(suite) and task.suite != suite, task.id != said), default=None)


def pairs_in(path: Path, suite: str) -> list[Asked]:
    """The pairs of a file of JSON lines, FLORA's, ours or a study's; labels may be missing, and are not read.

    They have the names that training gives them.

    Raises:
        LogFault: a line is bad, or there is none.
    """
    if not path.is_file():
        rule = "without a TASK this must be a file of pairs, JSON lines with FLORA's keys"
        raise LogFault(f"{path}: {rule}, but there is none; name a task, or check the path")
    found = []
    for number, text in read_lines(path, Faults(strict=True)):
        try:
            given = parsed(text)
            workflow, task = _pair_of(given, domain_of(path))
            if given.get("planned"):
                task = task_of(WorkflowRecord.model_validate(given))
        except ValueError as error:
            raise LogFault(f"{at(path, number)}: {in_words(error)}") from error
        found.append((replace(workflow, suite=suite), replace(task, suite=suite)) if suite else (workflow, task))
    if not found:
        raise LogFault(f"{path}: a file of pairs must hold at least one line, but it is empty")
    return found
