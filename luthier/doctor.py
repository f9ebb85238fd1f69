"""What this machine has, tested rather than guessed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

MINIMUM_FREE_GIB = 2.0  # the default model takes 1.1 GiB while its parts lie beside it


@dataclass(frozen=True)
class Check:
    """One line of the report. `ok` is None where a lack is no fault (no GPU, no Ollama)."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, object]:
        """The check as JSON-able data."""
        return asdict(self)


def examine() -> list[Check]:
    """Run every check, in order. Takes a second or two; touches nothing but a temporary folder."""
    software: list[Callable[[], Check]] = [_python, _torch, _embedded, _models, _embedder, _ollama]
    machine: list[Callable[[], Check]] = [_gpu, _sandbox, _energy, _disk, _folder, _memory]
    return [check() for check in software + machine]


def _python() -> Check:
    return Check(
        "Python", sys.version_info >= (3, 11), f"{platform.python_version()} at {sys.executable}", "needs 3.11"
    )


def _torch() -> Check:
    try:
        return Check("PyTorch", True, importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return Check("PyTorch", False, "not installed", "pip install torch")


def _gpu() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("GPU", True, torch.cuda.get_device_name(0))
    return Check("GPU", None, f"none; {os.cpu_count()} CPU cores", "fine for small models and small scripts")


def _embedded() -> Check:
    try:
        return Check("embedded runtime", True, f"xllamacpp {importlib.metadata.version('xllamacpp')}")
    except importlib.metadata.PackageNotFoundError:
        return Check("embedded runtime", None, "not installed", "pip install 'luthier[embedded]'")


def _models() -> Check:
    from .models.catalogue import EMBEDDER, models, present

    here = [entry.name for entry in models() if entry.name != EMBEDDER and present(entry.name)]
    return Check("model files", bool(here) or None, ", ".join(here) or "none", "luthier models pull qwen2.5-coder-1.5b")


def _embedder() -> Check:
    from .models.catalogue import EMBEDDER, present
    from .models.embedder import VARIABLE, memory_embedder, named_embedder
    from .models.errors import ModelError, ModelSpecError

    if (named := named_embedder()) is not None:
        found = f"{named}, by {VARIABLE}"
        try:
            if (embedder := memory_embedder()) is not None:
                embedder.embed(["ready"])
            return Check("text embedder", True, found)
        except (ModelSpecError, ModelError) as error:
            return Check("text embedder", False if isinstance(error, ModelSpecError) else None, found, str(error))
    here = present(EMBEDDER)
    remedy = f"luthier models pull {EMBEDDER} (23 MB) lets the memory search by meaning"
    return Check("text embedder", here or None, EMBEDDER if here else "none", remedy)


def _ollama() -> Check:
    import httpx

    host = os.environ.get("OLLAMA_HOST", "http://127.0.0.1:11434")
    url = host if "://" in host else f"http://{host}"
    try:
        answer = httpx.get(f"{url}/api/version", timeout=2.0).json()
        return Check("Ollama", True, f"{answer.get('version', 'unknown version')} at {url}")
    except (httpx.HTTPError, ValueError):
        return Check("Ollama", None, f"no answer at {url}", "only needed for `ollama:` models")


def _sandbox() -> Check:
    from .trials.sandbox import best_sandbox

    level = best_sandbox().level
    remedy = "" if level == "bubblewrap" else "apt install bubblewrap isolates trials better"
    return Check("sandbox", True if level == "bubblewrap" else None, level, remedy)


def _energy() -> Check:
    from .trials.energy import POWERCAP, read_counters

    found = ", ".join(read_counters())
    locked = "only root may read the processor's counter" if POWERCAP.is_dir() else "the processor has no counter here"
    remedy = f"{locked}; pip install 'luthier[energy]' reads an NVIDIA GPU's"
    return Check("energy", bool(found) or None, found or "not measured", "" if found else remedy)


def _folder() -> Check:
    """Where models are put. What is there says nothing while the folder is to be made."""
    from .models.catalogue import models_dir

    folder = models_dir()
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))  # also below a closed folder
    if there.is_dir() and os.access(there, os.W_OK):
        return Check("model folder", True, f"{folder}, {shutil.disk_usage(there).free / 2**30:.1f} GiB free")
    fault = "is not writable" if there.is_dir() else "is no folder"
    return Check("model folder", False, f"{folder}: {there} {fault}", "set LUTHIER_HOME to a folder of yours")


def _memory() -> Check:
    from .memory.errors import MemoryFault
    from .memory.place import memory_path
    from .memory.sqlite_store import SQLiteStore

    path = memory_path()
    # To open an empty file is to make a memory of it, and the doctor makes nothing.
    if not os.access(path, os.F_OK) or path.stat().st_size == 0:
        return Check("memory", None, f"none yet at {path}", "luthier tune makes one")
    try:
        store = SQLiteStore(path)
    except MemoryFault as error:
        return Check("memory", False, str(path), str(error))
    try:
        return Check("memory", True, f"{store.count():,} notes at {path}")
    finally:
        store.close()


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Check("disk", free >= MINIMUM_FREE_GIB, f"{free:.1f} GiB free here", f"keep {MINIMUM_FREE_GIB:g} GiB free")
