"""What people install: the source distribution builds, and its wheel works without Rust.

One build covers both. The wheel is made from the unpacked source distribution, into the
workspace's own target folder and with its development profile, so that the dependencies are not
compiled again; `make wheel` makes the one for release in the same way.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import stayline

ROOT = Path(__file__).parents[2]
# A busy machine compiles slowly; a build that hangs is ended all the same.
BUILD_PATIENCE = 900
MEBIBYTE = 1 << 20

pytestmark = pytest.mark.timeout(2 * BUILD_PATIENCE)


def run(*command: str | Path, **options: object) -> str:
    ended = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_PATIENCE,
        **options,  # type: ignore[call-overload]
    )
    assert ended.returncode == 0, ended.stdout
    return str(ended.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def sdist(folder: Path) -> Path:
    run(
        *(sys.executable, "-m", "maturin", "sdist"),
        *("--manifest-path", ROOT / "python" / "Cargo.toml", "--out", folder),
    )
    (built,) = folder.glob("stayline-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(folder: Path, sdist: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    run(
        *(sys.executable, "-m", "maturin", "build", "--profile", "dev"),
        *("--compatibility", "linux", "--out", folder / "wheels"),
        cwd=source,
        env=os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target")},
    )
    (built,) = (folder / "wheels").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    """An interpreter of an empty environment that has the wheel and nothing else."""
    environment = folder / "venv"
    run(sys.executable, "-m", "venv", environment)
    # Nothing is fetched: the wheel needs nothing.
    run(environment / "bin" / "pip", "install", "--no-index", wheel, env=bare())
    return environment / "bin"


def bare() -> dict[str, str]:
    """An environment without Rust, and without this checkout."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def test_the_source_distribution_has_all_it_takes_and_no_more(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Cargo.toml", "Cargo.lock", "pyproject.toml", "python/src/lib.rs", "core/src/lib.rs"}
    needed |= {"sqlite-locks/build.rs", "sqlite-locks/src/locks.c"}
    needed |= {"LICENSE", "THIRD-PARTY", "README.md", "PKG-INFO"}
    assert needed <= names
    assert {"stayline/__init__.py", "stayline/_internal.pyi", "stayline/py.typed"} <= names
    assert "stayline_command/__init__.py" in names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_the_wheel_is_for_every_python_from_its_oldest_on(wheel: Path) -> None:
    assert "-cp310-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = archive.read(metadata).decode()
    assert {"stayline/_internal.abi3.so", "stayline/py.typed", "stayline/_internal.pyi"} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        *("stayline", "stayline_command"),
    }
    assert not [name for name in names if name.endswith((".rs", ".pyc"))]
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    # Whose code is in it, as tests/house holds to the lock file.
    (others,) = (name for name in names if name.endswith(".dist-info/licenses/THIRD-PARTY"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(others) == (ROOT / "python" / "THIRD-PARTY").read_bytes()
    assert "License-File: THIRD-PARTY" in about
    assert "License-Expression: Apache-2.0" in about
    assert f"Version: {stayline.__version__}" in about
    assert "Requires-Python: >=3.10" in about
    # The project's page on PyPI.
    assert "Description-Content-Type: text/markdown" in about
    assert about.strip().endswith((ROOT / "python" / "README.md").read_text().strip())
    assert re.search(r"^Keywords: .*lifecycle", about, re.MULTILINE)
    assert "Classifier: Programming Language :: Python :: 3.14\n" in about
    assert "MacOS" not in about.partition("\n\n")[0]
    assert len(re.findall(r"^Project-URL: ", about, re.MULTILINE)) == 4
    # What everybody needs is in it.
    required = re.findall(r"^Requires-Dist: (.*)$", about, re.MULTILINE)
    assert all("extra ==" in line for line in required), required


def test_a_release_wheel_is_small() -> None:
    wheels = list((ROOT / "target" / "wheels").glob("stayline-*.whl"))
    if not wheels:
        pytest.skip("`make wheel` has not been run")
    for wheel in wheels:
        assert wheel.stat().st_size <= 8 * MEBIBYTE, wheel.name


def test_it_works_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", readme(), re.DOTALL | re.MULTILINE)[:1]
    (expected,) = re.findall(r"^```text\n(.*?)^```$", readme(), re.DOTALL | re.MULTILINE)[:1]
    script = tmp_path / "example.py"
    script.write_text(example)
    printed = run(installed / "python", "-I", "-W", "error", script, cwd=tmp_path, env=bare())
    assert printed == expected


def readme() -> str:
    return (ROOT / "README.md").read_text()


def test_the_command_works_there_too(installed: Path, tmp_path: Path) -> None:
    version = run(installed / "stayline", "--version", cwd=tmp_path, env=bare())
    assert stayline.__version__ in version
    printed = run(
        *(installed / "stayline", "run", "--session", "s", "--", "echo", "hello"),
        cwd=tmp_path,
        env=bare(),
    )
    assert printed.startswith("hello\n")
    assert "completed" in printed
