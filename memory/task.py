"""What a task is: the script, its space, its metric, and facts about its data. Two tasks can be alike."""

from __future__ import annotations

from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict

from ..trials.errors import InputError
from ..trials.records import Direction
from ..trials.space import Space
from ..trials.space_yaml import space_from_dict, space_to_dict
from .note import MAX_WORDS, Kind, Note, stable_id

SCRIPT, SPACE, METRIC, FEATURES = 0.4, 0.3, 0.2, 0.1  # what each counts in a likeness; chosen, not measured
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Task(BaseModel):
    """What is tuned. Two studies with equal tasks are studies of one task, whose values compare.

    Args:
        script: what runs, without values: `python train.py`, or an objective's qualified name.
        place: what tells scripts of one name apart; a hash of where they lie.
        features: of the data, where given: rows, columns, classes, ...
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    script: str
    metric: str
    direction: Direction
    space: Space
    features: dict[str, float] = {}
    place: str = ""

    @property
    def id(self) -> str:
        """The id of its note."""
        names = ",".join(sorted(self.space))
        return stable_id(
            Kind.TASK, self.script, self.place, self.metric, self.direction, names, sorted(self.features.items())
        )

    @property
    def data_words(self) -> str:
        """What a note says of the data, for who asks by them: `; data of 581012 rows, 54 columns`; "" where unknown."""
        facts = ", ".join(f"{value:.15g} {name}" for name, value in self.features.items())
        return f"; data of {facts}" if facts else ""

    def note(self, study: str) -> Note:
        """Its note, which can be read and searched as it is, and read back: it holds the space whole.

        Raises:
            ValidationError: a space of more than `MAX_TASK` characters.
        """
        data: dict[str, Any] = {
            "tune": f"{self.metric}, {self.direction}, of {self.script}",
            "script": self.script,
            "place": self.place,
            "metric": self.metric,
            "direction": self.direction.value,
            "features": self.features,
            "space": space_to_dict(self.space),
        }
        style: Any = {"sort_keys": False, "allow_unicode": True, "default_flow_style": None, "width": 120}
        return Note(
            id=self.id,
            kind=Kind.TASK,
            content=yaml.dump(data, Dumper=_Dumper, **style),
            keywords=tuple(self.space)[:MAX_WORDS],
            tags=(self.metric, self.direction.value),
            context=f"first tuned in study {study}",
            study=study,
        )

    @classmethod
    def read(cls, note: Note) -> Self | None:
        """The task of a note; None where somebody rewrote its words so that it cannot be read any more."""
        try:
            data = yaml.load(note.content, Loader=_Loader)  # a safe loader
            return cls(
                script=data["script"],
                metric=data["metric"],
                direction=Direction(data["direction"]),
                space=Space(space_from_dict(data["space"])),
                features=data.get("features") or {},
                place=str(data.get("place", "")),
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError, InputError):
            return None

    def likeness(self, other: Task) -> float:
        """How alike two tasks are, from 0 to 1: the same script, hyperparameters, metric and data."""
        mine, theirs = set(self.space), set(other.space)
        shared = len(mine & theirs) / len(mine | theirs) if mine | theirs else 1.0
        metric = float((self.metric, self.direction) == (other.metric, other.direction))
        same = (self.script, self.place) == (other.script, other.place)
        return SCRIPT * same + SPACE * shared + METRIC * metric + FEATURES * self._near(other)

    def _near(self, other: Task) -> float:
        """How near the data are by the features that both state: 1 where each is equal, 0.5 where it is twice."""
        both = [name for name in self.features if name in other.features]
        if not both:
            return 0.0
        ratios = [_ratio(self.features[name], other.features[name]) for name in both]
        return sum(ratios) / len(ratios)


def _ratio(a: float, b: float) -> float:
    if a == b:
        return 1.0
    return max(min(abs(a), abs(b)) / max(abs(a), abs(b)), 0.0) if a * b > 0 else 0.0
