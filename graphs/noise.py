"""The noise floor: trial 0 again, on other seeds, before anything is compared with it."""

from __future__ import annotations

from ..trials.processes import end_recorded
from ..trials.records import Candidate, State
from .events import NoiseMeasured, TrialStarted
from .parts import Parts


def measure_noise(parts: Parts, runs: int) -> None:
    """Bring the extra runs of trial 0 up to `runs`; a script that proves deterministic needs no second one.

    A run that fails ends the measurement: a default that does not always work has no noise floor.
    """
    study, default = parts.study, parts.study.default
    if default is None or default.state is not State.COMPLETE or default.value is None:
        return
    while len(study.noise) < runs and study.noise[:1] != [default.value]:
        seed = len(study.noise) + 1
        folder = study.folder / "noise" / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        end_recorded(folder)
        parts.tell(TrialStarted(None, Candidate(default.config, "noise", "trial 0 again, to know the noise")))
        outcome = parts.runner.run(default.config, folder, seed=seed)
        parts.tell(NoiseMeasured(outcome.value))
        if outcome.value is None or outcome.state is not State.COMPLETE:
            parts.warn("noise", "trial 0 failed when it ran again, so the noise stays unknown")
            return
        study.add_noise(outcome.value, outcome.seconds)
