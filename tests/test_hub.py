"""The model hub as a source: it is resumed, mistrusted, and soon given up."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from luthier.models import catalogue, sources
from luthier.models.catalogue import ModelFile, models_dir
from luthier.models.errors import ModelMissing
from luthier.models.files import pull

WHOLE = bytes(range(256)) * 20_000  # 5 MB


class Hub:
    """A hub with one file. It may break off each answer, ignore ranges, or serve something else."""

    def __init__(self) -> None:
        self.body = WHOLE
        self.breaks_after: int | None = None  # bytes of each answer
        self.knows_ranges = True
        self.status = 200
        self.ranges: list[str] = []

    @property
    def asked(self) -> int:
        """How many requests came."""
        return len(self.ranges)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback, an empty home, and a catalogue whose model `tiny` only the hub has."""
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            served.ranges.append(wanted)
            begin = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if served.knows_ranges else 0
            body = served.body[begin:]
            self.send_response(served.status if not begin else 206)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.breaks_after])

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    entry = ModelFile(
        "tiny", "t.gguf", len(WHOLE), hashlib.sha256(WHOLE).hexdigest(), "Apache-2.0", "tests", "a/t.gguf"
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", entry)
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    yield served
    server.shutdown()
    server.server_close()


def test_a_whole_file_in_one_go_leaves_nothing_behind(hub: Hub) -> None:
    heard: list[int] = []
    path = pull("tiny", lambda done, total, text: heard.append(done) if text.startswith("fetching") else None)
    assert path.read_bytes() == WHOLE
    assert heard == sorted(heard)
    assert heard[-1] == len(WHOLE)
    left = [p.name for p in (models_dir() / ".parts").iterdir()]
    assert left == ["t.gguf.lock"]


def test_a_line_that_breaks_is_resumed_where_it_broke(hub: Hub) -> None:
    hub.breaks_after = 2_000_000
    assert pull("tiny").read_bytes() == WHOLE
    assert hub.ranges == ["", "bytes=2000000-", "bytes=4000000-"]


def test_the_next_command_goes_on_too(hub: Hub) -> None:
    hub.breaks_after = len(WHOLE) // 10
    with pytest.raises(ModelMissing, match="run the same command again"):
        pull("tiny")
    before = hub.asked
    hub.breaks_after = None
    assert pull("tiny").read_bytes() == WHOLE
    assert hub.asked == before + 1
    assert hub.ranges[-1] == f"bytes={len(WHOLE) // 10 * before}-"


def test_a_server_without_ranges_begins_anew(hub: Hub) -> None:
    scratch = models_dir() / ".parts"
    scratch.mkdir(parents=True)
    (scratch / "t.gguf.hub").write_bytes(WHOLE[:1000])
    hub.knows_ranges = False
    assert pull("tiny").read_bytes() == WHOLE


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>please log in</html>", 200, "the file there has"),
        (b"no", 404, "404"),
        (WHOLE[::-1], 200, "not the model's"),
    ],
)
def test_what_is_not_the_file_is_refused_and_removed(hub: Hub, body: bytes, status: int, said: str) -> None:
    hub.body, hub.status = body, status
    with pytest.raises(ModelMissing, match=said):
        pull("tiny")
    assert not (models_dir() / "t.gguf").exists()
    hub.body, hub.status = WHOLE, 200
    assert pull("tiny").read_bytes() == WHOLE


def test_a_left_over_of_other_bytes_is_found_out_by_the_hash(hub: Hub) -> None:
    scratch = models_dir() / ".parts"
    scratch.mkdir(parents=True)
    (scratch / "t.gguf.hub").write_bytes(b"x" * 1000)
    with pytest.raises(ModelMissing, match="not the model's"):
        pull("tiny")
    assert pull("tiny").read_bytes() == WHOLE


def test_ollama_s_disk_is_asked_before_the_network(hub: Hub, tmp_path: Path) -> None:
    blobs = tmp_path / "ollama" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"sha256-{hashlib.sha256(WHOLE).hexdigest()}").write_bytes(WHOLE)
    assert pull("tiny").read_bytes() == WHOLE
    assert hub.asked == 0


def test_two_at_once_fetch_it_once(hub: Hub) -> None:
    threads = [threading.Thread(target=pull, args=("tiny",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.asked == 1


def test_a_hub_that_does_not_answer_costs_little(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(ModelMissing, match="model hub: "):
        pull("tiny")
    assert time.monotonic() - began < sources.HUB_LIMITS.connect + 1  # type: ignore[operator]
