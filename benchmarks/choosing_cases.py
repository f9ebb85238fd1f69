"""Cases for choosing: a study so far, four candidate moves, and the one that is known to be right.

How the truth is defined. A case is built from a *situation* that has one textbook remedy (Goodfellow et al., Deep
Learning, sections 5.2, 8.3 and 11.4; Google's Deep Learning Tuning Playbook; scikit-learn's and XGBoost's guides to
over-fitting): a trial whose curves show the ill, in a configuration that causes it. The right move acts on the cause,
or, in situations of history, follows what the trials showed. The three wrong moves make the same ill worse, repeat a
move that the trials refuted, or go beyond a point that failed. A move that might help as well is never among the
wrong ones. Curves are drawn by formula with seeded noise; their diagnosis is the product's own, and a test checks that
it is the intended one. Numbers, signs and places are balanced by a seeded draw: the right move raises as often as it
lowers as the situations allow, and stands at each place equally often.

The `test` split has other scripts, other names and other seeds than the `tune` split, on which prompts are worded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.agents.context import Context
from luthier.agents.summarizer import summarize
from luthier.trials.diagnosis import Verdict, diagnose
from luthier.trials.records import Candidate, Cause, Config, Direction, Failure, State, Trajectory, Trial, Value
from luthier.trials.space import Float, Int, Space

Move = tuple[str, float]  # a hyperparameter and how far to go in shares of its (log) range
TRIES = 50  # draws of one case
PER_SITUATION = {"tune": 1, "test": 4}  # cases a situation and script


@dataclass(frozen=True)
class Script:
    """A training script: its space and which of its hyperparameters plays which part."""

    name: str
    metric: str
    direction: Direction
    space: Space
    rate: str  # the size of a step
    size: tuple[str, ...]  # capacity
    brake: tuple[str, ...]  # more of it regularises more
    batch: str | None = None
    memory: tuple[str, ...] = ()  # what memory grows with


@dataclass(frozen=True)
class Case:
    """A study so far and its four candidates."""

    id: str
    situation: str
    script: Script
    trials: tuple[Trial, ...]
    candidates: tuple[Candidate, ...]
    answer: int  # place of the right candidate
    expected: Verdict | None  # the diagnosis of the best trial, where the situation rests on it

    @property
    def context(self) -> Context:
        """What the product's summarizer makes of it."""
        s = self.script
        return summarize(
            name=s.name, space=s.space, trials=self.trials, direction=s.direction, metric=s.metric, budget={"trials": 8}
        )

    @property
    def verdict(self) -> Verdict:
        """The product's diagnosis of the best trial."""
        best = self.context.best
        assert best is not None
        return diagnose(self.trials[best.number], self.script.direction, self.script.metric, best.value).verdict


def _mlp() -> Script:
    space = Space(
        {
            "lr": Float(1e-5, 1.0, log=True, default=1e-3),
            "hidden_units": Int(8, 1024, log=True, default=64),
            "dropout": Float(0.0, 0.8, default=0.2),
            "weight_decay": Float(1e-6, 0.1, log=True, default=1e-4),
            "batch_size": Int(8, 1024, log=True, default=64),
        }
    )
    return Script("digits", "val_accuracy", Direction.MAXIMIZE, space, "lr", ("hidden_units",),
                  ("dropout", "weight_decay"), "batch_size", ("hidden_units", "batch_size"))  # fmt: skip


def _cnn() -> Script:
    space = Space(
        {
            "learning_rate": Float(1e-5, 1.0, log=True, default=1e-3),
            "channels": Int(8, 512, log=True, default=32),
            "l2": Float(1e-7, 0.1, log=True, default=1e-4),
            "drop_rate": Float(0.0, 0.8, default=0.2),
            "batch": Int(8, 1024, log=True, default=64),
        }
    )
    return Script("images", "val_loss", Direction.MINIMIZE, space, "learning_rate", ("channels",),
                  ("l2", "drop_rate"), "batch", ("channels", "batch"))  # fmt: skip


def _boosting() -> Script:
    space = Space(
        {
            "eta": Float(1e-3, 3.0, log=True, default=0.1),
            "max_depth": Int(1, 16, default=6),
            "max_leaves": Int(4, 512, log=True, default=31),
            "min_samples_leaf": Int(1, 200, log=True, default=10),
            "reg_lambda": Float(1e-3, 100.0, log=True, default=1.0),
        }
    )
    return Script("housing", "val_rmse", Direction.MINIMIZE, space, "eta", ("max_depth", "max_leaves"),
                  ("min_samples_leaf", "reg_lambda"))  # fmt: skip


def _lm() -> Script:
    space = Space(
        {
            "peak_lr": Float(1e-5, 0.3, log=True, default=1e-3),
            "d_model": Int(32, 2048, log=True, default=256),
            "n_layers": Int(1, 24, default=6),
            "attn_dropout": Float(0.0, 0.7, default=0.1),
            "decay": Float(1e-5, 1.0, log=True, default=0.01),
            "tokens_per_batch": Int(512, 65536, log=True, default=8192),
        }
    )
    return Script("chars", "val_bpb", Direction.MINIMIZE, space, "peak_lr", ("d_model", "n_layers"),
                  ("attn_dropout", "decay"), "tokens_per_batch", ("d_model", "tokens_per_batch"))  # fmt: skip


SCRIPTS: dict[str, tuple[Callable[[], Script], ...]] = {"tune": (_lm,), "test": (_mlp, _cnn, _boosting)}


@dataclass
class _Draw:
    """What a situation needs to write a case."""

    script: Script
    rng: np.random.Generator

    def at(self, **unit: float) -> dict[str, Value]:
        """The default with some hyperparameters at a position of their (log) range, drawn a little beside it."""
        jitter = {name: float(np.clip(u + self.rng.uniform(-0.04, 0.04), 0, 1)) for name, u in unit.items()}
        placed = {name: _round(self.script.space[name].from_unit(u)) for name, u in jitter.items()}
        return self.script.space.clip({**self.script.space.default(), **placed})

    def step(self, config: Config, *moves: Move) -> dict[str, Value]:
        """The configuration after the moves, each a little longer or shorter than given."""
        space = self.script.space
        moved = {
            name: _round(
                space[name].from_unit(
                    float(np.clip(space[name].to_unit(config[name]) + way * self.rng.uniform(0.85, 1.15), 0, 1))
                )
            )
            for name, way in moves
        }
        return space.clip({**config, **moved})

    def pick(self, names: Sequence[str]) -> str:
        return str(names[int(self.rng.integers(len(names)))])

    def trial(self, number: int, config: Config, shape: str, final: float) -> Trial:
        """A finished trial whose curve has a shape and ends at the cost `final`, lower is better."""
        n = int(self.rng.integers(14, 25))
        cost = _curve(shape, n, final, self.rng)
        values = tuple(self._shown(c) for c in cost)
        curve = Trajectory(tuple(range(n)), {self.script.metric: values})
        return Trial(number, config, State.COMPLETE, values[-1], {self.script.metric: values[-1]}, curve)

    def failed(self, number: int, config: Config, cause: Cause, detail: str) -> Trial:
        return Trial(number, config, State.FAILED, failure=Failure(cause, detail))

    def _shown(self, cost: float) -> float:
        # An accuracy is one minus a cost; a loss is a cost.
        return round(1 - cost if self.script.direction is Direction.MAXIMIZE else cost, 4)


@dataclass(frozen=True)
class _Written:
    trials: list[Trial]
    right: Config
    wrong: Sequence[Config]
    expected: Verdict | None


Situation = Callable[[_Draw], _Written | None]  # None where the script has no such situation


def overfitting(d: _Draw) -> _Written:
    """A large model with little regularisation gets worse after its best step: brake, or shrink."""
    s, size, brake = d.script, d.pick(d.script.size), d.pick(d.script.brake)
    base = d.at(**{size: 0.75, brake: 0.15})
    right = [(brake, 0.4)] if d.rng.random() < 0.5 else [(size, -0.4)]
    wrong: list[Move] = [(size, 0.2), (brake, -0.12), (next(b for b in s.brake if b != brake), -0.2)]
    return _alone(d, base, "overfit", right, wrong, Verdict.OVERFITTING)


def slow(d: _Draw) -> _Written:
    """A tiny step size, still improving at the last step: larger steps."""
    s = d.script
    base = d.at(**{s.rate: 0.15})
    wrong: list[Move] = [(s.rate, -0.1), (d.pick(s.brake), 0.35), (s.size[0], -0.3)]
    return _alone(d, base, "slow", [(s.rate, 0.35)], wrong, Verdict.IMPROVING)


def diverging(d: _Draw) -> _Written:
    """A huge step size, and the cost leaves the start upwards: smaller steps."""
    s = d.script
    base = d.at(**{s.rate: 0.85})
    wrong: list[Move] = [(s.rate, 0.12), (s.rate, 0.06), (s.batch, -0.3) if s.batch else (s.brake[0], -0.25)]
    return _alone(d, base, "diverge", [(s.rate, -0.4)], wrong, Verdict.DIVERGED)


def jumping(d: _Draw) -> _Written:
    """Large steps on small batches, and the curve jumps: smaller steps, or larger batches."""
    s = d.script
    base = d.at(**({s.rate: 0.75, s.batch: 0.3} if s.batch else {s.rate: 0.75}))
    calmer = s.batch is not None and d.rng.random() < 0.5
    right: list[Move] = [(s.batch, 0.45)] if calmer and s.batch else [(s.rate, -0.35)]
    wrong: list[Move] = [(s.rate, 0.15), (s.rate, 0.08), (s.batch, -0.2) if s.batch else (s.brake[0], -0.3)]
    return _alone(d, base, "jump", right, wrong, Verdict.UNSTABLE)


def stifled(d: _Draw) -> _Written:
    """A tiny model under heavy regularisation stalls early at a poor value: less brake, or a larger model."""
    s, size, brake = d.script, d.pick(d.script.size), d.pick(d.script.brake)
    other = next(b for b in s.brake if b != brake)
    base = d.at(**{size: 0.15, brake: 0.85, other: 0.6})
    right: list[Move] = [(brake, -0.6)] if d.rng.random() < 0.5 else [(size, 0.45)]
    return _alone(d, base, "stall", right, [(size, -0.1), (brake, 0.1), (other, 0.3)], Verdict.PLATEAU)


def out_of_memory(d: _Draw) -> _Written | None:
    """A trial ran out of memory: the others need as much or more; the right one needs no more than the best."""
    s = d.script
    if not s.memory:
        return None
    base = d.at(**{s.memory[0]: 0.5, s.memory[1]: 0.5})
    burst = d.step(base, (s.memory[0], 0.25))
    trials = [d.trial(0, base, "settle", 0.2), d.failed(1, burst, Cause.OUT_OF_MEMORY, "CUDA out of memory")]
    right = d.step(base, (s.brake[0], 0.15 * d.rng.choice([-1, 1])))
    wrong = [
        d.step(burst, (s.memory[0], 0.12)),
        d.step(burst, (s.memory[1], 0.2)),
        d.step(burst, (s.memory[0], 0.05), (s.memory[1], 0.3)),
    ]
    return _Written(trials, right, wrong, None)


def beyond_a_failure(d: _Draw) -> _Written:
    """Larger steps, or smaller batches or brakes, gave NaN: going further the same way is refuted."""
    s, way = d.script, float(d.rng.choice([-1, 1]))
    name = s.rate if way > 0 else s.batch or s.brake[0]
    base = d.at(**{name: 0.5})
    burst = d.step(base, (name, 0.2 * way))
    trials = [d.trial(0, base, "settle", 0.2), d.failed(1, burst, Cause.NAN, f"{s.metric} is nan")]
    right = d.step(base, (name, -0.12 * way)) if d.rng.random() < 0.5 else d.step(base, (s.size[0], 0.15 * -way))
    return _Written(trials, right, [d.step(burst, (name, far * way)) for far in (0.08, 0.15, 0.25)], None)


def trend(d: _Draw) -> _Written:
    """Each step of one hyperparameter the same way gained, the other way and another one lost: go on."""
    s, way = d.script, float(d.rng.choice([-1, 1]))
    name, other = d.pick([s.rate, *s.size]), d.pick(s.brake)
    base = d.at(**{name: 0.5 - 0.25 * way})
    first, second = d.step(base, (name, 0.15 * way)), d.step(base, (name, 0.3 * way))
    lost, braked = d.step(base, (name, -0.12 * way)), d.step(first, (other, 0.2))
    values = [(base, 0.30), (lost, 0.38), (first, 0.24), (braked, 0.33), (second, 0.18)]
    trials = [d.trial(i, config, "settle", final) for i, (config, final) in enumerate(values)]
    wrong = [d.step(second, (name, -0.42 * way)), d.step(second, (other, 0.2)), d.step(second, (name, -0.22 * way))]
    return _Written(trials, d.step(second, (name, 0.12 * way)), wrong, None)


def bracketed(d: _Draw) -> _Written:
    """Far lower and far higher values of one hyperparameter both lost: stay between, do not go beyond."""
    s = d.script
    name = d.pick([s.rate, s.size[0]])
    base = d.at(**{name: 0.5})
    low, high = d.step(base, (name, -0.3)), d.step(base, (name, 0.3))
    trials = [d.trial(i, c, "settle", v) for i, (c, v) in enumerate([(base, 0.2), (low, 0.36), (high, 0.33)])]
    right = d.step(base, (name, 0.08 * float(d.rng.choice([-1, 1]))))
    wrong = [d.step(base, (name, -0.38)), d.step(base, (name, 0.38)), d.step(base, (name, -0.3))]
    return _Written(trials, right, wrong, None)


SITUATIONS: tuple[Situation, ...] = (
    overfitting, slow, diverging, jumping, stifled, out_of_memory, beyond_a_failure, trend, bracketed,
)  # fmt: skip


def cases(split: str = "test") -> list[Case]:
    """Every case of a split, script by script so that a server keeps the static part of the prompt."""
    found: list[Case] = []
    for make in SCRIPTS[split]:
        script = make()
        for situation in SITUATIONS:
            for number in range(PER_SITUATION[split]):
                key = f"{split}/{script.name}/{situation.__name__}/{number}"
                case = _drawn(key, situation, script, len(found) % 4)
                if case is not None:
                    found.append(case)
    return found


def _drawn(key: str, situation: Situation, script: Script, place: int) -> Case | None:
    """The first draw whose diagnosis is the intended one and whose candidates differ and are new."""
    for attempt in range(TRIES):
        rng = np.random.default_rng([attempt, *key.encode()])
        written = situation(_Draw(script, rng))
        if written is None:
            return None
        case = _case(key, situation.__name__, script, written, place, rng)
        if _fit(case):
            return case
    raise AssertionError(f"{key}: no fitting case in {TRIES} draws; widen the situation")


def _fit(case: Case) -> bool:
    key = case.script.space.key
    fresh = {key(c.config) for c in case.candidates} - {key(t.config) for t in case.trials}
    return len(fresh) == len(case.candidates) and case.expected in (None, case.verdict)


def _case(key: str, situation: str, script: Script, w: _Written, place: int, rng: np.random.Generator) -> Case:
    configs = [w.wrong[i] for i in rng.permutation(len(w.wrong))]
    configs.insert(place, w.right)
    candidates = tuple(Candidate(config, "case", "a candidate") for config in configs)
    return Case(key, situation, script, tuple(w.trials), candidates, place, w.expected)


def _alone(
    d: _Draw, base: Config, shape: str, right: Sequence[Move], wrong: Sequence[Move], expected: Verdict
) -> _Written:
    """One trial, and single moves away from it."""
    trials = [d.trial(0, base, shape, float(d.rng.uniform(0.25, 0.45)))]
    return _Written(trials, d.step(base, *right), [d.step(base, move) for move in wrong], expected)


def _curve(shape: str, n: int, final: float, rng: np.random.Generator) -> np.ndarray:
    """Costs of shape (n,) that end near `final`; an untrained model costs 0.9."""
    t = np.linspace(0, 1, n)
    noise = rng.normal(0, 0.002, n)
    match shape:
        case "overfit":
            low = 0.7 * final
            return (
                np.where(t < 0.35, low + (0.9 - low) * np.exp(-12 * t), low + (final - low) * (t - 0.35) / 0.65) + noise
            )
        case "slow":
            return 0.9 - (0.9 - final) * t + noise
        case "diverge":
            return 0.6 + 0.35 * np.minimum(1.0, 3 * t) * rng.uniform(0.9, 1.1) + np.abs(noise)
        case "jump":
            return final + float(rng.choice([-1, 1])) * 0.12 * (-1.0) ** np.arange(n) * rng.uniform(0.7, 1.3, n) + 0.15
        case "stall":
            return 0.55 + 0.35 * np.exp(-14 * t) + noise
    return final + (0.9 - final) * np.exp(-9 * t) + noise


def _round(value: Value) -> Value:
    """Two significant digits, as people write them."""
    if not isinstance(value, float) or value == 0:
        return value
    return round(value, 1 - math.floor(math.log10(abs(value))))
