"""Reads `stayline.h`: its items, with their comments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Fields end with a semicolon, and may be pointers to functions; members end with a comma.
ENDS = {"field": ";", "member": ","}


@dataclass
class Item:
    """A function, a struct, an enum, a constant, or a field or member of one; or a function that is
    compiled into the caller (``inline``)."""

    kind: str
    name: str
    comment: str
    code: str = ""
    parts: list[Item] = field(default_factory=list)

    def parameters(self) -> list[str]:
        """The names of a function's parameters."""
        inside = self.code[self.code.index("(") + 1 : self.code.rindex(")")]
        if inside.strip() == "void":
            return []
        return [re.split(r"[ *]", parameter.strip())[-1] for parameter in inside.split(",")]


def without_comments(text: str) -> str:
    """The code alone."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


def without_inline(text: str) -> str:
    """What the library has of it: not the functions that are compiled into the caller."""
    return re.sub(
        r"(?:/\*\*(?:(?!\*/).)*\*/\s*)?static inline [^{]*\{.*?\n\}\n", "", text, flags=re.S
    )


def comment_of(lines: list[str]) -> str:
    """The text of a comment, without what frames it."""
    told = (line.strip().removeprefix("/**").removesuffix("*/").strip() for line in lines)
    return "\n".join(line.removeprefix("*").strip() for line in told).strip()


def parts_of(kind: str, body: str) -> list[Item]:
    """The fields of a struct, or the members of an enum."""
    part_of = re.compile(rf"(?:/\*\*(?P<comment>.*?)\*/)?\s*(?P<code>[^/]*?){ENDS[kind]}", re.S)
    parts = []
    for part in part_of.finditer(body):
        code = part["code"].strip()
        if kind == "member":
            name = code.split("=")[0].strip()
        else:
            pointer = re.match(r"[^(]*\(\*(\w+)\)", code)
            name = pointer[1] if pointer else re.split(r"[ *]", code)[-1]
        comment = comment_of((part["comment"] or "").splitlines())
        parts.append(Item(kind, name, comment, code))
    return parts


def items_of(header: str) -> list[Item]:
    """The items of a header, in its order; what is for the preprocessor alone is none."""
    items = []
    lines = iter(header.splitlines())
    comment: list[str] = []
    for line in lines:
        if line.startswith("/*"):
            comment = [line]
            while not line.endswith("*/"):
                line = next(lines)
                comment.append(line)
            continue
        if line.startswith("#define "):
            name = re.split(r"[ (]", line.removeprefix("#define "))[0]
            if name != "STAYLINE_H":
                items.append(Item("constant", name, comment_of(comment), line))
        elif line.startswith(("enum ", "typedef struct {")):
            code = [line]
            while not re.match(r"\}.*;$", code[-1]):
                code.append(next(lines))
            text = "\n".join(code)
            body = text[text.index("{") + 1 : text.rindex("}")]
            if line.startswith("enum "):
                parts = parts_of("member", body.rstrip().removesuffix(",") + ",")
                items.append(Item("enum", line.split()[1], comment_of(comment), text, parts))
            else:
                name = text[text.rindex("}") + 1 : -1].strip()
                parts = parts_of("field", body)
                items.append(Item("struct", name, comment_of(comment), text, parts))
        elif line.startswith("static inline "):
            code = [line]
            while code[-1] != "}":
                code.append(next(lines))
            inline = re.match(r"[\w *]*?\b(stayline_\w+)\(", line)
            assert inline is not None, line
            items.append(Item("inline", inline[1], comment_of(comment), "\n".join(code)))
        elif line.startswith("typedef struct "):
            items.append(Item("type", line.split()[2], comment_of(comment), line))
        elif (function := re.match(r"[\w *]*?\b(stayline_\w+)\(", line)) is not None:
            code = [line]
            while not code[-1].endswith(";"):
                code.append(next(lines))
            items.append(Item("function", function[1], comment_of(comment), "\n".join(code)))
        if line.strip():
            comment = []
    return items
