"""What the nodes of the tuning graph share: the study, the runner, the advisors, the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..agents.context import Context
from ..agents.critic import check_rules
from ..agents.planner import Mode
from ..agents.summarizer import summarize
from ..models.caller import Caller
from ..predictor.workflow import Workflow
from ..trials.advisor import Advisor, seed_for
from ..trials.advisors import best_candidate
from ..trials.records import Candidate, Trial
from ..trials.runner import Runner
from ..trials.space import Space
from ..trials.spec import Budget
from ..trials.study import Study
from .events import Event, Listener, Said, Warned

MAX_DECISIONS = 2  # of a model, a trial; a workflow with more nodes that ask one may use one each
EACH = {"local": 2}  # candidates of an advisor when a model chooses; one of every other


@dataclass
class Parts:
    """Everything a node may use. Contexts and candidates are derived from the study anew for each trial."""

    study: Study
    runner: Runner
    advisors: Sequence[Advisor]
    workflow: Workflow
    budget: Budget
    listen: Listener
    caller: Caller | None = None
    mode: Mode = "choose"
    stop_early: bool = True
    said: list[dict[str, str]] = field(default_factory=list)  # by agents, in this trial
    repairs: list[dict[str, str]] = field(default_factory=list)
    tokens_before: int = 0  # of the caller, when the last trial was recorded
    seconds_before: float = 0.0
    _warned: set[str] = field(default_factory=set)
    _context: tuple[int, Context] | None = None
    _candidates: tuple[int, list[Candidate]] | None = None

    @property
    def max_decisions(self) -> int:
        """How often the model may decide within one trial."""
        return max(MAX_DECISIONS, sum(bool(node.prompt) for node in self.workflow.nodes))

    def begin(self, number: int) -> None:
        """Forget the last trial; from now on the call log bears this one's number."""
        self.said, self.repairs, self._context, self._candidates = [], [], None, None
        if self.caller is not None:
            self.caller.trial = number

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self.listen(event)

    def say(self, number: int, role: str, text: str) -> None:
        """Pass on, and keep for the trial's record, what an agent says."""
        self.said.append({"role": role, "text": text})
        self.listen(Said(number, role, text))

    def warn(self, kind: str, text: str) -> None:
        """Tell the user once for each kind of trouble."""
        if kind not in self._warned:
            self._warned.add(kind)
            self.listen(Warned(text))

    def context(self, number: int) -> Context:
        """The summarizer's context for this trial."""
        if self._context is None or self._context[0] != number:
            study = self.study
            made = summarize(
                name=study.name,
                space=study.space,
                trials=study.finished,
                direction=study.direction,
                metric=study.metric,
                noise=study.noise,
                budget={"trials": self.budget.trials - number},
            )
            self._context = (number, made)
        return self._context[1]

    def candidates(self, number: int) -> list[Candidate]:
        """Prevalidated candidates, best advisor first; never empty. Trial 0 has the default alone.

        Without a model only the first advisor with something to say is asked.
        """
        if self._candidates is None or self._candidates[0] != number:
            self._candidates = (number, self._ask_advisors(number))
        return self._candidates[1]

    def best_candidate(self, number: int) -> Candidate:
        """What runs when no model decides."""
        return best_candidate(self.candidates(number))

    def _ask_advisors(self, number: int) -> list[Candidate]:
        space, trials = self.study.space, self.study.finished
        if space is None:
            return [Candidate({}, "default", "the objective's own suggestions, each at the midpoint of its range")]
        found: list[Candidate] = []
        alone = self.caller is None or not self.workflow.uses_model
        for advisor in self.advisors:
            wanted = 1 if alone else EACH.get(advisor.name, 1)
            seed = seed_for(self.study.seed, number, advisor.name)
            made = advisor.advise(space, trials, self.study.direction, seed=seed, n=wanted)
            found += _fresh(made, found, space, trials)
            if found and (alone or found[0].source == "default"):
                break
        return found or [_drawn(space, trials, seed_for(self.study.seed, number, "random"))]


def _fresh(made: list[Candidate], found: list[Candidate], space: Space, trials: Sequence[Trial]) -> list[Candidate]:
    keys = {space.key(c.config) for c in found}
    fresh = []
    for candidate in made:
        if space.key(candidate.config) not in keys and check_rules(candidate.config, space, trials) is None:
            keys.add(space.key(candidate.config))
            fresh.append(candidate)
    return fresh


def _drawn(space: Space, trials: Sequence[Trial], seed: int) -> Candidate:
    """A random configuration, new if the space still has one."""
    rng = np.random.default_rng(seed)
    seen = {space.key(trial.config) for trial in trials}
    for _ in range(100):
        config = space.sample(rng)
        if space.key(config) not in seen:
            return Candidate(config, "random", "no advisor had anything new, so a random configuration")
    return Candidate(config, "random", "every configuration drawn had been tried before")
