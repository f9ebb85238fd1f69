"""The local move: one step away from the best configuration, in the direction that its diagnosis suggests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .diagnosis import Verdict, diagnose
from .records import Candidate, Config, Direction, Trial, best_trial
from .space import Choice, Space

STEP = 0.15  # of a (log) range: about a factor of three on a range of five decades

# What helps against a diagnosis, first word first: a word of the hyperparameter's name, and which way to move it.
MOVES: dict[Verdict, tuple[tuple[str, int], ...]] = {
    Verdict.DIVERGED: (("lr", -1), ("learning_rate", -1), ("momentum", -1), ("init", -1)),
    Verdict.UNSTABLE: (("lr", -1), ("learning_rate", -1), ("batch", 1), ("momentum", -1)),
    Verdict.OVERFITTING: (("dropout", 1), ("decay", 1), ("reg", 1), ("units", -1), ("layers", -1), ("depth", -1)),
    Verdict.UNDERFITTING: (
        ("lr", 1),
        ("learning_rate", 1),
        ("units", 1),
        ("layers", 1),
        ("dropout", -1),
        ("decay", -1),
    ),
    Verdict.PLATEAU: (("lr", -1), ("learning_rate", -1), ("units", 1), ("width", 1), ("dropout", 1), ("batch", -1)),
    Verdict.IMPROVING: (("lr", 1), ("learning_rate", 1), ("momentum", 1), ("batch", -1), ("decay", -1)),
}


class LocalAdvisor:
    """Moves one hyperparameter of the best trial; by its diagnosis where a name is known, else by a seeded draw."""

    name = "local"

    def advise(
        self, space: Space, trials: Sequence[Trial], direction: Direction, *, seed: int, n: int = 1
    ) -> list[Candidate]:
        """Up to `n` single moves that have not been tried; none before a trial is complete."""
        best = best_trial(list(trials), direction)
        if best is None:
            return []
        seen = {space.key(trial.config) for trial in trials}
        found: list[Candidate] = []
        for config, reason in _moves(space, best, direction, seed):
            if len(found) < n and space.key(config) not in seen and space.contains(config):
                seen.add(space.key(config))
                found.append(Candidate(config, self.name, reason))
        return found


def _moves(space: Space, best: Trial, direction: Direction, seed: int) -> list[tuple[Config, str]]:
    """Every single move, the suggested ones first, then the others in a seeded order."""
    verdict = _verdict(best, direction)
    rng = np.random.default_rng(seed)
    suggested = [(name, way) for word, way in MOVES.get(verdict, ()) for name in space if _named(name, word)]
    others = [(name, way) for name in space for way in (-1, 1) if (name, way) not in suggested]
    others = [others[i] for i in rng.permutation(len(others))]
    why = f"trial {best.number}, the best, is {verdict}"
    moves = [(n, w, f"{why}: {n} {'up' if w > 0 else 'down'}") for n, w in suggested]
    moves += [(n, w, f"one step from trial {best.number}, the best: {n}") for n, w in others]
    return [
        (space.clip({**best.config, name: value}), reason)
        for name, way, reason in moves
        for value in _stepped(space, best.config, name, way)
    ]


def _verdict(best: Trial, direction: Direction) -> Verdict:
    # Trials do not know the metric's name. A curve that ends at the study's best value needs no other reference.
    curves = best.trajectory.metrics
    matching = [n for n, v in curves.items() if v and best.value is not None and v[-1] == best.value]
    return diagnose(best, direction, matching[0]).verdict if matching else Verdict.UNJUDGED


def _named(name: str, word: str) -> bool:
    parts = name.lower().split("_")
    return word in parts or (len(word) > 2 and word in name.lower())


def _stepped(space: Space, config: Config, name: str, way: int) -> list[object]:
    """The values one step away; for a choice the next one in the list."""
    if name not in config:
        return []
    parameter = space[name]
    if isinstance(parameter, Choice):
        index = parameter.choices.index(parameter.clip(config[name])) + way
        return [parameter.choices[index % len(parameter.choices)]]
    position = parameter.to_unit(config[name])
    for size in (STEP, 2 * STEP, 1.0):  # whole numbers may need a longer step to change at all
        value = parameter.from_unit(min(max(position + way * size, 0.0), 1.0))
        if value != config[name]:
            return [value]
    return []
