"""A note as a Markdown file and back, exactly: YAML front matter, the content as it is, typed links at the end."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .errors import ImportFault
from .note import CODE, Author, Kind, Link, LinkType, Note, PastTrial

HEADING = "\n\n## Links\n"
_ORDER = ("id", "kind", "task", "study", "keywords", "tags", "context", "author", "time", "recalled", "evidence")
_FILE = re.compile(r"---\n(.*?)^---[ \t]*(?:\n|\Z)(.*)", re.DOTALL | re.MULTILINE)
_TYPES = "|".join(LinkType)
_LINK = re.compile(rf"- ({_TYPES}): \[\[([^\[\]]+)\]\](?: <!-- (.*) -->)?")
_PLAIN = re.compile(r"[A-Za-z][\w-]*", re.ASCII)  # text that stands in YAML without quotes, if it means nothing there
_UNBROKEN = 2**31 - 1  # columns of a line of YAML
Record = TypeVar("Record", bound=BaseModel)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class NoteFile:
    """What a file says of a note: its latest revision, the links that begin at it, and the row of a trial.

    The note's time is that of its revision 0, so that notes keep their order in another memory.
    """

    note: Note
    links: tuple[Link, ...] = ()
    row: PastTrial | None = None
    forgotten: bool = False  # there only because another note needs it


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """YAML whose texts have no line breaks, so that no line of it can be taken for the end of the front matter."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _PLAIN.fullmatch(text) else '"')


_Dumper.add_representer(str, _text)


def to_text(file: NoteFile) -> str:
    """The file of a note."""
    data = file.note.model_dump(mode="json")
    front = {name: data[name] for name in _ORDER}
    if file.row is not None:
        front["trial"] = file.row.model_dump(mode="json", exclude={"id"})
    if file.forgotten:
        front["forgotten"] = True
    style: Any = {"default_flow_style": None, "sort_keys": False, "allow_unicode": True, "width": _UNBROKEN}
    dumped = yaml.dump(front, Dumper=_Dumper, **style)
    return f"---\n{dumped}---\n\n{file.note.content}{_section(file)}\n"


def from_text(text: str) -> NoteFile:
    """The note of a file; what `to_text` wrote comes back as it was.

    A note that a person wrote needs an id and a kind; what else it leaves out has its usual value.

    Raises:
        ImportFault: the text is no note; the message does not name the file.
    """
    if text.startswith("---\r\n"):  # some tool made CRLF of every line end of an export, which begins with a bare LF
        text = text.replace("\r\n", "\n")
    parts = _FILE.fullmatch(text)
    if parts is None:
        raise ImportFault("a note must begin with front matter between two lines `---`, but this has none")
    front, body = _front(parts[1]), parts[2].removeprefix("\n").removesuffix("\n")
    content, heading, section = body.rpartition(HEADING)
    row, forgotten = front.pop("trial", None), front.pop("forgotten", False)
    note = _record(Note, {"author": {"by": "person"}, **front, "content": content if heading else body})
    if row is not None and (note.kind is not Kind.TRIAL or not isinstance(row, dict)):
        raise ImportFault(f"`trial` must be a mapping in a note of kind trial, but got {row!r} in a {note.kind}")
    past = None if row is None else _record(PastTrial, {**row, "id": note.id}, "trial.")
    return NoteFile(note, _links(note, section if heading else ""), past, forgotten is True)


def _section(file: NoteFile) -> str:
    """The links, in an order that does not depend on when they were made; first that to the task, for readers."""
    order, own = list(LinkType), file.note.task
    lines = [_to_task(own)] if own else []
    for link in sorted(file.links, key=lambda link: (order.index(link.type), link.target)):
        line = f"- {link.type}: [[{link.target}]]"
        lines.append(line if link.author == CODE and line != _to_task(own) else f"{line} {_by(link.author)}")
    # The last heading is ours: content that holds one needs another after it.
    return f"{HEADING}\n" + "\n".join(lines) if lines else HEADING if HEADING in file.note.content else ""


def _to_task(task: str) -> str:
    """What the front matter says already, so that it is no link of the memory; such a link tells its author."""
    return f"- {LinkType.SAME_TASK}: [[{task}]]"


def _by(author: Author) -> str:
    return f"<!-- {json.dumps(author.model_dump())} -->"


def _links(note: Note, section: str) -> tuple[Link, ...]:
    lines = (line.rstrip() for line in section.split("\n"))
    return tuple(_link(note.id, line) for line in lines if line and line != _to_task(note.task))


def _link(source: str, line: str) -> Link:
    parts = _LINK.fullmatch(line)
    if parts is None:
        raise ImportFault(
            f"a line under the last `## Links` must be like `- similar: [[lesson-3f9a1c8d2e11]]`, but got {line!r}; "
            f"types are {', '.join(LinkType)}"
        )
    try:
        author = CODE if parts[3] is None else Author.model_validate_json(parts[3])
    except ValidationError as error:
        raise ImportFault(f"the comment after a link must be its author as JSON, but got {parts[3]!r}") from error
    return Link(source=source, target=parts[2], type=LinkType(parts[1]), author=author)


def _front(text: str) -> dict[str, Any]:
    try:
        # References could make a short file endless; notes need none.
        if "*" in text and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=_Loader)):
            raise ImportFault("front matter must not refer to itself by `*`; put the text in quotes")
        data = yaml.load(text, Loader=_Loader)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ImportFault(f"front matter must be YAML, but {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ImportFault(f"front matter must be a mapping like `kind: lesson`, but got {data!r:.100}")
    for name in data:
        if name not in (*_ORDER, "trial", "forgotten"):
            raise ImportFault(f"front matter has the keys {', '.join(_ORDER)}, but got {name!r}; take it out")
    return data


def _record(kind: type[Record], data: dict[str, Any], place: str = "") -> Record:
    try:
        return kind(**data)
    except (ValidationError, TypeError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise ImportFault(f"front matter must hold the fields of a note, but {error}") from error
        first = error.errors()[0]
        name = place + ".".join(map(str, first["loc"]))
        got = "nothing" if first["type"] == "missing" else f"{first['input']!r:.100}"
        raise ImportFault(f"`{name}` is wrong: {first['msg']}, but got {got}") from error
