"""Sensible ranges by name and default: what people who train models would try first.

The ranges are wide on purpose, about what published searches use (LCBench, TaskSet, nanochat): a tuner narrows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .draft_options import Option
from .errors import SpaceError
from .space import Bool, Choice, Float, Int, Parameter

_DEFAULT_IN_HELP = re.compile(r"[(\[]\s*default[^)\]]*[)\]]", re.IGNORECASE)
HELP_LENGTH = 80  # characters of the script's help kept as description


@dataclass(frozen=True)
class Rule:
    """A range for names that match. With `times` the bounds multiply the default, else they are the bounds."""

    pattern: str
    low: float
    high: float
    log: bool = False
    times: bool = False
    most: float = float("inf")  # multiplied bounds stay below it, unless the default comes near
    usual: float | None = None  # stands in for a default that the script does not have
    real: bool = False  # only for real numbers: an int of this name is something else

    def bounds(self, default: float | None) -> tuple[float, float, bool] | None:
        """Low, high and log for a default; None where only the default could tell."""
        if not self.times:
            # A depth of 12 deserves more room than [1, 8]; a share cannot pass 1.
            return self.low, max(self.high, 2 * default if default and self.high > 1 else 0), self.log
        default = self.usual if default is None else default
        if default is None or default < 0:
            return None
        if default == 0:
            return 0.0, min(1.0, self.most), False
        high = min(default * self.high, max(self.most, default * 10))
        return _short(default * self.low), _short(high), self.log


_OPTIMIZER = (
    Rule(r"(^|_)(lr|learning_rate|step_size|eta)(_|\d|$)", 1 / 100, 100, True, True, most=1, usual=1e-3, real=True),
    Rule(r"weight_decay|(^|_)wd$", 1 / 100, 100, True, True, most=0.5, usual=1e-2),
    Rule(r"momentum|nesterov_decay", 0.0, 0.99),
    Rule(r"(^|_)b(eta)?_?1$", 0.5, 0.99),
    Rule(r"(^|_)b(eta)?_?2$", 0.9, 0.9999),
    Rule(r"warmup.*(ratio|frac|fraction|prop)", 0.0, 0.3),
    Rule(r"warm_?up", 0, 4, times=True),
    Rule(r"clip|max_(grad_)?norm|grad_norm", 1 / 10, 10, log=True, times=True),
    Rule(r"gamma|decay_rate|lr_decay|discount", 0.1, 0.9999),
    Rule(r"label_smoothing|smoothing$", 0.0, 0.3),
    Rule(r"mix_?up|cut_?mix", 0.0, 1.0),
)
_NETWORK = (
    Rule(r"drop_?(out|path)|(^|_)p_?drop|(^|_)drop$|droprate|drop_rate", 0.0, 0.9),
    Rule(r"batch(_?size)?$|(^|_)bs$", 1 / 4, 4, True, True, usual=32),
    Rule(r"(n_|num_)?(layers?|blocks?|(?<!max_)depth)$", 1, 8),
    Rule(r"(n_|num_)?heads?$", 1 / 4, 2, log=True, times=True),
    Rule(
        r"hidden|units|width|channels|filters|(^|_)n?_?emb|embed|d_model|(^|_)dim$|neurons|nodes|rank$",
        *(1 / 4, 4, True, True),
        usual=64,
    ),
    Rule(r"kernel", 1, 9),
)
_TREES = (
    Rule(r"estimators|(n_|num_)trees|num_boost|boost_round|max_iter$", 1 / 5, 5, True, True, usual=100),
    Rule(r"max_depth", 1, 16),
    Rule(r"leaf_nodes|num_leaves", 1 / 4, 8, log=True, times=True),
    Rule(r"min_samples_split", 2, 50, log=True),  # scikit-learn refuses 1
    Rule(r"min_(samples|child|data)", 1, 50, log=True),
    Rule(r"subsample|colsample|bagging_fraction|feature_fraction|max_samples", 0.3, 1.0),
    Rule(
        r"^c$|^alpha$|lambda|(^|_)l1|(^|_)l2|(^|_)reg|penalty|regulari[sz]ation", 1 / 1000, 1000, log=True, times=True
    ),
    Rule(r"temperature|(^|_)temp$|(^|_)tau$", 1 / 10, 5, times=True),
    Rule(r"(n_|num_)?neighbou?rs", 1, 50, log=True),
)
RULES = (*_OPTIMIZER, *_NETWORK, *_TREES)

# What sets the price of a trial, not its merit: tuned, the longest training would win.
COST = re.compile(
    r"epochs?$|(^|_)(n_|num_|max_)?(iters?|iterations?|steps|timesteps|updates|hours|minutes|budget)$|patience"
)
# What says where, on what and how loudly the script works, or how it judges itself.
SETTING = re.compile(
    r"(^|_)(random_?state|r?seeds?|paths?|dirs?|directory|files?|folder|root|url|host|port|output|out|save|load|ckpt|"
    r"checkpoint|resume|log|logging|logger|wandb|tensorboard|project|tags?|device|devices|gpus?|cuda|mps|cpu|accel|"
    r"accelerator|workers?|threads?|jobs|verbose|verbosity|debug|quiet|silent|dry_run|plot|print|download|data|"
    r"data_?sets?|rank|world_size|dist|distributed|profile|interval|every|freq|frequency|version|config|test|eval|val|"
    r"valid|validation|compile|backend|dtype|name|id|split|cache|host|num_classes|classes|vocab|vocab_size|in|input|"
    r"seq_len|block_size|max_length|image_size|input_size|input_dim|output_dim|in_features|out_features|eps|epsilon)(_|$)"
)
_TRAINING = re.compile(r"(lora|low)_rank$|^r$|augment|drop|min_samples|regulari[sz]|weight_decay")


def is_setting(name: str) -> bool:
    """Whether a name is about files, devices, seeds, logging or evaluation, not about training."""
    return SETTING.search(normal(name)) is not None and not _TRAINING.search(normal(name))


def is_cost(name: str) -> bool:
    """Whether a name sets how long a trial takes."""
    return COST.search(normal(name)) is not None and "warm" not in normal(name)


def is_known(name: str) -> bool:
    """Whether a rule knows this name."""
    return _rule(name) is not None


def normal(name: str) -> str:
    """`batchSize` and `BATCH_SIZE` as `batch_size`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def suggest(option: Option) -> tuple[Parameter | None, str]:
    """A range for an option, or None; and a doubt about it, or "". Raises nothing: a doubt says why."""
    if option.obstacle:
        return None, f"{option.said} is left out: {option.obstacle}"
    about = _DEFAULT_IN_HELP.sub("", " ".join(option.help.replace("%(default)s", "").split())).strip(" .")
    about = about if len(about) <= HELP_LENGTH else about[: HELP_LENGTH - 3] + "..."
    try:
        parameter, doubt = _choice(option) if option.choices else _by_kind(option)
    except SpaceError as error:
        return None, f"{option.said} is left out: {error}"
    return (replace(parameter, description=about) if parameter is not None else None), doubt


def _choice(option: Option) -> tuple[Parameter | None, str]:
    if len(option.choices) < 2:
        return None, f"{option.said} is left out: it has one choice"
    if option.default is None and not option.required:
        return None, f"{option.said} is left out: its default is none of its choices"
    return Choice(option.choices, default=option.default), ""


def _by_kind(option: Option) -> tuple[Parameter | None, str]:
    match option.kind, option.default:
        case "bool", bool() as on:
            return Bool(default=on), ""
        case "int", float(default) if not default.is_integer():
            return None, f"{option.said} is left out: its default {default:g} is no whole number"
        case (("float" | "int"), (int() | float() | None) as default) if not isinstance(default, bool):
            return _range(option, None if default is None else float(default))
        case "str", _:
            return None, f"{option.said} is left out: I found no list of its choices"
    return None, f"{option.said} is left out: I cannot tell its type or default"


def _range(option: Option, default: float | None) -> tuple[Parameter | None, str]:
    if default is None and not option.required:
        return None, f"{option.said} is left out: it has no default, so what it is now cannot be trial 0"
    rule = _rule(option.name)
    rule = None if rule is not None and rule.real and option.kind == "int" else rule
    found = rule.bounds(default) if rule is not None else None
    guessed = found is None
    low, high, log = found if found is not None else _guess(option, default)
    if high <= low:
        return None, f"{option.said} is left out: its default {default:g} seems to mean off"
    parameter = _fit(option, low, high, log, default)
    if default is None:
        return parameter, f"{option.said} has no default in the script: trial 0 takes the middle of its range"
    if guessed:
        return parameter, f"the range of {option.said} is a guess from its default {default:g}"
    zero = rule is not None and rule.times and rule.log and default == 0
    return parameter, f"{option.said} is 0 by default, so its range is not logarithmic" if zero else ""


def _guess(option: Option, default: float | None) -> tuple[float, float, bool]:
    if default is None:
        return 0.0, 1.0 if option.kind == "float" else 10.0, False
    if default < 0:
        return (0.0, 0.0, False) if default == -1 else (_short(4 * default), 0.0, False)
    if option.kind == "int":
        return (default / 4, default * 4, True) if default >= 8 else (min(default, 1), max(2 * default, 10), False)
    return (0.0, 1.0, False) if default <= 1 else (_short(default / 10), _short(default * 10), True)


def _fit(option: Option, low: float, high: float, log: bool, default: float | None) -> Parameter:
    """The range, rounded, around the default, and inside what the script itself allows."""
    whole = option.kind == "int"
    low, high = (max(round(low), 1 if log else 0), round(high)) if whole else (low, high)
    if default is not None:
        low, high = min(low, default), max(high, default)
    low = low if option.low is None else max(low, option.low)
    high = high if option.high is None else min(high, option.high)
    log = log and low > 0
    if whole:
        return Int(int(low), int(high), log=log, default=None if default is None else int(default))
    return Float(float(low), float(high), log=log, default=default)


def _rule(name: str) -> Rule | None:
    return next((rule for rule in RULES if re.search(rule.pattern, normal(name))), None)


def _short(value: float) -> float:
    return float(f"{value:.6g}")  # 0.1 / 100 * 3 leaves digits that nobody chose
