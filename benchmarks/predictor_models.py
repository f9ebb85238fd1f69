"""Every predictor of the benchmark by name. One more is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from predictor_nets import CONVOLUTIONS, GraphNet

from luthier.predictor.ability import Ability, Rasch
from luthier.predictor.baselines import GradientBoosting, LogisticRegression, Majority, SuiteMean
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimator

OURS = "luthier"
Factory = Callable[[Encoder], Estimator]


def _net(name: str) -> Factory:
    return lambda encoder: GraphNet(name, encoder)


MODELS: Mapping[str, Factory] = {
    "majority": lambda encoder: Majority(),
    "suite mean": lambda encoder: SuiteMean(),
    "rasch": lambda encoder: Rasch(),
    "logistic": LogisticRegression,
    "boosting": GradientBoosting,
    **{name: _net(name) for name in CONVOLUTIONS},
    OURS: Ability,
}
BASELINES = ("majority", "suite mean", "rasch", "logistic", "boosting")  # the best of these is what must be beaten
