"""One study that the advisors lead, and what other workflows would try from its states."""

from __future__ import annotations

import copy
import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from methods import ObjectiveRunner
from pydantic import PrivateAttr
from rich.table import Table
from suites import Normaliser, Objective

from luthier.agents.planner import planning_mode
from luthier.agents.prompts import prompt_hashes
from luthier.graphs.accounts import at_begin
from luthier.graphs.gating import Gates
from luthier.graphs.loop import tune_study
from luthier.graphs.parts import WORKFLOWS_FILE, Parts
from luthier.graphs.state import State, Turn
from luthier.graphs.tuning import RECURSION_LIMIT, build_graph
from luthier.models.caller import Caller
from luthier.predictor.records import WorkflowRecord, record_of
from luthier.predictor.workflow import workflow_named
from luthier.trials.advisor import Advisor
from luthier.trials.records import Candidate, Direction, Trial
from luthier.trials.space import Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study

ADVISORS = "advisors"
FILE = WORKFLOWS_FILE
PATIENCE = 1200.0  # seconds for a question: a busy machine must not look like a model that fails
TIE = 0.01  # of the way from the median reference point to the best: values nearer than that count as equal
OUTCOMES = ("judge", "run")  # operators: before the first of them a trial is planned and nothing has happened yet
FACTS = ("best_before", "noise", "scale", "index", "budget_left", "model_share", "model", "tokens", "model_seconds",
         "decisions", "model_failures")  # fmt: skip


def tie(normaliser: Normaliser) -> float:
    """The difference below which two values of a task count as equal, in units of its metric."""
    return TIE * abs(normaliser.best - normaliser.median)


def outcome(value: float, advisors: float, best: float, direction: Direction, tie: float) -> int:
    """2 where a trial gains more than the advisors' would have from the same state, 1 where as much, 0 where less.

    A gain is what a trial adds to the best before it, if that is more than a tie, else 0; a failed trial (NaN) gains
    nothing. So where neither finds anything better they are level, however bad one of them is.
    """
    mine, theirs = (_gain(one, best, direction, tie) for one in (value, advisors))
    return 1 if abs(mine - theirs) <= tie else 2 * (mine > theirs)


def _gain(value: float, best: float, direction: Direction, tie: float) -> float:
    gain = 0.0 if math.isnan(value) else direction.gain(value, best)
    return gain if gain > tie else 0.0


@dataclass(frozen=True)
class Led:
    """A study that the advisors lead."""

    name: str
    id: str
    space: Space
    direction: Direction
    objective: Objective
    advisors: Sequence[Advisor]
    seed: int
    trials: int  # its budget, as the workflows are told
    tie: float  # as `tie` gives it
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the log lines


class Once:
    """An advisor that is asked once a state, however many workflows ask it: equal arguments give equal candidates."""

    def __init__(self, advisor: Advisor) -> None:
        self.name, self._advisor = advisor.name, advisor
        self._known: dict[tuple[int, int, int], list[Candidate]] = {}  # by the number of trials, seed and n

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """As the advisor itself, for the trials of one study only."""
        key = len(trials), seed, n
        if key not in self._known:
            self._known[key] = self._advisor.advise(space, trials, direction, seed=seed, n=n)
        return self._known[key]


class OnceChat(BaseChatModel):
    """A model that answers equal questions once: a planner with a critic begins as one without. Sure models only, whose
    answer to a question is always the same. What was not spent again is counted in `saved`."""

    speaks_openai: ClassVar[bool] = True
    inner: BaseChatModel
    saved: float = 0.0  # seconds
    _known: dict[str, tuple[ChatResult, float]] = PrivateAttr(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "luthier-once"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asked = {name: value for name, value in kwargs.items() if name != "timeout"}
        key = json.dumps([convert_to_openai_messages(messages), stop, asked], sort_keys=True)
        if key in self._known:
            found, seconds = self._known[key]
            self.saved += seconds
            return found
        began = time.monotonic()
        found = self.inner._generate(messages, stop, run_manager, **kwargs)
        self._known[key] = found, time.monotonic() - began
        return found


class Open:
    """Such a study in a temporary folder. `advance` leads it on; `records` asks and leaves it as it is."""

    def __init__(self, led: Led) -> None:
        self.led = led
        self._advisors = [Once(advisor) for advisor in led.advisors]
        self._folder = tempfile.TemporaryDirectory()
        self._study = Study.create(
            Path(self._folder.name) / "study",
            name=led.name,
            space=led.space,
            metric="value",
            direction=led.direction,
            seed=led.seed,
        )

    def close(self) -> None:
        """Forget the study."""
        self._study.close()
        self._folder.cleanup()

    def advance(self, trials: int) -> None:
        """Have the advisors lead it on to so many trials."""
        with self._study.lock():
            tune_study(
                self._study,
                ObjectiveRunner(self.led.objective),
                budget=Budget(trials=trials),
                advisors=self._advisors,
                noise=0,
                stop_early=False,
            )

    def records(
        self, names: Sequence[str], model: BaseChatModel | None, model_name: str, number: int
    ) -> Iterator[WorkflowRecord]:
        """One line of each of these workflows from this state. The advisors against themselves are level: that, too, is
        to be learnt."""
        theirs = self._value(self._planned(ADVISORS, None, "none", number)[1]["choice"]["config"])
        once = None if model is None else OnceChat(inner=model)
        for name in names:
            before = 0.0 if once is None else once.saved
            parts, state = self._planned(name, once, model_name, number)
            if once is not None:
                state["model_seconds"] = state.get("model_seconds", 0.0) + once.saved - before
            yield self._record(parts, state, number, self._value(state["choice"]["config"]), theirs)

    def _planned(self, name: str, model: BaseChatModel | None, model_name: str, number: int) -> tuple[Parts, State]:
        """The state of the tuning graph when a workflow has planned the next trial and nothing of it is run yet."""
        asks = workflow_named(name).uses_model and model is not None
        turn = Turn(
            workflow=name, model=model_name if asks else "none", probability=1.0, random=False, reason="", arms=[]
        )
        workflow = workflow_named(name).bound(model_name if asks else "", prompt_hashes())
        parts = Parts(
            study=self._study,
            runner=ObjectiveRunner(self.led.objective),
            advisors=self._advisors,
            workflows={name: workflow},
            budget=Budget(trials=self.led.trials),
            caller=Caller(model, name=model_name, timeout=PATIENCE) if asks and model is not None else None,
            mode=planning_mode(model_name),
            stop_early=False,
            gates=Gates(judge=None),
        )
        parts.turn_to(number)
        graph = build_graph(parts.workflow, parts, InMemorySaver())
        config = {"configurable": {"thread_id": name}, "recursion_limit": RECURSION_LIMIT}
        before = [node.id for node in workflow.nodes if node.operator in OUTCOMES]
        graph.invoke(State(number=number, attempt=0, workflow=name, turn=turn), config, interrupt_before=before)
        state: State = graph.get_state(config).values
        return parts, state

    def _value(self, config: Mapping[str, Any]) -> float:
        """What a configuration is worth from this state. An objective that remembers is asked as a copy."""
        objective = copy.deepcopy(self.led.objective)
        return objective(config)

    def _record(self, parts: Parts, state: State, number: int, value: float, theirs: float) -> WorkflowRecord:
        facts, led, choice = at_begin(parts, state), self.led, state["choice"]
        ran = facts.pop("ran")
        better = outcome(value, theirs, facts["best_before"], led.direction, led.tie)
        tried = [{"source": c.source, "value": _number(self._value(c.config))} for c in parts.candidates(number)]
        return record_of(
            parts.workflow,
            ran,
            task=f"tune value ({led.direction}) of {led.name}",
            task_id=f"{led.id}/{number}",
            label=int(better == 2),
            runs=2,  # so that a tie is half a success
            successes=better,
            value=_number(value),
            advisors_value=_number(theirs),
            tie=led.tie,
            direction=led.direction.value,
            source=choice["source"],
            config=dict(choice["config"]),
            candidates=tried,
            revisions=state.get("revisions", 0),
            fell_back=parts.workflow.uses_model and "take" in ran,
            **{fact: facts[fact] for fact in FACTS},
            **led.facts,
        )


def workflow_of(record: WorkflowRecord) -> str:
    """The name of the workflow."""
    return str(record.workflow_id).split("/")[0]


def summary(name: str, records: Iterable[WorkflowRecord]) -> Table:
    """How often each workflow gained more than the advisors from the same state, as much and less, and its cost."""
    table = Table(title=f"{name}: against the advisors from the same state")
    for head in ("workflow", "states", "more", "level", "less", "other choice", "tokens", "seconds"):
        table.add_column(head, justify="left" if head == "workflow" else "right")
    rows: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        rows.setdefault(workflow_of(record), []).append(record.model_dump())
    for workflow, found in rows.items():
        counts = [sum(facts["successes"] == way for facts in found) for way in (2, 1, 0)]
        other = sum(facts["value"] != facts["advisors_value"] for facts in found)
        tokens, seconds = (float(np.mean([facts[what] for facts in found])) for what in ("tokens", "model_seconds"))
        table.add_row(workflow, str(len(found)), *map(str, [*counts, other]), f"{tokens:,.0f}", f"{seconds:.1f}")
    return table


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
