"""What the gates of a study start from: the trained predictor, and the turns of the studies beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .graphs.events import Event, Warned
from .trials.study import Study

if TYPE_CHECKING:
    from .graphs.gating import Gates
    from .predictor.ability import Ability
    from .predictor.turns import Turn
    from .predictor.workflow import Workflow

MOST_STUDIES = 50  # beside this one, the latest
_TURNS_TELL = "a workflow's turns alone tell what it is worth"


def gates_of(study: Study, audits: float, listen: Callable[[Event], None]) -> Gates:
    """Both gates of a study. Trouble with what they start from is told once, and they start without it."""
    from .graphs.gating import Gates

    return Gates(success=Prior(study, listen), past=turns_beside(study.folder), audits=audits)


class Prior:
    """The trained predictor's word on workflows for a study, read when it is first asked for."""

    def __init__(self, study: Study, listen: Callable[[Event], None]) -> None:
        self._study, self._listen = study, listen
        self._ability: Ability | None = None
        self._opened = False

    def __call__(self, workflows: Sequence[Workflow]) -> list[float | None]:
        """The probability that each beats what the advisors alone would try; None where the predictor abstains."""
        from .models.errors import ModelError, ModelSpecError
        from .predictor.logs import Task
        from .predictor.study_logs import SUITE, as_planned, tuning_task
        from .predictor_ask import pairs_of

        nothing: list[float | None] = [None] * len(workflows)
        if (ability := self._read()) is None:
            return nothing
        study = self._study
        task = Task(study.name, SUITE, tuning_task(study.metric, study.direction, study.name))
        try:
            found = ability.predict(pairs_of([(as_planned(one), task) for one in workflows]))
        except (ModelSpecError, ModelError) as error:  # of the embedder: a server that is gone, a damaged file
            self._give_up(f"the predictor cannot read texts: {error}")
            return nothing
        known = zip(found.probability.tolist(), found.abstains.tolist(), strict=True)
        return [None if abstains else probability for probability, abstains in known]

    def _give_up(self, why: str) -> None:
        self._ability = None
        self._listen(Warned(f"{why}; {_TURNS_TELL}"))

    def _read(self) -> Ability | None:
        """The user's own predictor, else the one that ships."""
        from .predictor.errors import CheckpointFault
        from .predictor.study_logs import SUITE
        from .predictor_open import open_ability, open_checkpoint

        if self._opened:
            return self._ability
        self._opened = True
        try:
            self._ability = open_ability(open_checkpoint(None))
        except CheckpointFault as error:
            self._give_up(str(error))
            return None
        if SUITE not in self._ability.design.suites:
            self._listen(Warned(f"your predictor has not seen suite {SUITE!r}; {_TURNS_TELL}"))
        return self._ability


def turns_beside(folder: Path) -> list[Turn]:
    """The turns of the latest other studies in the same folder of studies."""
    from .predictor.study_logs import logged_trials, logs_beside
    from .predictor.turns import turns_of

    latest = sorted(logs_beside(folder), key=lambda file: (file.stat().st_mtime, file), reverse=True)[:MOST_STUDIES]
    found = []
    for file in latest:
        direction, trials = logged_trials(file)
        found += turns_of(trials, direction, study=file.parent.name)
    return found
