"""What the tests of the C and C++ interface share: an installed prefix, and compilers for it."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).parents[2]
# Upper bounds, far above what anything here takes; no test depends on speed.
PATIENCE = 60.0
# A busy machine compiles slowly; a compiler that hangs is ended all the same.
BUILD_PATIENCE = 280.0

COMPILERS = {
    ("c", "gcc"): "gcc",
    ("c", "clang"): "clang",
    ("c++", "gcc"): "g++",
    ("c++", "clang"): "clang++",
}
STANDARDS = {"c": "-std=c99", "c++": "-std=c++17"}
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")


class Compile(Protocol):
    """Compiles and links sources against the installed library; the same again is not built anew.

    A static library is linked with `static=True`. What is given as `output` is built in any case.
    """

    def __call__(
        self,
        sources: str | Path | Sequence[str | Path],
        *,
        language: str = "c",
        compiler: str = "gcc",
        flags: Sequence[str] = (),
        packages: Sequence[str] = ("stayline",),
        static: bool = False,
        output: Path | None = None,
    ) -> Path: ...


@pytest.fixture(scope="session")
def prefix() -> Path:
    """Where the library is installed: $STAYLINE_PREFIX, else what `make test-capi` has built."""
    prefix = Path(os.environ.get("STAYLINE_PREFIX", ROOT / "target" / "capi")).resolve()
    if not (prefix / "include" / "stayline.h").exists():
        pytest.fail(f"nothing is installed in {prefix}; run `make test-capi`", pytrace=False)
    return prefix


@pytest.fixture(scope="session")
def libdir(prefix: Path) -> Path:
    """The folder of the installed libraries."""
    return prefix / "lib"


@pytest.fixture(scope="session")
def pkg_config_environment(libdir: Path) -> Mapping[str, str]:
    """The environment in which pkg-config finds the installed library, beside the system's."""
    return {**os.environ, "PKG_CONFIG_PATH": str(libdir / "pkgconfig")}


@pytest.fixture(scope="session")
def compile(
    prefix: Path,
    libdir: Path,
    pkg_config_environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Compile:
    """See `Compile`."""
    cache = ROOT / "target" / "capi-tests"
    cache.mkdir(parents=True, exist_ok=True)
    library = (libdir / "libstayline.a").stat()
    headers = digest_of_headers(prefix / "include")

    def compile_(
        sources: str | Path | Sequence[str | Path],
        *,
        language: str = "c",
        compiler: str = "gcc",
        flags: Sequence[str] = (),
        packages: Sequence[str] = ("stayline",),
        static: bool = False,
        output: Path | None = None,
    ) -> Path:
        given = [sources] if isinstance(sources, str | Path) else list(sources)
        paths = [(ROOT / source).resolve() for source in given]
        compile_flags = run_pkg_config(packages, "--cflags", environment=pkg_config_environment)
        link_flags = run_pkg_config(
            packages,
            *(("--static",) if static else ()),
            "--libs",
            environment=pkg_config_environment,
        )
        if static:
            link_flags = [
                str(libdir / "libstayline.a") if flag == "-lstayline" else flag
                for flag in link_flags
            ]
        command = [
            COMPILERS[language, compiler],
            *(STANDARDS[language], *WARNINGS, "-g"),
            *compile_flags,
            *flags,
            *map(str, paths),
            *link_flags,
            *(() if static else (f"-Wl,-rpath,{libdir}",)),
        ]
        key = hashlib.sha256(repr(command).encode())
        key.update(headers)
        if static:
            key.update(f"{library.st_size} {library.st_mtime_ns}".encode())
        for path in paths:
            key.update(path.read_bytes())
        for folder in sorted({path.parent for path in paths}):
            key.update(digest_of_headers(folder))
        wanted = output or cache / f"{paths[0].stem}-{key.hexdigest()[:16]}"
        if output is not None or not wanted.exists():
            # Under another name first: a build that was ended in the middle leaves nothing.
            built = tmp_path_factory.mktemp("build") / wanted.name
            ended = subprocess.run(
                [*command, "-o", str(built)],
                capture_output=True,
                text=True,
                timeout=BUILD_PATIENCE,
            )
            if ended.returncode != 0:
                pytest.fail(f"{shlex.join(command)}\n{ended.stderr}", pytrace=False)
            # The temporary folder may be on another file system.
            beside = wanted.with_name(f"{wanted.name}.{os.getpid()}")
            beside.write_bytes(built.read_bytes())
            beside.chmod(0o755)
            beside.rename(wanted)
            built.unlink()
        return wanted

    return compile_


def run_pkg_config(
    packages: Sequence[str], *options: str, environment: Mapping[str, str]
) -> list[str]:
    """The flags that pkg-config prints for packages; none for no packages."""
    if not packages:
        return []
    ended = subprocess.run(
        ["pkg-config", *options, *packages],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
    )
    assert ended.returncode == 0, ended.stderr
    return shlex.split(ended.stdout)


def digest_of_headers(folder: Path) -> bytes:
    """What stands in the headers of a folder and below it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.h*")):
        if path.suffix in (".h", ".hpp"):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.digest()
