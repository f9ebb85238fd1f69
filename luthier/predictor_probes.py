"""Which tasks are worth a run of a new workflow: the runs then sharpen what the predictor believes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .predictor.errors import LogFault
from .predictor.logs import LoggedWorkflow, Logs, Pairs, Task
from .predictor_ask import shortened

if TYPE_CHECKING:
    from .predictor.ability import Ability


@dataclass(frozen=True)
class Probe:
    """A task that is worth a run of a workflow, to learn how good the workflow is."""

    task: str  # its id
    words: str
    probability: float  # of success, before the run
    worth: float  # how much the run tells of how good the workflow is, 0 to 0.25

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        return asdict(self)


def tasks_to_probe(ability: Ability, workflow: LoggedWorkflow, logs: Logs | None, count: int) -> list[Probe]:
    """The tasks of the workflow's suite on which a run would tell most, the best first.

    Raises:
        LogFault: the predictor or the logs know no such suite.
    """
    known = ability.design.suites
    tasks = () if logs is None else _tasks_of(logs, workflow.suite)
    if logs is None or workflow.suite not in known or not tasks:
        rule = "probes are chosen among logged tasks of a suite that the predictor was trained on"
        have = f"it knows {', '.join(known)}, and the logs have {len(tasks)} tasks of {workflow.suite!r}"
        raise LogFault(f"{rule}, but {have}; name the suite with --suite, and the logs with --logs")
    pairs = Pairs.all_of((workflow,), tasks)
    worth, chance = ability.worth(pairs, logs), ability.predict(pairs).probability
    best = np.argsort(-worth, kind="stable")[:count]
    return [Probe(tasks[i].id, shortened(tasks[i]), float(chance[i]), float(worth[i])) for i in best]


def _tasks_of(logs: Logs, suite: str) -> tuple[Task, ...]:
    """The tasks of a suite, and those of others that its workflows ran on."""
    ran = set(logs.task[logs.suite == suite].tolist())
    return tuple(task for i, task in enumerate(logs.tasks) if task.suite == suite or i in ran)
