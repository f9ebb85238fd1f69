"""One contract for every embedder: any text becomes a vector of length 1, whatever stands beside it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from ollama_server import DIGEST, NAME, OllamaServer, serving

from luthier.models.catalogue import EMBEDDER, EMBEDDER_TOKENIZER, entry_of, path_of, present
from luthier.models.embedder import READ, Embedder, open_embedder
from luthier.models.embedding_clients import BATCH, LangChainEmbedder
from luthier.models.errors import ModelDown, ModelError, ModelMissing, ModelSpecError, OutOfRange
from luthier.models.fake import RandomChat
from luthier.models.fake_embedder import HashEmbedder
from luthier.models.minilm import MAX_TOKENS, MiniLM

ORDINARY = ["Trial 3 overfits since step 5.", "lr = 3e-4", "The learning rate is too high; the loss diverges."]
HARD = {
    "empty": "",
    "blank": " \n\t ",
    "long": "the loss falls, then rises; " * 3600,  # 100,000 characters
    "one word": "x" * 100_000,
    "blank, then long": " " * 50_000 + "loss",
    "Chinese": "学习率太高，损失发散。",
    "Arabic": "معدل التعلم مرتفع جدا",
    "emoji": "🙂🎉👩‍👩‍👧",
    "combining": "e\u0301" * 50,
    "control": "a\0b\x01\x1b[31m\x7f\u200b\ufeff",
    "half a character": "a\ud800b",
    "markup": "[CLS] [SEP] [PAD] <s> {{ x }}",
}
REFERENCE = [0.1645, -0.0697, -0.0501, 0.0512, 0.0023, 0.0426, -0.0358, -0.0277]
needs_file = pytest.mark.skipif(not present(EMBEDDER), reason=f"needs `luthier models pull {EMBEDDER}`")
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class EmbedderContract:
    """What every embedder owes. A subclass gives the `embedder`."""

    @pytest.fixture
    def embedder(self) -> Any:
        raise NotImplementedError

    def test_rows_of_length_one(self, embedder: Embedder) -> None:
        found = embedder.embed(ORDINARY)
        assert found.shape == (len(ORDINARY), embedder.size)
        assert found.dtype == np.float32
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)
        assert found[0] @ found[1] < 0.99

    def test_no_text_is_no_row(self, embedder: Embedder) -> None:
        found = embedder.embed([])
        assert found.shape == (0, embedder.size)
        assert found.dtype == np.float32

    @pytest.mark.parametrize("kind", HARD)
    def test_any_text_has_a_vector(self, embedder: Embedder, kind: str) -> None:
        (row,) = embedder.embed([HARD[kind]])
        assert row.dtype == np.float32
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)

    def test_a_batch_is_the_same_as_one_by_one(self, embedder: Embedder) -> None:
        texts = [*HARD.values(), *ORDINARY, *(" ".join(ORDINARY[:1] * n) for n in range(BATCH))]
        alone = np.concatenate([embedder.embed([text]) for text in texts])
        assert embedder.embed(texts) == pytest.approx(alone, abs=1e-6)

    def test_tuples_and_threads_are_welcome(self, embedder: Embedder) -> None:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: embedder.embed(tuple(ORDINARY)), range(8)))
        assert all((one == found[0]).all() for one in found)

    def test_the_name_stays(self, embedder: Embedder) -> None:
        before = embedder.name
        embedder.embed(ORDINARY)
        assert embedder.name == before != ""


class TestHash(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Any:
        return HashEmbedder()

    def test_shared_words_make_alike_in_every_process(self) -> None:
        script = (
            "import sys, json; from luthier.models.fake_embedder import HashEmbedder as H;"
            "print(json.dumps(H(32).embed(json.loads(sys.argv[1])).tolist()))"
        )
        command = [sys.executable, "-c", script, json.dumps(ORDINARY)]
        elsewhere = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        assert HashEmbedder(32).embed(ORDINARY).tolist() == elsewhere
        one, other, unlike = HashEmbedder().embed(["Loss DIVERGES at lr 0.1", "at lr 0.1 the loss diverges", "a cat"])
        assert one @ other > 0.8 > 0.2 > one @ unlike


class TestLangChain(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Any:
        return open_embedder(DeterministicFakeEmbedding(size=16))


class TestOllama(EmbedderContract):
    @pytest.fixture
    def embedder(self, server: OllamaServer) -> Any:
        return open_embedder(f"ollama:{NAME}")


@pytest.mark.skipif(importlib.util.find_spec("langchain_openai") is None, reason="needs the extra `openai`")
class TestOpenAI(EmbedderContract):
    """langchain-openai's real client; Ollama's server speaks its protocol too."""

    @pytest.fixture
    def embedder(self, server: OllamaServer) -> Any:
        return open_embedder(f"openai:{NAME}@{server.url}/v1")

    def test_a_model_that_the_server_lacks(self, server: OllamaServer) -> None:
        other = open_embedder(f"openai:other@{server.url}/v1")
        assert other is not None
        with pytest.raises(ModelMissing, match="openai:other"):
            other.embed(ORDINARY)


@needs_file
@pytest.mark.model
class TestMiniLM(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Any:
        return open_embedder()

    def test_related_sentences_are_nearer_than_unrelated_ones(self, embedder: Embedder) -> None:
        pairs = [
            ("The loss diverges when the learning rate is too high.", "A lower rate keeps the loss from exploding."),
            ("Recognise handwritten digits in small images.", "MNIST: which number did the person write?"),
            ("The GPU ran out of memory.", "CUDA error: not enough space for a batch of this size."),
            ("A cat sleeps on the sofa.", "A kitten naps on the couch."),
        ]
        left, right = (embedder.embed(side) for side in zip(*pairs, strict=True))
        alike = left @ right.T  # (4, 4)
        assert (alike.argmax(axis=1) == np.arange(len(pairs))).all()
        assert np.diag(alike).min() > alike[~np.eye(len(pairs), dtype=bool)].max()

    def test_case_does_not_matter_and_what_is_beyond_the_limit_neither(self, embedder: Embedder) -> None:
        text = "loss " * MAX_TOKENS
        rows = embedder.embed([text, text.upper(), text + "and a tail", "loss " * 9])
        assert (rows[:3] == rows[0]).all()
        assert rows[3] @ rows[0] < 0.9999

    def test_the_vector_is_the_one_of_sentence_transformers(self, embedder: Embedder) -> None:
        """First numbers of the float32 model's vector, made from its PyTorch weights; 8-bit weights are near."""
        (row,) = embedder.embed(["A cat sleeps on the sofa."])
        assert row[: len(REFERENCE)] == pytest.approx(REFERENCE, abs=0.01)

    def test_the_name_changes_with_the_bytes(self, embedder: Embedder) -> None:
        assert entry_of(EMBEDDER).sha256[:8] in embedder.name
        assert entry_of(EMBEDDER_TOKENIZER).sha256[:8] in embedder.name


def test_other_bytes_are_not_taken_for_the_model(tmp_path: Path) -> None:
    for path in (files := [tmp_path / "m.onnx", tmp_path / "t.json"]):
        path.write_bytes(b"{}")
    with pytest.raises(ModelSpecError, match=f"pull {EMBEDDER}"):
        MiniLM(*files).embed(["a"])


def test_a_missing_model_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path))
    with pytest.raises(ModelMissing, match="run: luthier models pull minilm-l6"):
        open_embedder()
    own = path_of(EMBEDDER)
    own.parent.mkdir(parents=True)
    with own.open("wb") as file:
        file.truncate(entry_of(EMBEDDER).size)
    with pytest.raises(ModelMissing):  # its tokenizer is still missing
        open_embedder("embedded")


def test_none_is_none_and_an_embedder_is_taken_as_it_is() -> None:
    assert open_embedder("none") is None
    own = HashEmbedder()
    assert open_embedder(own) is own
    with pytest.raises(ModelSpecError, match="object that embeds"):
        open_embedder(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("embeded", "did you mean 'embedded'"),
        ("olama:x", "did you mean 'ollama'"),
        ("", "an embedder is embedded, ollama:NAME"),
        ("replay:folder", "an embedder is"),
        ("ollama:", "must name a model"),
        ("embedded:other.onnx", "takes nothing after it"),
        ("none:x", "takes nothing after it"),
        ("openai:name", "openai:NAME@URL"),
    ],
)
def test_a_wrong_string_is_explained(text: str, said: str) -> None:
    with pytest.raises(ModelSpecError, match=said):
        open_embedder(text)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    with serving(OllamaServer(RandomChat(seed=1))) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.url)
        yield running


def of_ollama(name: str = NAME) -> Embedder:
    found = open_embedder(f"ollama:{name}")
    assert found is not None
    return found


def test_ollama_is_named_with_its_digest_and_asked_in_batches(server: OllamaServer) -> None:
    embedder = of_ollama()
    assert embedder.name == f"ollama:{NAME}@{DIGEST[:12]}"
    assert server.asked == []
    assert embedder.size == 64
    embedder.embed(ORDINARY * BATCH)
    assert [len(body["input"]) for body in server.asked] == [1, BATCH, BATCH, BATCH]


def test_ollama_cuts_only_the_text_that_it_refused(server: OllamaServer) -> None:
    server.context = 800  # tokens; our count of the long text is one for each 5 characters
    long = "rate " * READ
    found = of_ollama().embed([ORDINARY[0], long, ORDINARY[1]])
    assert found[[0, 2]] == pytest.approx(HashEmbedder(64).embed(ORDINARY[:2]), abs=1e-6)
    asked = [[len(text) for text in body["input"]] for body in server.asked]
    short = [len(text) for text in ORDINARY[:2]]
    assert asked == [[short[0], READ, short[1]], [short[0]], [READ], [10_000], [5_000], [2_500], [short[1]]]


def test_ollama_that_refuses_even_a_short_text(server: OllamaServer) -> None:
    server.context = 0
    with pytest.raises(ModelError, match="context length"):
        of_ollama().embed([ORDINARY[0] * 100])


def test_ollama_without_the_model_says_how_to_pull_it(server: OllamaServer) -> None:
    with pytest.raises(ModelMissing, match="ollama pull other"):
        of_ollama("other").embed(ORDINARY)
    with pytest.raises(ModelMissing, match="ollama pull other"):
        _ = of_ollama("other").name


def test_no_ollama_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    embedder = of_ollama()
    for ask in (lambda: embedder.name, lambda: embedder.size, lambda: embedder.embed(["a"])):
        with pytest.raises(ModelDown, match="ollama serve"):
            ask()


@pytest.mark.parametrize(("fault", "error"), [("500", ModelDown), ("empty", OutOfRange)])
def test_a_fault_of_ollama_is_named(server: OllamaServer, fault: str, error: type[ModelError]) -> None:
    server.fault = fault
    with pytest.raises(error):
        of_ollama().embed(ORDINARY)


class Answering(Embeddings):
    """Gives what it was told to."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.model_name = answer, "odd"

    def embed_documents(self, texts: list[str]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def embed_query(self, text: str) -> Any:
        return self.embed_documents([text])[0]


@pytest.mark.parametrize("answer", [[], [[]], [[0.0, 0.0]], [[1.0, float("nan")]], [[1.0], [1.0]], [["a"]], None])
def test_what_is_no_vector_for_each_text_is_refused(answer: Any) -> None:
    with pytest.raises(OutOfRange, match="langchain:Answering:odd must give"):
        LangChainEmbedder(Answering(answer)).embed(["a"])


def test_whatever_a_langchain_object_raises_becomes_a_model_error() -> None:
    with pytest.raises(ModelDown):
        LangChainEmbedder(Answering(ConnectionError("refused"))).embed(["a"])


def test_a_size_that_changes_is_refused() -> None:
    answering = Answering([[1.0, 2.0]])
    embedder = LangChainEmbedder(answering)
    assert embedder.size == 2
    answering.answer = [[1.0, 2.0, 3.0]]
    with pytest.raises(OutOfRange, match="2 numbers before and 3 now"):
        embedder.embed(["a"])
