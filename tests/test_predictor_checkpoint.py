"""Checkpoints: what comes back is what was saved, and a foreign file is refused in one sentence and never executed."""

from __future__ import annotations

import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor import card as cards
from luthier.predictor import checkpoint
from luthier.predictor.ability import Ability, Rasch
from luthier.predictor.card import Card
from luthier.predictor.checkpoint import Stored, read, save
from luthier.predictor.design import DEFAULT, PARTS
from luthier.predictor.encoding import SURFACE, Encoder
from luthier.predictor.errors import CheckpointFault
from luthier.predictor.logs import Logs, Pairs
from luthier.predictor.mixed import Priors
from luthier.predictor.testing import bare, generated, strange

CARD = Card(
    name="mine", data_hash="ab12", counts={"pairs": 48}, suites=["sums"], parts=["text"], settings={"axes": 20},
    embedder="hash-24", seed=0, folds=5,
)  # fmt: skip


def encoder() -> Encoder:
    return Encoder(HashEmbedder(24))


def trained(logs: Logs | None = None, parts: frozenset[str] = frozenset(PARTS)) -> Ability:
    return Ability(encoder(), parts, priors=Priors(4.0, 0.5)).fit(generated() if logs is None else logs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "deep" / "mine.pt"
    save(trained(), place, CARD)
    return place


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 99),
    tasks=st.integers(2, 14),
    workflows=st.integers(2, 9),
    parts=st.sets(st.sampled_from(PARTS)),
    half=st.booleans(),
)
def test_a_round_trip_changes_no_estimate(
    tmp_path: Path, seed: int, tasks: int, workflows: int, parts: set[str], half: bool
) -> None:
    logs = generated(tasks, workflows, seed)
    ability = trained(logs, frozenset(parts))
    save(ability, tmp_path / "x.pt", CARD, half=half)
    again = read(tmp_path / "x.pt").ability(encoder())
    for pairs in (bare(logs), bare(generated(tasks, workflows, seed + 1)), strange()):
        one, two = ability.predict(pairs), again.predict(pairs)
        far = 1e-3 if half else 1e-6
        assert np.abs(one.probability - two.probability).max() < far
        assert np.allclose(one.deviation, two.deviation, rtol=0, atol=10 * far)
        assert (one.abstains == two.abstains).all()
    assert again.posterior is not None
    assert (again.priors, again.heavy, again.design.parts) == (Priors(4.0, 0.5), True, parts)


def test_the_card_and_the_embedder_come_back(path: Path) -> None:
    stored = read(path)
    assert (stored.card, stored.embedder, stored.spec) == (CARD, "hash-24", "embedded")


def test_saving_leaves_nothing_else_and_takes_nothing_away_when_it_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="trained"):
        save(Ability(encoder()), path, CARD)
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="full"):
        save(trained(), path, CARD)
    assert [file.name for file in path.parent.iterdir()] == ["mine.pt"]
    assert path.read_bytes() == before


def _full(descriptor: int) -> None:
    raise OSError("full")


class More(Ability):
    """Believes more than a checkpoint can hold."""

    def logit(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = super().logit(pairs)
        return mean + 1, variance


def test_what_a_checkpoint_cannot_hold_is_not_half_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Ability"):
        save(More(encoder()).fit(generated()), tmp_path / "x.pt", CARD)
    assert not [*tmp_path.iterdir()]
    rasch = Rasch().fit(generated())
    save(rasch, tmp_path / "x.pt", CARD, spec="none")
    again = read(tmp_path / "x.pt").ability(Encoder(None))
    assert np.allclose(again.predict(strange()).probability, rasch.predict(strange()).probability)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_objects_are_refused_and_nothing_runs(path: Path, tmp_path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({**state, "rho": Bomb(tmp_path / "bomb")}, path)
    with pytest.raises(CheckpointFault, match="could run code"):
        read(path)
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "bomb")))
    with pytest.raises(CheckpointFault, match="whole"):
        read(path)
    assert not (tmp_path / "bomb").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointFault, match=r"luthier predictor train"):
        read(path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(path: Path, share: float, bit: int) -> None:
    whole = path.read_bytes()
    before = read(path).ability(encoder()).predict(strange()).probability
    place = int(share * len(whole))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    with suppress(CheckpointFault):
        assert (read(path).ability(encoder()).predict(strange()).probability == before).all()
    path.write_bytes(whole)


def test_a_flipped_bit_of_a_number_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda one: one.file_size)
        numbers = archive.read(largest)
    whole = path.read_bytes()
    place = whole.index(numbers) + len(numbers) // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(CheckpointFault, match=f"whole, but {largest.filename} in it is damaged"):
        read(path)


@pytest.mark.parametrize("version", [0, min(checkpoint.READS) - 1, checkpoint.VERSION + 1, None, "1.0"])
def test_another_version_is_refused(path: Path, version: Any) -> None:
    torch.save({**torch.load(path, weights_only=True), "version": version}, path)
    with pytest.raises(CheckpointFault, match="version"):
        read(path)


def test_a_file_from_before_nearness_is_read_as_it_was_written(path: Path) -> None:
    before = trained(parts=DEFAULT - {"nearness"})
    save(before, path, CARD)
    state = torch.load(path, weights_only=True)
    assert all(len(one["mean"]) == len(SURFACE) for one in state["scalings"] if one["part"] == "surface")
    torch.save({**state, "version": 3}, path)
    again = read(path).ability(encoder())
    assert np.allclose(again.predict(strange()).probability, before.predict(strange()).probability)


def test_other_files_of_pytorch_and_other_zips_are_refused(path: Path) -> None:
    torch.save({"weight": torch.ones(3)}, path)
    with pytest.raises(CheckpointFault, match="no predictor"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(CheckpointFault, match="whole"):
        read(path)


def scaling(**change: Any) -> dict[str, Any]:
    """A table of a text, as a checkpoint holds it, with one that does not fit or is missing."""
    return {"part": "text", "scope": "~", "mean": torch.ones(2), "axes": torch.ones(3, 3), **change}


@pytest.mark.parametrize(
    "change",
    [
        {"b": torch.ones(3)},
        {"u": torch.ones(0)},
        {"root": torch.ones(5)},
        {"root": torch.ones(1).expand(10**9)},  # four bytes that claim to be gigabytes
        {"reach_columns": torch.full((3,), 99, dtype=torch.int32)},
        {"group": torch.full((12,), 7)},
        {"suites": "sums"},
        {"scalings": [scaling(means={})]},
        {"scalings": [scaling(mean=torch.ones(3), means={"sums": torch.ones(2)})]},
        {"scalings": [scaling(mean=torch.ones(3))]},
        {"priors": {"degrees": -1.0}},
        {"card": {"name": "x"}},
        {"spread": [1, 2]},
    ],
)
def test_tables_that_do_not_fit_are_refused(path: Path, change: dict[str, Any]) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({**state, **change}, path)
    with pytest.raises(CheckpointFault, match="whole"):
        read(path).ability(encoder())


def test_numbers_that_are_none_are_refused(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({**state, "b": state["b"] * float("nan")}, path)
    with pytest.raises(CheckpointFault, match="finite"):
        read(path).ability(encoder())


def test_another_embedder_is_refused(path: Path) -> None:
    stored: Stored = read(path)
    for other in (Encoder(None), Encoder(HashEmbedder(25))):
        with pytest.raises(CheckpointFault, match="embedder hash-24"):
            stored.ability(other)


def test_the_data_hash_is_that_of_the_content() -> None:
    logs = generated()
    rows = np.random.default_rng(0).permutation(len(logs))
    assert cards.data_hash(logs.take(rows)) == cards.data_hash(logs)
    assert cards.data_hash(logs.take(rows[1:])) != cards.data_hash(logs)
    assert cards.data_hash(generated(runs=6)) != cards.data_hash(logs)


def test_the_card_counts_only_what_has_a_pair() -> None:
    logs = generated(tasks=6, workflows=4)
    part = logs.take((logs.workflow == 0) & (logs.task == 2))
    assert cards.counts_of(part) == {"workflows": 1, "graphs": 1, "tasks": 1, "pairs": 1, "runs": 5}
