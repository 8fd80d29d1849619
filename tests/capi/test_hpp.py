"""stayline.hpp as C++ hosts use it, and as they should not."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "hpp.cpp"
# Far above what any case takes; they wait up to a minute themselves.
PATIENCE = 120.0

CASES = [
    "callbacks",
    "clock",
    "closing_while_others_wait",
    "defaults",
    "descriptors",
    "errors",
    "launches",
    "logs",
    "machine",
    "many_threads",
    "moves",
    "panics",
    "parked_notifications",
    "ranges",
    "use_after_close",
    "use_after_move",
]


SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(params=["gcc", "clang", "sanitized"])
def program(request: pytest.FixtureRequest, compile: Callable[..., Path]) -> Path:
    """Plain by both compilers; and so that wrong memory and leaks end it."""
    sanitized = request.param == "sanitized"
    compiler = "clang" if sanitized else request.param
    flags = ["-pthread", *(SANITIZERS if sanitized else [])]
    return compile([SOURCE], language="c++", compiler=compiler, flags=flags)


def run(program: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_no_case_is_left_out(program: Path) -> None:
    assert run(program).split() == CASES


@pytest.mark.parametrize("case", CASES)
def test_case(program: Path, case: str) -> None:
    run(program, case)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_each_file_stands_alone_also_under_a_newer_standard(
    compile: Callable[..., Path], compiler: str, prefix: Path, tmp_path: Path
) -> None:
    headers = sorted((prefix / "include" / "stayline").glob("*.hpp"))
    assert len(headers) > 15
    sources = []
    for header in headers:
        source = tmp_path / f"{header.stem}.cpp"
        source.write_text(f"#include <stayline/{header.name}>\n#include <stayline/{header.name}>\n")
        sources.append(source)
    main = tmp_path / "main.cpp"
    # Twice in one program: nothing in the headers is defined twice.
    main.write_text(
        "#include <stayline.hpp>\nint main() { return stayline::abi_version() == 0; }\n"
    )
    flags = ["-std=c++20", "-Wshadow", "-Wconversion"]
    run(compile([main, *sources], language="c++", compiler=compiler, flags=flags))


#: A whole run, and an error that nobody can catch.
WITHOUT_EXCEPTIONS = """
#include <stayline.hpp>
#include <cstdio>

int main(int count, char** words) {
    stayline::Coordinator coordinator(count > 1 ? words[1] : "memory:");
    stayline::Server server = coordinator.serve("127.0.0.1:0");
    stayline::Session session = coordinator.session("s");
    session.launch([&](const stayline::Execution& execution) {
        stayline::WrapperOptions options;
        options.url = server.url();
        options.session_id = session.id();
        options.execution_id = execution.id();
        options.token = execution.token();
        stayline::Wrapper wrapper(options);
        wrapper.run([&] { wrapper.complete(0); });
        const stayline::Outcome outcome = wrapper.outcome();
        std::printf("%.9s\\n", stayline::to_string(outcome.status.value()).data());
    });
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_works_without_exceptions(
    compile: Callable[..., Path], compiler: str, tmp_path: Path
) -> None:
    source = tmp_path / "without.cpp"
    source.write_text(WITHOUT_EXCEPTIONS)
    program = compile(source, language="c++", compiler=compiler, flags=["-fno-exceptions"])
    assert run(program) == "completed\n"
    (tmp_path / "runs.db").mkdir()
    ended = subprocess.run(
        [program, f"sqlite:{tmp_path / 'runs.db'}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == -signal.SIGABRT
    assert ended.stderr.startswith("stayline: the store failed")
    assert str(tmp_path) in ended.stderr


LITERALS = """
#include <stayline.h>
int main(void) {
    const stayline_view text = STAYLINE_LITERAL("a\\0b");
    return !(text.len == 3 && text.data[2] == 'b' && STAYLINE_LITERAL("").len == 0);
}
"""


@pytest.mark.parametrize(("language", "suffix"), [("c", "c"), ("c++", "cpp")])
def test_a_literal_is_measured_by_the_compiler(
    compile: Callable[..., Path], language: str, suffix: str, tmp_path: Path
) -> None:
    source = tmp_path / f"literal.{suffix}"
    source.write_text(LITERALS)
    run(compile(source, language=language))
    source.write_text(LITERALS.replace('"a\\0b"', "words"))
    with pytest.raises(pytest.fail.Exception):
        compile(source, language=language)


def test_who_drops_what_ends_with_it_is_warned(
    compile: Callable[..., Path], tmp_path: Path
) -> None:
    source = tmp_path / "dropped.cpp"
    source.write_text(
        "#include <stayline.hpp>\nvoid f(stayline::Coordinator& one);\n"
        'void f(stayline::Coordinator& one) { one.serve("127.0.0.1:0"); }\nint main() {}\n'
    )
    with pytest.raises(pytest.fail.Exception, match="nodiscard"):
        compile(source, language="c++")
