"""What `make capi` installs is found by CMake and pkg-config, from a project that is elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import BUILD_PATIENCE, ROOT, run_pkg_config
from test_versions import MAJOR, MINOR, VERSION

HERE = ROOT / "tests" / "capi"
INSTALLED = {
    *("libstayline.a", "libstayline.so"),
    *("pkgconfig/stayline.pc", "cmake/stayline/stayline-config.cmake"),
    "cmake/stayline/stayline-config-version.cmake",
}
PROJECT = """\
cmake_minimum_required(VERSION 3.13)
project(host C)
find_package(stayline {version} REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared stayline::stayline)
add_executable(static main.c)
target_link_libraries(static stayline::stayline_static)
message(STATUS "found ${{stayline_VERSION}}")
"""


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    ended = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_PATIENCE,
        env=environment,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def loaded(program: Path) -> str:
    """Where the library comes from that a program runs with."""
    found = [line for line in run("ldd", program).splitlines() if "libstayline" in line]
    return found[0].split("=>")[1].split()[0] if found else ""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project with a program of its own."""
    folder = tmp_path / "host"
    folder.mkdir()
    shutil.copy(HERE / "version.c", folder / "main.c")
    return folder


@pytest.fixture
def moved(prefix: Path, tmp_path: Path) -> Path:
    """The installed tree, elsewhere."""
    place = tmp_path / "moved"
    shutil.copytree(prefix, place, symlinks=True)
    return place


def build(project: Path, prefix: Path, version: str = "") -> str:
    (project / "CMakeLists.txt").write_text(PROJECT.format(version=version))
    told = run("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", project / "build")
    return told


def check(folder: Path, libdir: Path) -> None:
    for kind in ("shared", "static"):
        assert run(folder / kind).split()[:2] == [VERSION, VERSION]
    assert Path(loaded(folder / "shared")).parent == libdir
    assert loaded(folder / "static") == ""


def test_everything_is_installed(prefix: Path, libdir: Path) -> None:
    assert {name for name in INSTALLED if not (libdir / name).exists()} == set()
    headers = {
        path.relative_to(ROOT / "include"): path.read_bytes()
        for path in (ROOT / "include").rglob("*.h*")
    }
    installed = {
        path.relative_to(prefix / "include"): path.read_bytes()
        for path in (prefix / "include").rglob("*.h*")
    }
    assert installed == headers


def test_cmake_finds_it_shared_and_static(project: Path, prefix: Path, libdir: Path) -> None:
    assert f"found {VERSION}" in build(project, prefix)
    check(project / "build", libdir)


def test_cmake_finds_it_where_it_was_moved_to(project: Path, moved: Path) -> None:
    build(project, moved)
    check(project / "build", moved / "lib")
    assert str(ROOT) not in (project / "build" / "CMakeCache.txt").read_text()


def test_cmake_finds_it_in_a_folder_of_an_architecture(project: Path, moved: Path) -> None:
    # As `make capi LIBDIR=lib/x86_64-linux-gnu` installs it.
    libdir = moved / "lib" / "x86_64-linux-gnu"
    (moved / "lib").rename(moved / "libraries")
    (moved / "lib").mkdir()
    (moved / "libraries").rename(libdir)
    # CMake looks there for projects of that architecture; this one may be built on another.
    (project / "CMakeLists.txt").write_text(PROJECT.format(version=""))
    place = f"-Dstayline_DIR={libdir / 'cmake' / 'stayline'}"
    run("cmake", "-S", project, "-B", project / "build", place)
    run("cmake", "--build", project / "build")
    check(project / "build", libdir)


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        (VERSION, True),
        (f"{VERSION} EXACT", True),
        (f"{MAJOR}.{MINOR}", True),
        (f"{MAJOR}.{MINOR}...{MAJOR}.{int(MINOR) + 1}", True),
        (f"{MAJOR}.{MINOR}.9999", False),
        (f"{MAJOR}.{int(MINOR) + 1}", False),
        (f"{int(MAJOR) + 1}", False),
        (f"{int(MAJOR) + 1}...{int(MAJOR) + 2}", False),
    ],
)
def test_cmake_takes_the_versions_that_the_soname_stands_for(
    version: str, fits: bool, prefix: Path, tmp_path: Path
) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.19)\nproject(host NONE)\n"
        f"find_package(stayline {version})\nfind_package(stayline {version})\n"
        'message(STATUS "found: ${stayline_FOUND}")\n'
        "if(stayline_FOUND AND NOT TARGET stayline::stayline)\n"
        '    message(FATAL_ERROR "no target")\nendif()\n'
    )
    told = run("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert f"found: {1 if fits else 0}" in told


def test_cmake_says_what_is_missing(moved: Path, tmp_path: Path) -> None:
    shutil.rmtree(moved / "include")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(host NONE)\nfind_package(stayline)\n"
    )
    told = run("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={moved}")
    assert "there is no include/stayline.h near" in " ".join(told.split())


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("COMPONENTS shared static", "found: 1"),
        ("OPTIONAL_COMPONENTS widgets", "found: 1"),
        ("COMPONENTS widgets", "there is no component widgets; there are shared and static"),
        ("COMPONENTS static", "the static library is not in"),
    ],
)
def test_cmake_knows_its_components(asked: str, told: str, moved: Path, tmp_path: Path) -> None:
    if "not in" in told:
        (moved / "lib" / "libstayline.a").unlink()
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(host NONE)\n"
        f"find_package(stayline {asked})\n"
        'message(STATUS "found: ${stayline_FOUND}")\n'
    )
    seen = run("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={moved}")
    assert told in " ".join(seen.split())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_program_without_shared_libraries(
    compiler: str, project: Path, pkg_config_environment: Mapping[str, str]
) -> None:
    def flags(*options: str) -> list[str]:
        return run_pkg_config(["stayline"], *options, environment=pkg_config_environment)

    source = project / "main.c"
    program = project / "static"
    command = [compiler, "-static", *flags("--cflags"), str(source), *flags("--static", "--libs")]
    run(*command, "-o", program)
    assert run(program).split()[:2] == [VERSION, VERSION]
    needed = run("readelf", "--dynamic", program)
    assert "There is no dynamic section" in needed, needed


def test_the_rules_that_the_headers_cite_go_along(prefix: Path) -> None:
    folder = prefix / "share" / "doc" / "stayline"
    for name in ("rules.md", "errors.md", "settings.md", "wire.md"):
        assert (folder / name).read_bytes() == (ROOT / "docs" / name).read_bytes()


def test_licences_go_along(prefix: Path) -> None:
    folder = prefix / "share" / "licenses" / "stayline"
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    others = (folder / "THIRD-PARTY").read_text()
    for name in ("ring", "rustls", "tokio", "libsqlite3-sys"):
        assert f"\n=== {name} " in others, name
    assert "public domain" in others
    assert others.count("\n--- LICEN") > 50


def test_it_goes_away_whole(moved: Path) -> None:
    kept = moved / "lib" / "another.so"
    kept.write_text("somebody else's")
    run("make", "-C", ROOT, "uncapi", f"PREFIX={moved}")
    assert [path for path in moved.rglob("*") if path.is_file()] == [kept]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_pkg_config_finds_it_shared_and_static(
    compiler: str,
    project: Path,
    libdir: Path,
    pkg_config_environment: Mapping[str, str],
) -> None:
    def flags(*options: str) -> list[str]:
        return run_pkg_config(["stayline"], *options, environment=pkg_config_environment)

    folder = project / "build"
    folder.mkdir()
    main = project / "main.c"
    run_path = f"-Wl,-rpath,{libdir}"
    shared = [*flags("--cflags"), str(main), *flags("--libs"), run_path]
    run(compiler, *shared, "-o", folder / "shared")
    # The archive by name, or the linker takes the shared library beside it.
    static = [
        "-l:libstayline.a" if flag == "-lstayline" else flag for flag in flags("--static", "--libs")
    ]
    run(compiler, *flags("--static", "--cflags"), main, *static, "-o", folder / "static")
    check(folder, libdir)


def test_pkg_config_finds_it_where_it_was_moved_to(moved: Path) -> None:
    environment = {**os.environ, "PKG_CONFIG_PATH": str(moved / "lib" / "pkgconfig")}
    told = run_pkg_config(
        ["stayline"], "--define-prefix", "--cflags", "--libs", environment=environment
    )
    assert told == [f"-I{moved}/include", f"-L{moved}/lib", "-lstayline"]
