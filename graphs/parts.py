"""What the nodes of the tuning graph share: the study, the runner, the advisors, the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..agents.context import Context
from ..agents.critic import Worth
from ..agents.planner import Mode
from ..agents.summarizer import summarize
from ..memory.errors import MemoryFault
from ..models.caller import Caller
from ..models.errors import ModelError
from ..predictor.derived import Derived
from ..predictor.records import WorkflowLog
from ..predictor.workflow import Workflow
from ..trials.advisor import Advisor
from ..trials.advisors import reading_curves
from ..trials.records import Candidate, Trial
from ..trials.runner import Runner
from ..trials.space import Space
from ..trials.spec import Budget
from ..trials.study import Study
from .budgets import Spent, left, rest, short_of_time, spent
from .candidates import candidates_for
from .events import Event, Listener, Said, Warned, ignore
from .features import features_of
from .gating import Gates, Judge
from .remembering import Recalled, StudyMemory
from .state import Skip, State

WORKFLOWS_FILE = "workflows.jsonl"


@dataclass
class Parts:
    """Everything a node may use. Contexts and candidates are derived from the study anew for each trial."""

    study: Study
    runner: Runner
    advisors: Sequence[Advisor]
    workflows: Mapping[str, Workflow]  # that may carry a trial, bound to the model
    budget: Budget
    listen: Listener = ignore
    caller: Caller | None = None
    mode: Mode = "choose"
    stop_early: bool = True
    memory: StudyMemory | None = None
    gates: Gates = field(default_factory=Gates)
    workflow: Workflow = field(init=False)  # that carries the present trial
    trials: list[Trial] = field(init=False)  # the finished ones, as of the trial's begin
    used: Spent = field(init=False)  # by them
    log: WorkflowLog = field(init=False)
    told: set[str] = field(default_factory=set)  # what the memory has, once it was said
    _warned: set[str] = field(default_factory=set)
    _begun: int = field(init=False)  # how many trials were finished when this run began
    _recalled: Recalled | None = None
    _recalled_for: Space | None = None
    _context: Context | None = None
    _candidates: tuple[int, list[Candidate]] | None = None  # and how many were skipped before them
    _judge: Judge | None = None
    _steps: Worth | None = None

    def __post_init__(self) -> None:
        self.workflow = next(iter(self.workflows.values()))
        self.turn_to(0)
        self._begun = len(self.trials)
        self.log = WorkflowLog(self.study.folder / WORKFLOWS_FILE)

    def turn_to(self, number: int) -> None:
        """Forget the last trial; from now on the call log bears this one's number."""
        self.trials = self.study.finished
        self.used = spent(self.study, self.trials)
        self._context = self._candidates = self._judge = self._steps = None
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
        return self.caller if within and state["number"] > 0 and self._answers(state.get("tokens", 0)) else None

    def able(self) -> Mapping[str, Workflow]:
        """The workflows that could carry a trial now: those that ask the model only while it may be asked."""
        left = {name: one for name, one in self.workflows.items() if not one.uses_model or self._answers()}
        return left or self.workflows

    def _answers(self, tokens: int = 0) -> bool:
        """Whether the model has tokens left, beyond those of this trial, and is not resting after failures."""
        if self.caller is None or (self.budget.tokens is not None and self.used.tokens + tokens >= self.budget.tokens):
            return False
        if pause := rest(self.trials[self._begun :]):
            self.warn("rest", f"{self.caller.name} failed again and again; it is asked again after {pause} more trials")
        return not pause

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

    def step_worth(self, space: Space) -> Worth | None:
        """What the learnt scorer says of the steps that could follow the finished trials; None where it is off."""
        if self._steps is None and self.gates.worth is not None:
            self._steps = self.gates.worth(space, self.trials, self.study.direction, self.study.metric)
        return self._steps

    @property
    def hurried(self) -> bool:
        """Whether trainings are stopped early, and hours are short."""
        return self.stop_early and short_of_time(self.trials, self.used, self.budget)

    def candidates(self, number: int, skips: Sequence[Skip] = ()) -> list[Candidate]:
        """The advisors' candidates for this trial beside what gate 2 skipped, best advisor first; never empty.

        Raises:
            SpaceExhausted: when every configuration has been tried.
        """
        if self._candidates is None or self._candidates[0] != len(skips):
            several = self.workflow.chooses and (self.caller is not None or not self.workflow.uses_model)
            known = self.recalled.advisors
            advisors = reading_curves(known, self.study.metric) if self.hurried else known
            found = candidates_for(
                self.study, self.trials, number, advisors, several=several, warn=self.warn, skips=skips
            )
            self._candidates = (len(skips), found)
        return self._candidates[1]

    def judge(self, number: int) -> Judge | None:
        """Gate 2 as the finished trials make it; None where it has no say: it is off, or this is trial 0."""
        space, study, made = self.study.space, self.study, self.gates.judge
        if made is None or number == 0 or space is None:
            return None
        if self._judge is None:
            recalled, features = self.recalled, self.memory.features if self.memory else {}
            self._judge = made(
                space,
                study.direction,
                recalled=recalled.failures,
                derived=self._derived(space),
                task=features,
                seed=study.seed,
            )
            self._judge.fit(self.trials, self.context().noise.deviation)
        return self._judge

    def _derived(self, space: Space) -> list[Derived]:
        """What may tell where runs fail. A capable model reads the script for it once a run has failed; what a small
        one reads there is worth less than nothing (docs/gate.md)."""
        asks = self.mode == "propose" and any(t.died_there for t in self.trials) and self._answers()
        caller = self.caller if asks else None
        try:
            return features_of(self.study.folder, space, self.runner, caller)
        except ModelError as error:
            self.warn("features", f"{error}; the script is read by rules")
            return features_of(self.study.folder, space, self.runner, None)
