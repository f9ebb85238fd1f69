"""`openai:NAME@URL` through langchain-openai's real client, against servers that fail in every way they know."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from luthier.cli import app
from luthier.models.caller import Caller, Prompt
from luthier.models.errors import ModelDown, ModelError, ModelMissing, ModelTimeout
from luthier.models.open import open_model

pytestmark = pytest.mark.skipif(importlib.util.find_spec("langchain_openai") is None, reason="needs the extra `openai`")

PROMPT = Prompt("planner", "system", "static", "dynamic")
SCHEMA = {"type": "object", "properties": {"lr": {"type": "number"}}, "required": ["lr"]}
Serve = Callable[..., str]


def completion(text: str, finish: str = "stop") -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return json.dumps({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers with these bodies in turn, the last one again; its model string comes back."""
    servers: list[ThreadingHTTPServer] = []

    def start(*bodies: str, status: int = 200, delay: float = 0, kind: str = "application/json") -> str:
        left = list(bodies)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(delay)
                body = (left.pop(0) if len(left) > 1 else left[0]).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"openai:m@http://127.0.0.1:{servers[-1].server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def caller(spec: str, **options: Any) -> Caller:
    model = open_model(spec)
    assert model is not None
    return Caller(model, name=spec, **{"sleep": lambda _: None, **options})


def test_a_cut_answer_is_asked_for_again_with_more_tokens(serve: Serve) -> None:
    reply = caller(serve(completion('{"lr": 0.', "length"), completion('{"lr": 0.5}'))).ask(PROMPT, SCHEMA)
    assert (reply.value, reply.attempts) == ({"lr": 0.5}, 2)


def test_a_server_that_is_down_is_asked_again_and_told_so() -> None:
    pauses: list[float] = []
    asked = caller("openai:m@http://127.0.0.1:1/v1", retries=2, sleep=pauses.append)
    with pytest.raises(ModelDown, match="start it, or check its address"):
        asked.ask(PROMPT, SCHEMA)
    assert len(pauses) == 2


def test_a_server_that_is_too_slow_is_a_timeout(serve: Serve) -> None:
    with pytest.raises(ModelTimeout):
        caller(serve(completion('{"lr": 0.5}'), delay=1), timeout=0.2).ask(PROMPT, SCHEMA)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (429, ModelDown, "busy"),
        (500, ModelDown, "look at its log"),
        (401, ModelError, "OPENAI_API_KEY"),
        (403, ModelError, "OPENAI_API_KEY"),
        (404, ModelMissing, "ends in /v1"),
    ],
)
def test_a_status_says_what_to_do(serve: Serve, status: int, kind: type[ModelError], says: str) -> None:
    with pytest.raises(kind, match=says):
        caller(serve('{"error": {"message": "no"}}', status=status)).ask(PROMPT, SCHEMA)


@pytest.mark.parametrize("body", ["<html>Sign in</html>", "", "{", "[]", "null", '{"choices": []}', '{"error": "x"}'])
def test_an_answer_that_is_not_openai_s_tells_to_check_the_address(serve: Serve, body: str) -> None:
    with pytest.raises(ModelError, match="ends in /v1"):
        caller(serve(body, kind="text/html" if body.startswith("<") else "application/json")).ask(PROMPT, SCHEMA)


def test_a_server_s_words_cannot_steer_the_terminal(serve: Serve) -> None:
    with pytest.raises(ModelDown) as caught:
        caller(serve('{"error": {"message": "red \\u001b[31m"}}', status=500)).ask(PROMPT, SCHEMA)
    assert str(caught.value).isprintable()


def test_the_probe_prints_a_server_s_words_and_its_address_as_they_are(serve: Serve) -> None:
    spec = serve("<p>[red]wrong[/red] [/x]</p>", kind="text/html")
    probed = CliRunner().invoke(app, ["models", "probe", spec], env={"COLUMNS": "60"})
    assert probed.exit_code == 0, probed.exception
    shown = "".join(probed.output.split())
    assert "[red]wrong[/red][/x]" in shown
    assert spec in shown
