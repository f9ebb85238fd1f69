"""Finished folds on disk, where two trainings of one name run at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luthier.predictor_open import KeptFolds

OTHER = """
import sys
from pathlib import Path
import numpy as np
from luthier.predictor_open import KeptFolds
KeptFolds(Path(sys.argv[1])).put("pair-0-luthier", np.full(3, 0.25))
"""


def test_a_fold_that_is_kept_is_there_again(tmp_path: Path) -> None:
    KeptFolds(tmp_path / "x" / "y").put("pair-0-luthier", np.arange(3.0))
    found = KeptFolds(tmp_path / "x" / "y").get("pair-0-luthier")
    assert found is not None
    assert found.tolist() == [0, 1, 2]
    assert [file.name for file in (tmp_path / "x" / "y").iterdir()] == ["pair-0-luthier.npy"]


@pytest.mark.parametrize("ends", [False, True])
def test_two_trainings_of_one_name_do_not_stop_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """While this one writes a fold, another process writes the same; or ends, and clears the folder."""
    folder, save = tmp_path / "x.folds", np.save

    def meanwhile(*args: Any, **options: Any) -> None:
        save(*args, **options)
        if ends:
            shutil.rmtree(folder)
        else:
            subprocess.run([sys.executable, "-c", OTHER, str(folder)], check=True, timeout=60)

    monkeypatch.setattr(np, "save", meanwhile)
    KeptFolds(folder).put("pair-0-luthier", np.full(3, 0.25))
    found = KeptFolds(folder).get("pair-0-luthier")
    assert (found is None) if ends else (found is not None and found.tolist() == [0.25] * 3)
