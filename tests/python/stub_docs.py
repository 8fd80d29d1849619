"""Copies the docstrings of the extension into its stub, where editors look for them.

The text is written once, in the Rust sources; `make docs` brings the stub up to date,
and a test fails when it is not.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

PYTHON = Path(__file__).parents[2] / "python"
STUB = PYTHON / "stayline" / "_internal.pyi"
WIDTH = 100

Definition = ast.ClassDef | ast.FunctionDef


def with_docs(stub: str, module: ModuleType) -> str:
    """The stub's text with the docstrings that the module has now."""
    lines = stub.splitlines()
    # From the end, so that what is edited moves nothing that is still to be edited.
    for definition, owner in reversed(list(definitions(ast.parse(stub), module))):
        text = documentation(definition, owner)
        body = definition.body
        if ast.get_docstring(definition) is not None:
            del lines[body[0].lineno - 1 : body[0].end_lineno]
            body = body[1:]
        if text is None:
            if not body:
                add_ellipsis(lines, definition)
            continue
        insert(lines, definition, body, text)
    return formatted("\n".join(lines) + "\n")


def formatted(stub: str) -> str:
    """As `make format` would have it."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "format", "--config", PYTHON / "pyproject.toml"),
            *("--stdin-filename", STUB, "-"),
        ],
        input=stub,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stdout


def definitions(scope: ast.Module | ast.ClassDef, owner: object) -> list[tuple[Definition, object]]:
    """Every class and function of the stub with what it belongs to, in the order of the text."""
    found: list[tuple[Definition, object]] = []
    for node in scope.body:
        if isinstance(node, ast.FunctionDef):
            found.append((node, owner))
        elif isinstance(node, ast.ClassDef):
            found.append((node, owner))
            found.extend(definitions(node, getattr(owner, node.name, None)))
    return found


def documentation(definition: Definition, owner: object) -> str | None:
    """What the module says about it; nothing about magic methods, which everybody knows."""
    if definition.name.startswith("__"):
        return None
    text = getattr(getattr(owner, definition.name, None), "__doc__", None)
    return text if isinstance(text, str) and text else None


def insert(lines: list[str], definition: Definition, body: list[ast.stmt], text: str) -> None:
    only_ellipsis = (
        len(body) == 1
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and body[0].value.value is ...
    )
    header = header_end(lines, definition)
    if only_ellipsis:
        kept = lines[header].rstrip()
        if kept.endswith("..."):
            lines[header] = kept.removesuffix("...").rstrip()
    indent = " " * (definition.col_offset + 4)
    quoted = text.replace("\\", "\\\\").replace('"""', '\\"""')
    # With room for the closing quotes, which stand behind a text of one line.
    wrapped = list(paragraphs('"""' + quoted, WIDTH - len(indent) - len('"""')))[:-1]
    rendered = [f"{indent}{line}".rstrip() for line in wrapped]
    if len(rendered) == 1:
        rendered[0] += '"""'
    else:
        rendered.append(f'{indent}"""')
    lines[header + 1 : header + 1] = rendered


def paragraphs(text: str, width: int) -> Iterator[str]:
    """The text with its paragraphs filled; indented lines are examples and stay as they are."""
    for block in text.split("\n\n"):
        if block.startswith(" "):
            yield from block.splitlines()
        else:
            yield from textwrap.wrap(block, width, break_long_words=False, break_on_hyphens=False)
        yield ""


def add_ellipsis(lines: list[str], definition: Definition) -> None:
    header = header_end(lines, definition)
    lines[header] = lines[header].rstrip() + " ..."


def header_end(lines: list[str], definition: Definition) -> int:
    """The line that ends a `def …:` or `class …:`."""
    at = definition.lineno - 1
    while not lines[at].rstrip().removesuffix("...").rstrip().endswith(":"):
        at += 1
    return at


def main() -> None:
    from stayline import _internal

    STUB.write_text(with_docs(STUB.read_text(), _internal))


if __name__ == "__main__":
    main()
