"""Vectors on disk: what was made once is not made again, whatever a kill left of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor.design import DEFAULT
from luthier.predictor.embeddings import CHUNK, EmbeddingFile, embed, texts_of
from luthier.predictor.encoding import Encoder, hash_of
from luthier.predictor.testing import generated

TEXTS = [f"text {i}" for i in range(2 * CHUNK + 3)]


class Counting(HashEmbedder):
    """Knows how many texts it was given, and stops after some."""

    def __init__(self, stop: int = 10**9) -> None:
        super().__init__(8)
        self.given, self.stop = 0, stop

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self.given + len(texts) > self.stop:
            raise KeyboardInterrupt
        self.given += len(texts)
        return super().embed(texts)


@pytest.fixture
def file(tmp_path: Path) -> EmbeddingFile:
    return EmbeddingFile(tmp_path / "deep", "count words/8", 8)


def test_each_text_is_embedded_once_over_all_runs(file: EmbeddingFile) -> None:
    first = Counting(stop=CHUNK + 5)
    with pytest.raises(KeyboardInterrupt):
        embed(Encoder(first), TEXTS, file)
    second = Counting()
    encoder = Encoder(second, file.read())
    embed(encoder, [*TEXTS, "", "  ", TEXTS[0]], file)
    assert first.given + second.given == len(TEXTS)
    assert len(file.read()) == len(TEXTS)
    assert np.array_equal(encoder.texts(TEXTS), HashEmbedder(8).embed(TEXTS))


@pytest.mark.parametrize("cut", [1, 23, 24, 30, 55])
def test_half_a_row_at_the_end_does_not_count_and_is_mended(file: EmbeddingFile, cut: int) -> None:
    embed(Encoder(Counting()), TEXTS[:5], file)
    file.path.write_bytes(file.path.read_bytes()[:-cut])
    assert len(file.read()) == 4
    embed(Encoder(Counting(), file.read()), TEXTS[:6], file)
    assert {*file.read()} == {*map(hash_of, TEXTS[:6])}


def test_rows_that_are_no_vectors_do_not_count(file: EmbeddingFile) -> None:
    nan, zero = np.full(8, np.nan, np.float32), np.zeros(8, np.float32)
    file.append({hash_of("a"): nan, hash_of("b"): zero, hash_of("c"): np.eye(8, dtype=np.float32)[0]})
    assert [*file.read()] == [hash_of("c")]


def test_files_of_two_embedders_have_two_names(tmp_path: Path) -> None:
    names = {EmbeddingFile(tmp_path, name, size).path for name, size in (("a", 8), ("A", 8), ("a", 9))}
    assert len(names) == 3


def test_only_texts_that_a_part_reads_are_embedded() -> None:
    logs = generated(6, 4)
    assert texts_of(logs, frozenset({"structure"})) == []
    tasks = texts_of(logs, DEFAULT - {"prompts"})
    assert {task.text for task in logs.tasks} <= {*tasks}
    assert not {*tasks} & {node for workflow in logs.workflows for node in workflow.nodes}
    assert texts_of(logs.take(logs.task == 0), frozenset({"text"})) == [logs.tasks[0].text]
    assert texts_of(logs, frozenset({"nearness"})) == texts_of(logs, frozenset({"text", "context"}))
