"""What the tuning graph asks of the memory, and what it gives it. A memory that fails never stops a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..memory.errors import as_faults
from ..memory.gains import Gain, learn_gain
from ..memory.note import Kind, PastTrial, stable_id
from ..memory.past import PastStudy
from ..memory.recall import as_study, lessons, past_trials
from ..memory.recording import learn, record
from ..memory.store import Filter, Store
from ..memory.task import Task
from ..memory.transfer import TransferAdvisor
from ..models.caller import Caller
from ..models.embedder import Embedder
from ..predictor.failure import Recalled as Known
from ..trials.advisor import Advisor
from ..trials.advisors import with_advisor
from ..trials.records import Cause, Failure, State, Trial
from ..trials.space import Space
from ..trials.study import Study
from .evolving import KINDS, Evolved, evolve

_STATES = set(State)  # an imported row may have another
MOST_TRIALS = 1000  # of past studies, among which are those that teach where runs fail


@dataclass(frozen=True)
class Recalled:
    """What the memory has for a study."""

    advisors: list[Advisor]
    lessons: list[str] = field(default_factory=list)
    words: str = ""  # for the user; "" where there is nothing
    failures: list[Known] = field(default_factory=list)  # trials that tell where runs fail, the most alike first


@dataclass
class StudyMemory:
    """A memory, and how a study is known in it.

    Args:
        script: what runs, without values. With `place` it makes two studies studies of one task.
        place: what tells scripts of one name apart.
        features: of the data, where given.
        hidden_tasks: ids of tasks of which nothing is to be seen, for honest evaluation.
    """

    store: Store
    script: str
    place: str = ""
    features: Mapping[str, float] = field(default_factory=dict)
    hidden_tasks: tuple[str, ...] = ()
    _kept: dict[str, int] = field(default_factory=dict)  # of each study, how many trials were kept in this run

    @as_faults()
    def recall(self, study: Study, space: Space, advisors: Sequence[Advisor]) -> Recalled:
        """The advisors with the one that knows past studies, and their lessons.

        Raises:
            MemoryFault: the memory cannot be read.
        """
        task = self._task(study, space)
        own = {stable_id(Kind.TRIAL, study.uid, trial.number) for trial in study.trials}
        past = past_trials(self.store, task, own, self.hidden_tasks)
        transfer = TransferAdvisor([as_study(rows, other, task) for other, rows in past])
        failures = [_known(row, other, task) for other, rows in past for row in rows if row.state in _STATES]
        failures = failures[:MOST_TRIALS]
        usable, aside = transfer.usable(space), _left_aside(transfer, space)
        left = f"leaves {_worded(aside, task)} aside, since what they show goes different ways" if aside else ""
        if len(aside) == len(usable):
            return Recalled(list(advisors), words=left, failures=failures)
        learnt = lessons(self.store, task, hidden_tasks=self.hidden_tasks)
        told = f". {' '.join(learnt)}" if learnt else "; no lesson of them is sure yet"
        begin = f"starts from {_worded([one for one in usable if one not in aside], task)}"
        words = f"{begin}, and {left}{told}" if left else f"{begin}{told}"
        return Recalled(with_advisor(advisors, transfer), learnt, words, failures)

    def keep(self, study: Study) -> None:
        """Keep the finished trials.

        Raises:
            MemoryFault: the memory cannot be written.
        """
        if study.space is None:
            return
        done, kept = study.finished, self._kept.get(study.uid, 0)
        task = self._task(study, study.space)
        record(self.store, task, study.name, study.uid, done[kept:], before=done[:kept])
        self._kept[study.uid] = len(done)

    def learn(self, study: Study) -> None:
        """Draw the lessons of all trials of the task.

        Raises:
            MemoryFault: the memory cannot be written.
        """
        self.keep(study)
        if study.space is not None:
            learn(self.store, self._task(study, study.space))

    def confirmed(self, study: Study, trial: int, gain: Gain) -> None:
        """Keep what a trial's configuration gained on the default on fresh seeds.

        Raises:
            MemoryFault: the memory cannot be written.
        """
        self.keep(study)
        if study.space is not None and study.default is not None:
            better, usual = (stable_id(Kind.TRIAL, study.uid, number) for number in (trial, study.default.number))
            learn_gain(self.store, self._task(study, study.space), better, usual, gain)

    @as_faults()
    def evolve(self, study: Study, caller: Caller, embedder: Embedder | None, seconds: float) -> Evolved:
        """Have a model evolve the task's notes, and tell what it made of them.

        Raises:
            MemoryFault: the memory cannot be read or written.
        """
        if study.space is None:
            return Evolved()
        where = Filter(kinds=KINDS, tasks=(self._task(study, study.space).id,))
        return evolve(self.store, caller, embedder, where=where, seconds=seconds)

    def _task(self, study: Study, space: Space) -> Task:
        return Task(
            script=self.script,
            metric=study.metric,
            direction=study.direction,
            space=space,
            features=dict(self.features),
            place=self.place,
        )


def _left_aside(transfer: TransferAdvisor, space: Space) -> list[PastStudy]:
    """The past studies that are not looked at; none where that cannot be worked out, as the advisor then fails and is
    told of by name."""
    try:
        return transfer.left_aside(space)
    except ValueError:  # numbers that no surrogate can be fitted to; NumPy's LinAlgError is one too
        return []


def _known(row: PastTrial, other: Task, task: Task) -> Known:
    """A trial of the memory as gate 2 reads it: without its value, which does not compare between tasks."""
    failure = Failure(Cause(row.cause), row.detail) if row.cause in set(Cause) else None
    trial = Trial(row.number, row.config, State(row.state), failure=failure, seconds=row.seconds)
    return Known(trial, weight=task.likeness(other), task=other.features)


def _worded(past: Sequence[PastStudy], task: Task) -> str:
    """`24 earlier trials, 8 of them of this very task, with loss 0.31 as the best`."""
    trials = sum(len(one.configs) for one in past)
    own = next((one for one in past if one.same), None)
    if own is None:
        return f"{trials} earlier trials of {len(past)} other task{'s' if len(past) > 1 else ''}"
    values = [value for value in own.values if value is not None]
    whose = "of this very task" if len(past) == 1 else f"{len(own.configs)} of them of this very task"
    comma = " " if len(past) == 1 else ", "
    return f"{trials} earlier trials{comma}{whose}, with {task.metric} {task.direction.best(values):.4g} as the best"
