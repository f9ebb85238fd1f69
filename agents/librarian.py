"""The librarian: describes a new note, says which neighbours belong to it, and refines what those say of themselves.

A-MEM's note construction, link generation and evolution (Xu et al. 2025, arXiv 2502.12110, sections 3.1 to 3.3). It
proposes words and links only: content and evidence are out of its reach, an id that it was not shown is refused, and
so is a line with a number: numbers are evidence, and evidence is code's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..memory.note import MAX_WORDS, Note
from ..models.caller import Caller
from ..models.decoding import Decoding
from .prompts import prompt

MAX_KEYWORDS, MAX_TAGS = 5, 3  # that a model may add
MAX_WORD, MAX_CONTEXT = 40, 160  # characters; a schema without a bound lets a small model talk until its token limit
MAX_LINKS, MAX_REFINED = 3, 1  # of one new note; each refined one costs a small model half a minute
_DECODING = Decoding(max_tokens=256)
_NUMBER = re.compile(r"(?<![^\W\d])\d")  # one that stands alone: `l1` and `beta2` are names


class Words(BaseModel):
    """What a model says of a note. Empty where it said nothing usable."""

    model_config = ConfigDict(frozen=True)

    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    context: str = ""


class Relation(BaseModel):
    """What a model makes of a new note and its neighbours: whom to link, and whose words to refine."""

    model_config = ConfigDict(frozen=True)

    links: tuple[str, ...] = ()
    refined: Mapping[str, Words] = {}


def construct(note: Note, caller: Caller) -> Words:
    """Keywords, tags and context of a note, from its own text alone.

    Raises:
        ModelError: no answer, or one that breaks its schema.
    """
    answer = caller.ask(prompt("librarian", "construct", note=note.text), _words_schema(tags=True), _DECODING).value
    return _words(answer, note.text)


def relate(note: Note, neighbours: Sequence[Note], caller: Caller) -> Relation:
    """Links from a note to neighbours, and better words for them. Without neighbours no call is made.

    Raises:
        ModelError: no answer, or one that breaks its schema; naming an id that was not shown does.
    """
    if not neighbours:
        return Relation()
    shown = [(one.id, one.text) for one in neighbours]
    question = prompt("librarian", "relate", note=note.text, neighbours=shown)
    answer = caller.ask(question, _relation_schema([name for name, _ in shown]), _DECODING).value
    texts = dict(shown)
    refined = {one["note"]: _words(one, f"{texts[one['note']]}\n{note.text}") for one in answer["refined"]}
    return Relation(
        links=tuple(dict.fromkeys(answer["links"])), refined={n: w for n, w in refined.items() if w != Words()}
    )


def merged(base: Note, words: Words) -> dict[str, Any]:
    """A note's words with a model's beside them: what code or a person wrote stays in front; `Proposal`'s fields."""
    context = "; ".join(dict.fromkeys(part for part in (base.context, words.context) if part))
    return {
        "keywords": tuple(dict.fromkeys((*base.keywords, *words.keywords)))[:MAX_WORDS],
        "tags": tuple(dict.fromkeys((*base.tags, *words.tags)))[:MAX_WORDS],
        "context": context,
    }


def _words(answer: Mapping[str, Any], shown: str) -> Words:
    """What is usable of an answer: single lines, each once, that the note does not hold yet and that hold no number."""
    said = _plain(shown)

    def usable(texts: Sequence[str]) -> tuple[str, ...]:
        lines = (" ".join(text.split()) for text in texts)
        return tuple(dict.fromkeys(x for x in lines if _plain(x) not in said and not _NUMBER.search(x)))

    whole = answer["context"] if len(answer["context"]) < MAX_CONTEXT else ""  # one at the limit was cut
    (context,) = usable([whole]) or ("",)
    return Words(keywords=usable(answer["keywords"]), tags=usable(answer.get("tags", ())), context=context)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold().replace("_", " ")))


def _words_schema(*, tags: bool, **more: Any) -> dict[str, Any]:
    properties = {
        **more,
        "keywords": _list({"type": "string", "maxLength": MAX_WORD}, MAX_KEYWORDS),
        **({"tags": _list({"type": "string", "maxLength": MAX_WORD}, MAX_TAGS)} if tags else {}),
        "context": {"type": "string", "maxLength": MAX_CONTEXT},
    }
    return _object(properties)


def _relation_schema(names: Sequence[str]) -> dict[str, Any]:
    name = {"enum": list(names)}
    refined = _list(_words_schema(tags=False, note=name), MAX_REFINED)
    return _object({"links": _list(name, MAX_LINKS), "refined": refined})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}
