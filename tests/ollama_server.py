"""A server that speaks Ollama's native API on loopback, over any chat model; faults can be switched on.

It does what the real one does where it hurts: it cuts a long prompt without a word, and answers 404 for what is not
pulled.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from luthier.models.fake_embedder import HashEmbedder
from luthier.models.tokens import approx_tokens

KINDS: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
NAME = "smollm2:135m"
DIGEST = "9077fe9d2ae1a4a40a868836b56b8163731a8fe16621397028c2c76f838c6907"
EMBED_PATHS = ("/api/embed", "/v1/embeddings")


class OllamaServer:
    """The server's state: which model answers, and which fault is on.

    Faults: `500`, `slow`, `drip` (a word a fifth of a second, without end), `empty`, `text`, `length`. `cut` is a
    context, in tokens, that the server opens whatever it was asked for and whatever it says of the model.
    """

    def __init__(self, model: BaseChatModel, context: int = 8192) -> None:
        self.model, self.context = model, context
        self.cut = 2**20
        self.dripped = threading.Event()  # set when the client of a drip has gone
        self.fault = ""
        self.faults_left = 10**6  # how many answers the fault spoils
        self.asked: list[dict[str, Any]] = []
        self.http: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self.http is not None
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON of one request; under /v1 an error looks like OpenAI's."""
        status, answer = self._reply(path, body)
        if "error" in answer and path.startswith("/v1/"):
            answer = {"error": {"message": answer["error"], "type": "api_error", "param": None, "code": None}}
        return status, answer

    def _reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/api/version":
            return 200, {"version": "0.12.11"}
        if path == "/api/tags":
            return 200, {"models": [{"name": NAME, "model": NAME, "size": 1, "digest": DIGEST}]}
        if body.get("model") != NAME:
            return 404, {"error": f"model '{body.get('model')}' not found"}
        if path == "/api/show":
            return 200, {"model_info": {"llama.context_length": self.context}, "details": {}, "capabilities": []}
        self.asked.append(body)
        return self._embed(body, path) if path in EMBED_PATHS else self._chat(body, path)

    def _fault(self) -> str:
        """The fault that spoils this answer."""
        fault = self.fault if self.faults_left > 0 else ""
        self.faults_left -= bool(fault)
        return fault

    def _embed(self, body: dict[str, Any], path: str) -> tuple[int, dict[str, Any]]:
        fault = self._fault()
        if fault == "500":
            return 500, {"error": "llama runner process has terminated"}
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        # The real one also refuses a text that is too long, whatever `truncate` says, and is silent on a blank one.
        if any(approx_tokens(text) > self.context for text in texts):
            return 400, {"error": "the input length exceeds the context length"}
        vectors = [[3 * number for number in row.tolist()] if t.strip() else [] for t, row in self._hashed(texts)]
        if fault == "empty":
            vectors = []
        if path == "/api/embed":
            return 200, {"model": NAME, "embeddings": vectors, "prompt_eval_count": 1}
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        return 200, {"object": "list", "model": NAME, "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    def _hashed(self, texts: list[str]) -> Iterator[tuple[str, Any]]:
        return zip(texts, HashEmbedder(64).embed(texts), strict=True)

    def _chat(self, body: dict[str, Any], path: str) -> tuple[int, dict[str, Any]]:
        fault = self._fault()
        if fault == "500":
            return 500, {"error": "llama runner process has terminated"}
        if fault == "slow":
            time.sleep(3)
        given = body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
        messages = [KINDS[m["role"]](m["content"]) for m in given]
        options = body.get("options", {})
        counted = sum(approx_tokens(str(m.text)) for m in messages)
        room = min(int(options.get("num_ctx", 4096)), self.context, self.cut)
        if counted > room:  # the real one drops what does not fit, and says nothing
            messages = [HumanMessage(str(messages[-1].text)[-2 * room :])]
        message = self._answer(messages, body, options)
        text = {"empty": "", "text": "I would lower it."}.get(fault, str(message.text))
        done = "length" if fault == "length" else "stop"
        answer: dict[str, Any] = {
            "model": NAME,
            "created_at": "2026-01-01T00:00:00Z",
            "done": True,
            "done_reason": done,
            "prompt_eval_count": min(counted, room),
            "eval_count": approx_tokens(text),
        }
        answer |= {"response": text} if path == "/api/generate" else {"message": {"role": "assistant", "content": text}}
        if body.get("logprobs"):
            answer["logprobs"] = (message.response_metadata.get("logprobs") or {}).get("content")
        return 200, answer

    def _answer(self, messages: list[BaseMessage], body: dict[str, Any], options: dict[str, Any]) -> AIMessage:
        wanted: dict[str, Any] = {"max_tokens": options.get("num_predict", 64), "temperature": 0.0}
        if isinstance(body.get("format"), dict):
            schema = {"name": "answer", "schema": body["format"]}
            wanted["response_format"] = {"type": "json_schema", "json_schema": schema}
        if body.get("logprobs"):
            wanted |= {"logprobs": True, "top_logprobs": body.get("top_logprobs", 5)}
        return self.model.invoke(messages, **wanted)


@contextmanager
def serving(server: OllamaServer) -> Iterator[OllamaServer]:
    """Serve on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(*server.reply(self.path, {}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            if server.fault == "drip" and self.path == "/api/chat":
                self._drip()
                return
            self._say(*server.reply(self.path, body))

        def _say(self, status: int, answer: dict[str, Any]) -> None:
            data = json.dumps(answer).encode() + b"\n"
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except BrokenPipeError:  # the client gave up, as it should
                return

        def _drip(self) -> None:
            word = {"model": NAME, "created_at": "", "done": False, "message": {"role": "assistant", "content": "so "}}
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(json.dumps(word).encode() + b"\n")
                    self.wfile.flush()
                    time.sleep(0.2)
            except OSError:
                server.dripped.set()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # Looks for the end of the test every 20 ms, instead of every half second.
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
