"""llama.cpp inside this process: one server for each model file, reached over its loopback port.

The port, rather than a call into the library, because closing the connection is what ends a generation in the
middle: a time limit holds within a batch, and Ctrl-C is not stuck in C. Each process makes up a key of its own, so
that nobody else on the machine can use the port.
"""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .errors import ModelDown, ModelError, ModelSpecError, ModelTimeout, PromptTooLong

INSTALL = "pip install 'luthier[embedded]'"
MAX_THREADS = 8  # more cores bring a small model nothing
CACHE_MIB = 512  # prompts of several roles kept warm; 500 tokens of the 1.5B model take 14 MiB
SPINS = "1000"  # rounds, a few microseconds
CONNECT_SECONDS = 5.0  # loopback
SLACK = 64  # tokens of context kept free for the template's own marks

_runtimes: dict[Path, Runtime] = {}
_lock = threading.Lock()
_in_flight: set[object] = set()  # calls that wait for their answer


def runtime_for(path: Path, n_ctx: int) -> Runtime:
    """This process's runtime for a model file; it is restarted when a longer context is asked for.

    Raises:
        ModelSpecError: the file or the runtime is missing, or the file is no model.
    """
    path = path.resolve()
    with _lock:
        found = _runtimes.get(path)
        if found is None or found.n_ctx < n_ctx:
            _runtimes.pop(path, None)
            found = _runtimes[path] = Runtime(path, n_ctx)
        return found


def threads() -> tuple[int, int]:
    """Threads for (generation, prompt). LUTHIER_THREADS sets both; a ModelSpecError says when it is no number.

    Threads wait for one another after each layer. On two cores of which one was busy, the 135M model generated 80
    tokens/s with one thread and 1 to 20 with two; so a core stays free when generating. A prompt is worked on in
    large batches, waits less, and takes all cores.
    """
    if wanted := os.environ.get("LUTHIER_THREADS"):
        if not wanted.isdigit() or int(wanted) < 1:
            raise ModelSpecError(f"LUTHIER_THREADS must be a whole number of 1 or more, but is {wanted!r}; change it")
        return int(wanted), int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores - 1, MAX_THREADS)), max(1, min(cores, MAX_THREADS))


def check_file(path: Path) -> None:
    """Refuse what is no model before llama.cpp sees it.

    Raises:
        ModelSpecError: missing, unreadable or not a GGUF file.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelSpecError(
            f"no model file at {path} ({error.strerror}); name a .gguf file, or run `luthier models pull`"
        ) from error
    if magic != b"GGUF":
        raise ModelSpecError(f"a model file begins with GGUF, but {path} begins with {magic!r}; fetch it anew")


class Runtime:
    """A loaded model. Calls from several threads queue; the cache keeps the common part of their prompts."""

    def __init__(self, path: Path, n_ctx: int) -> None:
        self.path, self.n_ctx = path, n_ctx
        check_file(path)
        self.key = secrets.token_urlsafe(24)
        self._server = _start(path, n_ctx, self.key)
        self.url = f"{self._server.listening_address}/v1"  # OpenAI-compatible, for whoever has the key
        self._client = httpx.Client(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {self.key}"},
            limits=httpx.Limits(max_keepalive_connections=0),  # so that no socket is left when the process ends
            trust_env=False,  # a proxy has no business between us and ourselves
        )

    def chat(self, body: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """One chat completion in OpenAI's shape, within `seconds`.

        Raises:
            ModelTimeout, PromptTooLong, ModelDown, ModelError.
        """
        try:
            limit = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
            with _waiting():
                answer = self._client.post("/v1/chat/completions", json=body, timeout=limit)
        except httpx.TimeoutException as error:
            raise ModelTimeout(
                f"the embedded model gave no answer in {seconds:.3g} s; a smaller one is faster"
            ) from error
        except httpx.HTTPError as error:
            raise ModelDown(f"the embedded model's runtime broke off ({error}); start Luthier again") from error
        if answer.status_code != httpx.codes.OK:
            raise self._fault(answer)
        return dict(answer.json())

    def count(self, text: str) -> int:
        """The exact number of tokens in a text."""
        answer = self._client.post("/tokenize", json={"content": text}, timeout=CONNECT_SECONDS)
        return len(answer.json()["tokens"])

    def _fault(self, answer: httpx.Response) -> ModelError:
        try:
            fault = dict(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            fault = {"message": answer.text[:200]}
        if fault.get("type") == "exceed_context_size_error":
            return PromptTooLong(
                f"the prompt has {fault.get('n_prompt_tokens')} tokens, but the context holds {self.n_ctx}; "
                "shorten it, or open the model with a larger n_ctx"
            )
        return ModelError(f"the embedded model refused the call ({fault.get('message')}); try another model")


@contextmanager
def _waiting() -> Iterator[None]:
    call = object()
    _in_flight.add(call)
    try:
        yield
    finally:
        _in_flight.discard(call)


@atexit.register
def _leave_calls_behind() -> None:
    """End at once where Ctrl-C came during a call: C++ would crash while it tears down what the generation works on.

    Often that is a segmentation fault. To close the connection first and wait takes as long as the batch, some ten
    seconds of a long prompt.
    """
    if _in_flight:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(128 + signal.SIGINT)


def _library() -> Any:
    """xllamacpp, loaded so that a thread that waits for another soon sleeps instead of spinning.

    OpenMP reads its setting when it is loaded, and spins for milliseconds by default: with a busy core the 135M model
    read 17 tokens/s of prompt so, and 134 like this. Trials must not inherit the setting, so it is put back.
    """
    given = os.environ.get("GOMP_SPINCOUNT")
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelSpecError(f"`embedded` needs xllamacpp, which is not installed; run: {INSTALL}") from error
    finally:
        if given is None:
            del os.environ["GOMP_SPINCOUNT"]
    return xllamacpp


def _start(path: Path, n_ctx: int, key: str) -> Any:
    xllamacpp = _library()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = n_ctx + SLACK
    params.n_parallel = 1  # one slot: all of the context, and the cache stays with it
    params.verbosity = 0
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = threads()
    params.cache_ram_mib = CACHE_MIB
    params.api_keys = [key]
    params.ui = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelSpecError(f"{path} cannot be loaded ({error}); fetch it anew, or name another file") from error
