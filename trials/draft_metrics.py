"""Which metric a script reports, guessed from `luthier.report`, printed JSON and printed text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .draft_options import called, calls, keywords_of
from .records import Direction

# A number as scripts print it, NaN and infinities included; the one group of a pattern.
NUMBER = r"([-+]?(?:\d[\d.]*(?:[eE][-+]?\d+)?|nan|inf))"
_SMALLER = re.compile(
    r"loss|error|(^|_)err|rmse|(^|_)m[as]e($|_)|nll|perplexity|(^|_)ppl|bpb|bpc|(^|_)[wc]er($|_)|divergence|regret"
)
_LARGER = re.compile(
    r"acc|(^|_)f1|auc|score|(^|_)r2|reward|return|(^|_)map($|_)|bleu|rouge|iou|precision|recall|correct|dice|psnr|ssim"
)
_HELD_OUT = re.compile(r"val|dev($|_)|held|cv($|_)")
_PRINTERS = ("print", "info", "debug", "warning", "echo", "write", "secho", "log")
_STEP = re.compile(r"(?:epoch|step|iter|iteration|round|stage)\W*$", re.IGNORECASE)
LABEL_LENGTH = 40  # characters of text before a number that can name it


@dataclass(frozen=True)
class Metric:
    """A metric that a script reports."""

    name: str
    pattern: str = ""  # for one that is only printed
    step: str = ""  # pattern of the step on the same line, if there is one
    on_test: bool = False  # the text around it says "test"
    on_train: bool = False  # it, or the text around it, says "train"

    @property
    def direction(self) -> Direction | None:
        """Which way it improves; None when the name does not tell."""
        if _SMALLER.search(self.name):
            return Direction.MINIMIZE
        return Direction.MAXIMIZE if _LARGER.search(self.name) else None


def find_metrics(tree: ast.Module) -> list[Metric]:
    """What the script reports, the best target first: validation before others, then test, training last.

    Scores go before losses of the same kind, since they are what a person asks about.
    """
    names = [name for call in calls(tree, "report") for name in keywords_of(call)] + list(_printed_json(tree))
    reported = [Metric(n, on_test=n.startswith("test"), on_train="train" in n) for n in names]
    found = reported or list(_printed(tree))
    once: dict[str, Metric] = {}
    for metric in found:
        once.setdefault(metric.name, metric)
    return sorted(once.values(), key=_rank)


def _rank(metric: Metric) -> tuple[int, bool, bool]:
    place = 3 if metric.on_train else 2 if metric.on_test else 1
    place = 0 if _HELD_OUT.search(metric.name) and place == 1 else place
    return place, metric.direction is None, metric.direction is Direction.MINIMIZE


def _printed_json(tree: ast.Module) -> Iterator[str]:
    for call in calls(tree, "print"):
        for inner in [arg for arg in call.args if isinstance(arg, ast.Call) and called(arg.func) == "dumps"]:
            for part in inner.args:
                keys = part.keys if isinstance(part, ast.Dict) else []
                yield from (
                    key.value
                    for key in keys
                    if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_metric(key.value)
                )


def _printed(tree: ast.Module) -> Iterator[Metric]:
    printing = [call for name in _PRINTERS for call in calls(tree, name)]
    for call in sorted(printing, key=lambda node: (node.lineno, node.col_offset)):
        texts = _texts_before_values(call)
        step = next((_pattern(text) for text in texts if _STEP.search(text)), "")
        whole = " ".join(texts).lower()
        for text in texts:
            label = _label(text)
            name = re.sub(r"\W+", "_", label).strip("_").lower()
            if name and not name[0].isdigit() and _is_metric(name):
                held_out = _HELD_OUT.search(whole) is not None
                on_train = "train" in name or ("train" in whole and not held_out and "test" not in whole)
                # A printed metric gets its name here: one that begins with `test` would be hidden from the agents.
                own = re.sub(r"^test_?", "", name) or "score"
                yield Metric(own, _pattern(label), step, "test" in whole and not held_out, on_train)


def _is_metric(name: str) -> bool:
    return bool(_SMALLER.search(name.lower()) or _LARGER.search(name.lower()))


def _label(text: str) -> str:
    """The words right before a number: `val acc: ` in `epoch done, val acc: `."""
    cut = re.split(r"[,;|()\[\]\n\t]|\s-\s|\s{2,}", text[-LABEL_LENGTH:].rstrip())
    tail = cut[-1].strip()
    # After a colon inside, as in `Test set: Average loss: `, only the last part names the number.
    parts = [part for part in re.split(r"[:=]\s", tail.rstrip(":= ") + " ") if part.strip()]
    words = tail[tail.rfind(parts[-1].strip()) :] if parts else ""
    return words if len(words.split()) <= 4 else " ".join(words.split()[-3:])


def _pattern(text: str) -> str:
    """A regular expression for a label and the number after it."""
    words = re.split(r"\s+", text.strip()[-LABEL_LENGTH:].split("\n")[-1].strip())
    return r"\s*".join(re.escape(word) for word in words) + r"\s*" + NUMBER


def _texts_before_values(call: ast.Call) -> list[str]:
    """The literal text before each value that a call prints."""
    if not call.args:
        return []
    texts: list[str] = []
    for i, arg in enumerate(call.args):
        match arg:
            case ast.JoinedStr(values=parts):
                texts += _pieces(parts)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as template), attr="format")):
                texts += re.split(r"\{[^{}]*\}", template)[:-1]
            case ast.BinOp(left=ast.Constant(value=str() as template), op=ast.Mod()):
                texts += re.split(r"%[-+ #0-9.]*[diufFeEgGs]", template)[:-1]
            case ast.Constant(value=str() as text) if "%" in text and called(call.func) != "print":
                texts += re.split(r"%[-+ #0-9.]*[diufFeEgGs]", text)[:-1]
            case ast.Constant(value=str() as text) if i + 1 < len(call.args):
                texts.append(text)
    return texts


def _pieces(parts: list[ast.expr]) -> list[str]:
    texts, before = [], ""
    for part in parts:
        if isinstance(part, ast.Constant):
            before = str(part.value)
        else:
            # f"{acc=:.3f}" arrives as the text "acc=" and the value.
            texts.append(before)
            before = ""
    return texts
