"""What the nodes of the tuning graph share: the study, the runner, the advisors, the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..agents.context import Context
from ..agents.planner import Mode
from ..agents.summarizer import summarize
from ..memory.errors import MemoryFault
from ..models.caller import Caller
from ..models.embedder import Embedder, open_embedder
from ..models.errors import ModelError, ModelSpecError
from ..predictor.records import WorkflowLog
from ..predictor.workflow import Workflow
from ..trials.advisor import Advisor
from ..trials.records import Candidate, Trial
from ..trials.runner import Runner
from ..trials.space import Space
from ..trials.spec import Budget
from ..trials.study import Study
from .budgets import Spent, left, rest, spent
from .candidates import candidates_for
from .events import Event, Listener, Said, Warned, ignore
from .remembering import Recalled, StudyMemory
from .state import State

WORKFLOWS_FILE = "workflows.jsonl"


@dataclass
class Parts:
    """Everything a node may use. Contexts and candidates are derived from the study anew for each trial."""

    study: Study
    runner: Runner
    advisors: Sequence[Advisor]
    workflow: Workflow
    budget: Budget
    listen: Listener = ignore
    caller: Caller | None = None
    mode: Mode = "choose"
    stop_early: bool = True
    memory: StudyMemory | None = None
    trials: list[Trial] = field(init=False)  # the finished ones, as of the trial's begin
    used: Spent = field(init=False)  # by them
    log: WorkflowLog = field(init=False)
    told: set[str] = field(default_factory=set)  # what the memory has, once it was said
    _warned: set[str] = field(default_factory=set)
    _begun: int = field(init=False)  # how many trials were finished when this run began
    _recalled: Recalled | None = None
    _recalled_for: Space | None = None
    _context: Context | None = None
    _candidates: list[Candidate] | None = None

    def __post_init__(self) -> None:
        self.turn_to(0)
        self._begun = len(self.trials)
        self.log = WorkflowLog(self.study.folder / WORKFLOWS_FILE)

    def turn_to(self, number: int) -> None:
        """Forget the last trial; from now on the call log bears this one's number."""
        self.trials = self.study.finished
        self.used = spent(self.study, self.trials)
        self._context = self._candidates = None
        if self.caller is not None:
            self.caller.trial = number

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self.listen(event)

    def hear(self, number: int, role: str, text: str) -> None:
        """Pass on what an agent says."""
        self.listen(Said(number, role, text))

    def warn(self, kind: str, text: str) -> None:
        """Tell the user once for each kind of trouble."""
        if kind not in self._warned:
            self._warned.add(kind)
            self.listen(Warned(text))

    def asked(self, state: State) -> Caller | None:
        """The model, if it may decide once more in this trial: there is one, it has not failed here nor too often
        before, its turns and tokens are not used up."""
        within = state.get("decisions", 0) < self.workflow.decisions and not state.get("failures")
        tokens = self.budget.tokens
        if tokens is not None and self.used.tokens + state.get("tokens", 0) >= tokens:
            return None
        if self.caller is not None and (pause := rest(self.trials[self._begun :])):
            self.warn("rest", f"{self.caller.name} failed again and again; it is asked again after {pause} more trials")
            return None
        return self.caller if within and state["number"] > 0 else None

    @property
    def recalled(self) -> Recalled:
        """What the memory has for this study; asked once for each space of a run."""
        if self._recalled is None or self._recalled_for != self.study.space:
            self._recalled, self._recalled_for = self._recall(), self.study.space
        return self._recalled

    def _recall(self) -> Recalled:
        space = self.study.space
        if self.memory is not None and space is not None:
            try:
                return self.memory.recall(self.study, space, self.advisors)
            except MemoryFault as error:
                self.warn("memory", f"{error}; the study goes on without the memory")
        return Recalled(list(self.advisors))

    def remember(self, *, learn: bool = False) -> None:
        """Give the finished trials to the memory, and have it draw its lessons; a memory that fails is told once."""
        if self.memory is None:
            return
        try:
            (self.memory.learn if learn else self.memory.keep)(self.study)
        except MemoryFault as error:
            self.warn("memory", f"{error}; the study goes on without the memory")

    def evolve(self, seconds: float) -> None:
        """Have the model evolve what the memory learnt of the task, where both are there; trouble is told once."""
        tokens = self.budget.tokens
        spent_all = tokens is not None and self.used.tokens >= tokens
        if seconds <= 0 or self.memory is None or self.caller is None or spent_all:
            return
        self.caller.trial = None  # in the call log: these calls are of no trial
        try:
            found = self.memory.evolve(self.study, self.caller, self._embedder(), seconds)
        except (MemoryFault, ModelError) as error:  # of the memory's file, or of what embeds its notes
            self.warn("memory", f"{error}; the notes stay as they are")
            return
        if found.trouble:
            self.warn("evolve", f"{self.caller.name} said nothing usable of {found.failed} notes ({found.trouble})")
        if found.read and self.trials:
            self.hear(self.trials[-1].number, "memory", found.sentence(self.caller.name))

    def _embedder(self) -> Embedder | None:
        try:
            return open_embedder()
        except (ModelSpecError, ModelError) as error:
            self.warn("embedder", f"notes are described without their neighbours: {error}")
            return None

    def context(self) -> Context:
        """The summarizer's context of the finished trials."""
        if self._context is None:
            study = self.study
            self._context = summarize(
                name=study.name,
                space=study.space,
                trials=self.trials,
                direction=study.direction,
                metric=study.metric,
                noise=study.noise,
                budget=left(self.used, self.budget),
                recalled=self.recalled.lessons,
            )
        return self._context

    def candidates(self, number: int) -> list[Candidate]:
        """The advisors' candidates for this trial, best advisor first; never empty.

        Raises:
            SpaceExhausted: when every configuration has been tried.
        """
        if self._candidates is None:
            chooses = self.caller is not None and self.workflow.uses_model
            self._candidates = candidates_for(
                self.study, self.trials, number, self.recalled.advisors, several=chooses, warn=self.warn
            )
        return self._candidates
