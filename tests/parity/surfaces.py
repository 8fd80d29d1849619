"""What each language's public surface has, read from its sources.

A name is written as people write it: ``Session::start`` (Rust, C++), ``Session.start`` (Python),
``stayline_session_start`` or ``stayline_start_options.mode`` (C).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Where Rust's public methods are, and which of their types belong to the surface of hosts.
_RUST_SOURCES = [
    "core/src/coordinator",
    "core/src/wrapper",
    "core/src/net/client",
    "core/src/net/request.rs",
    "core/src/net/server",
    "core/src/settings.rs",
    "core/src/error.rs",
    "core/src/store/faults.rs",
]
_RUST_TYPES = {
    "Coordinator", "Session", "Link", "Subscription", "Watch", "ManualClock", "Metrics", "Record",
    "Server", "Settings", "Error", "Faults", "Request",
}  # fmt: skip


def rust() -> set[str]:
    """Public methods, and the public fields of option and view structs."""
    names: set[str] = set()
    for source in _files(_RUST_SOURCES, ".rs"):
        # The machine and the driven wrapper have the same name; hosts tell them by their module.
        wrapper = "net::Wrapper" if "net" in source.parts else "Wrapper"
        text = re.split(r"#\[cfg\(test\)\]\nmod \w+ \{", source.read_text())[0]
        for owner, body in _rust_impls(text):
            name = wrapper if owner == "Wrapper" else owner
            if owner in _RUST_TYPES or owner == "Wrapper":
                names |= {f"{name}::{method}" for method in _rust_methods(body)}
        for owner, body in re.findall(r"^pub struct (\w+)[^{;]*\{\n(.*?)^\}", text, re.S | re.M):
            fields = re.findall(r"^    pub (\w+):", body, re.M)
            names |= {f"{owner}::{field}" for field in fields}
        names |= {f"{owner}" for owner in re.findall(r"^pub fn (\w+)\(", text, re.M)}
    return names


def _rust_impls(text: str) -> Iterator[tuple[str, str]]:
    blocks = r"^( *)impl(?:<[^>]*>)? (\w+)(?:<[^>]*>)? \{\n(.*?)^\1\}"
    for match in re.finditer(blocks, text, re.S | re.M):
        yield match.group(2), match.group(3)


def _rust_methods(body: str) -> list[str]:
    return re.findall(r"^ +pub (?:const )?fn (\w+)", body, re.M)


def c() -> set[str]:
    """Functions, and the fields of structs, of ``stayline.h``."""
    text = _without_comments((ROOT / "include/stayline.h").read_text())
    names = set(re.findall(r"\b(stayline_\w+)\((?!\*)", text))
    structs = re.findall(r"^typedef struct(?: \w+)? \{\n(.*?)^\} (\w+);", text, re.S | re.M)
    for body, owner in structs:
        fields = re.findall(r"(\w+)(?:\[\w+\])?;", body)
        # A pointer to a function is a field as well.
        fields += re.findall(r"\(\*(\w+)\)", body)
        names |= {f"{owner}.{field}" for field in fields if field != "struct_size"}
    return names


def cpp() -> set[str]:
    """Public member functions and fields of ``stayline.hpp`` and what it includes."""
    names: set[str] = set()
    headers = [ROOT / "include/stayline.hpp", *sorted((ROOT / "include/stayline").glob("*.hpp"))]
    for header in headers:
        if header.exists():
            names |= _cpp_names(_without_comments(header.read_text()))
    return names


def _cpp_names(text: str) -> set[str]:
    names: set[str] = set()
    scopes: list[tuple[str, bool]] = []
    depth_of: list[int] = []
    depth = 0
    for line in text.splitlines():
        stripped = line.strip()
        opened = re.match(r"(?:class|struct)(?: \[\[nodiscard\]\])? (\w+)(?! *;)[^;]*\{", stripped)
        space = re.match(r"(?:inline )?namespace (\w+) *\{", stripped)
        if opened or space:
            name = opened.group(1) if opened else f"namespace {space.group(1)}" if space else ""
            scopes.append((name, stripped.startswith(("struct", "namespace", "inline"))))
            depth_of.append(depth)
        elif stripped in ("public:", "private:", "protected:") and scopes:
            scopes[-1] = (scopes[-1][0], stripped == "public:")
        elif depth == (depth_of[-1] + 1 if depth_of else 0):
            is_public = bool(scopes) and scopes[-1][1]
            found = re.match(r"[^(=]*?[\s*&>](~?\w+)(?:\(|\s*(?:=|\{|;))", " " + stripped)
            if found and is_public and not stripped.startswith(("using", "friend", "return", "#")):
                owner = "::".join(
                    name.removeprefix("namespace ")
                    for name, _ in scopes
                    if name not in ("namespace stayline", "namespace detail")
                )
                in_detail = any(name == "namespace detail" for name, _ in scopes)
                if not in_detail:
                    names.add(f"{owner}::{found.group(1)}" if owner else found.group(1))
        depth += line.count("{") - line.count("}")
        while depth_of and depth <= depth_of[-1]:
            depth_of.pop()
            scopes.pop()
    return names


def python() -> set[str]:
    """Public methods and properties of the module from its stub, and its keyword arguments."""
    tree = ast.parse((ROOT / "python/stayline/_internal.pyi").read_text())
    names: set[str] = {"Error.name", "Error.number", "Error.fields"}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        owner = "sansio.Wrapper" if node.name == "SansioWrapper" else node.name
        for item in node.body:
            if isinstance(item, ast.FunctionDef):
                names.add(f"{owner}.{item.name}")
                called = owner if item.name == "__new__" else f"{owner}.{item.name}"
                keywords = [*item.args.args[1:], *item.args.kwonlyargs]
                names |= {f"{called}({argument.arg})" for argument in keywords}
    web = ast.parse((ROOT / "python/stayline/web.py").read_text())
    functions = (node for node in web.body if isinstance(node, ast.FunctionDef))
    return names | {f"web.{node.name}" for node in functions if not node.name.startswith("_")}


def _without_comments(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def _files(places: list[str], suffix: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from sorted(path.rglob(f"*{suffix}")) if path.is_dir() else [path]
