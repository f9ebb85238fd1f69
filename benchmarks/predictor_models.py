"""Every predictor of the benchmark by name. One more is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from predictor_nets import CONVOLUTIONS, GraphNet

from luthier.predictor.ability import Ability, Rasch
from luthier.predictor.baselines import GradientBoosting, LogisticRegression, Majority, SuiteMean
from luthier.predictor.design import DEFAULT, PARTS
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimator
from luthier.predictor.graph_ability import GraphAbility

OURS = "luthier"
Factory = Callable[[Encoder], Estimator]


def _net(name: str) -> Factory:
    return lambda encoder: GraphNet(name, encoder)


def _parts(parts: frozenset[str]) -> Factory:
    return lambda encoder: Ability(encoder, parts)


MODELS: Mapping[str, Factory] = {
    "majority": lambda encoder: Majority(),
    "suite mean": lambda encoder: SuiteMean(),
    "rasch": lambda encoder: Rasch(),
    "logistic": LogisticRegression,
    "boosting": GradientBoosting,
    **{name: _net(name) for name in CONVOLUTIONS},
    OURS: Ability,
}
ABLATIONS: Mapping[str, Factory] = {
    OURS: Ability,
    **{f"without {part}": _parts(DEFAULT - {part}) for part in sorted(DEFAULT)},
    **{f"with {part}": _parts(DEFAULT | {part}) for part in PARTS if part not in DEFAULT},
    "no features": _parts(frozenset()),
    "normal tails": lambda encoder: Ability(encoder, heavy=False),
    "with graph network": GraphAbility,
}
BASELINES = ("majority", "suite mean", "rasch", "logistic", "boosting")  # the best of these is what must be beaten
