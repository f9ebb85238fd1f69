"""A tuning process for `test_kill.py` to kill: each line on standard input forks one, which tunes as told.

Forking spares the seconds that the imports take; what is killed is a whole process that tunes for itself.
A line is JSON: {"folder": ..., "trials": ..., "model": true or false}. Answers are lines too: the process id, then,
when it has ended, how.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from luthier.graphs.loop import tune_study
from luthier.models.fake import RandomChat
from luthier.trials.advisors import RandomAdvisor
from luthier.trials.command import CommandRunner
from luthier.trials.records import Direction
from luthier.trials.space import Float, Int, Space
from luthier.trials.spec import Budget
from luthier.trials.study import Study

SPACE = Space({"x": Float(0.0, 1.0, default=0.5), "units": Int(1, 100, default=10)})
# The ledger is written last: a line in it is a trial that has really been carried out.
SCRIPT = """
sleep 0.04
echo "{\\"step\\": 1, \\"loss\\": $1}"
echo "$LUTHIER_TRIAL" >> ledger
"""


def tune(folder: Path, trials: int, model: bool) -> None:
    """What the command line does: open or create, lock, run to the end of the budget."""
    (folder / "trial.sh").write_text(SCRIPT)
    study = Study.open_or_create(
        folder / "study", name="k", space=SPACE, metric="loss", direction=Direction.MINIMIZE, seed=3
    )
    runner = CommandRunner("sh trial.sh {x} {units}", cwd=folder, metric="loss")
    with study.lock():
        tune_study(
            study,
            runner,
            budget=Budget(trials=trials),
            model=RandomChat(seed=1) if model else None,
            model_name="random" if model else "none",
            advisors=[RandomAdvisor(f"random {number}") for number in range(3)],  # so that a model has a choice
            noise=1,
        )
    runner.close()
    study.close()


def main() -> None:
    """Fork, tell, wait, tell."""
    with tempfile.TemporaryDirectory() as folder:  # what a study imports when it is first used
        Study.create(Path(folder) / "s", name="w", space=SPACE, metric="loss", direction=Direction.MINIMIZE).close()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                told = json.loads(line)
                tune(Path(told["folder"]), told["trials"], told["model"])
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
