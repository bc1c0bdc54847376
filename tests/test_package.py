"""The built package: what it holds, and that it runs from where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, check_report

from runner import __version__

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
_UNREACHABLE = ("NewConnectionError", "Max retries exceeded", "ReadTimeoutError", "ProxyError",
                "ConnectTimeoutError")  # fmt: skip


def _pip(*args: str, **variables: str) -> None:
    """Run pip; skip where it cannot reach its registry."""
    done = subprocess.run(
        [*_PIP, "--retries=1", "--timeout=10", *args],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode and any(words in done.stderr for words in _UNREACHABLE):
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the build backend."""
    folder = tmp_path_factory.mktemp("tools")
    _pip("install", "--target", str(folder), "hatchling", "editables")
    return folder


@pytest.fixture(scope="module")
def built(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, as the backend makes them."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tools)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


def _venv(folder: Path) -> Path:
    """A fresh environment, without pip; gives its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that the wheel and what it needs are installed in."""
    python = _venv(tmp_path_factory.mktemp("wheel"))
    (wheel,) = built.glob("*.whl")
    _pip("--python", str(python), "install", str(wheel))
    return python


@pytest.fixture(scope="module")
def editable(
    installed: Path, tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """An environment with an editable install, and a folder of what it needs but the package."""
    python = _venv(tmp_path_factory.mktemp("editable"))
    _pip("--python", str(python), "install", "--no-deps", "--no-build-isolation",
         "--editable", str(ROOT), PYTHONPATH=str(tools))  # fmt: skip
    needed = tmp_path_factory.mktemp("needed")
    (packages,) = (installed.parent.parent / "lib").glob("*/site-packages")
    for entry in packages.iterdir():
        if not entry.name.startswith(("runner", "keitaro_runner")):
            (needed / entry.name).symlink_to(entry)
    return python, needed


def _says(python: Path, cwd: Path, *args: str, path: str = "") -> str:
    done = subprocess.run(
        [str(python.parent / "keitaro-runner"), *args],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _bundled(python: Path, cwd: Path, path: str = "") -> Path:
    """Where an installed package keeps its playbooks."""
    code = "from runner.catalogue import bundled; print(bundled('playbooks'))"
    done = subprocess.run(
        [python, "-c", code],
        cwd=cwd,
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Path(done.stdout.strip())


def _sources() -> set[str]:
    """The catalogue's files and the playbooks, as paths from the root."""
    found = [*(ROOT / "schemas").rglob("*.json"), *(ROOT / "playbooks").rglob("*.yaml")]
    return {str(path.relative_to(ROOT)) for path in found}


def test_wheel_holds_its_data(built: Path) -> None:
    """The wheel holds the code, and schemas and playbooks below it; no tests."""
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"keitaro_runner-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"runner/_bundled/{name}" for name in _sources()} <= names
    code = {str(p.relative_to(ROOT)) for p in (ROOT / "runner").rglob("*.py")}
    assert code <= names
    assert not [name for name in names if name.startswith(("tests/", "schemas/", "."))]


def test_sdist_holds_everything(built: Path) -> None:
    """The sdist holds what the wheel is made of, and the tests."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert _sources() <= names
    assert {"pyproject.toml", "README.md", "runner/cli/commands.py", "tests/conftest.py"} <= names


def test_wheel_runs(installed: Path, tmp_path: Path) -> None:
    """From the wheel, in an empty folder, a bundled playbook runs against the emulator."""
    playbooks = _bundled(installed, tmp_path)
    assert "_bundled" in playbooks.parts
    out = _says(
        installed, tmp_path, "run", str(playbooks / "quickstart.yaml"), "--emulator",
        "--report", "-",
    )  # fmt: skip
    envelopes = check_report(out)
    assert len(envelopes) >= 6
    assert all(envelope["success"] for envelope in envelopes)


def test_wheel_has_its_schemas(installed: Path, tmp_path: Path) -> None:
    """From the wheel the bundled schemas are found."""
    assert '"$schema"' in _says(installed, tmp_path, "schema", "envelope")


def test_editable_finds_its_data(editable: tuple[Path, Path], tmp_path: Path) -> None:
    """An editable install reads schemas and playbooks from the checkout."""
    python, needed = editable
    playbooks = _bundled(python, tmp_path, str(needed))
    assert playbooks == ROOT / "playbooks"
    out = _says(
        python, tmp_path, "run", str(playbooks / "quickstart.yaml"), "--emulator",
        "--report", "-", path=str(needed),
    )  # fmt: skip
    assert len(out.splitlines()) >= 6
