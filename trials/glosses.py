"""What hyperparameters do, by their names, and what a diagnosis asks for, in the same words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .diagnosis import Verdict
from .records import Cause

# Parts of a hyperparameter's name, and what raising and lowering it does. The first row that fits counts.
GLOSSES: tuple[tuple[str, str, str], ...] = (
    (r"dropout|drop_rate|drop_prob|weight_decay|decay|l1|l2|reg|alpha|lambda|penalty|smoothing|min_samples|min_child"
     r"|min_data|augment", "more regularisation", "less regularisation"),
    (r"lr|learning_rate|eta|step_size", "larger steps", "smaller steps"),
    (r"batch", "larger batches", "smaller batches"),
    (r"units|hidden|width|channels|filters|layers|depth|d_model|dim|embed|heads|leaves|neurons|size", "larger model",
     "smaller model"),
    (r"momentum|beta1", "more momentum", "less momentum"),
    (r"epochs|steps|iter|estimators|rounds|trees", "longer training", "shorter training"),
)  # fmt: skip

REMEDIES: Mapping[str, str] = {
    Verdict.OVERFITTING: "more regularisation or a smaller model",
    Verdict.UNDERFITTING: "a larger model, larger steps or less regularisation",
    Verdict.PLATEAU: "a larger model, less regularisation or other steps",
    Verdict.IMPROVING: "larger steps or longer training",
    Verdict.UNSTABLE: "smaller steps or larger batches",
    Verdict.DIVERGED: "smaller steps",
    Cause.OUT_OF_MEMORY: "a smaller model or smaller batches",
    Cause.TIMEOUT: "a smaller model or shorter training",
}


def gloss(name: str, way: int) -> str:
    """What raising (`way` > 0) or lowering a hyperparameter does, by its name; "" for an unknown one."""
    row = kind(name)
    return "" if row is None else GLOSSES[row][1 if way > 0 else 2]


def kind(name: str) -> int | None:
    """The row of `GLOSSES` that fits a hyperparameter's name; None for an unknown one."""
    fitting = (row for row, (pattern, _, _) in enumerate(GLOSSES) if _fits(pattern, name))
    return next(fitting, None)


def _fits(pattern: str, name: str) -> bool:
    return re.search(rf"(?:^|_)(?:{pattern})s?(?:_|$|\d)", name.lower()) is not None
