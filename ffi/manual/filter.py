"""What doxygen reads of a file: `filter.py FILE` prints it.

Headers stay as they are, but for three things: their first comment becomes the file's, each item of
`stayline.h` goes to the group of its noun, and a rule that is cited (R12) is a link to its text. In
pages, links lead to other pages of the manual, or are left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

COMMENT = re.compile(r"/\*\*\n.*?\*/", re.S)
RULE = re.compile(r"\bR(\d+[a-z]?)\b")
#: Pages of the manual, with their names in it.
PAGES = {"c.md": "mainpage", "errors.md": "errors", "settings.md": "settings", "rules.md": "rules"}
#: What has no object of its own.
OTHERS = {"text": "Text and versions"}


def known_rules() -> set[str]:
    """Those that the page of rules defines."""
    text = Path("docs/rules.md").read_text(encoding="utf-8")
    return set(re.findall(r"^- \*\*(R\d+[a-z]?)\*\*", text, re.M))


def with_links(comment: str, rules: set[str]) -> str:
    """A comment in which cited rules are links."""
    return RULE.sub(lambda found: link(found[0], rules), comment)


def link(rule: str, rules: set[str]) -> str:
    """One rule."""
    return f'@ref {rule} "{rule}"' if rule in rules else rule


def nouns(text: str) -> list[str]:
    """Of the C header, from its objects; the longest first, so that each name finds its own."""
    found = re.findall(r"^typedef struct stayline_(\w+) stayline_\1;", text, re.M)
    return sorted(found, key=len, reverse=True)


def c_header(text: str, rules: set[str]) -> str:
    """`stayline.h`."""
    known = nouns(text)
    head, rest = text.split("*/", 1)
    groups = "".join(
        f"/** @defgroup {noun} {noun.replace('_', ' ').capitalize()} */\n" for noun in sorted(known)
    )
    groups += "".join(f"/** @defgroup {name} {title} */\n" for name, title in OTHERS.items())

    def grouped(found: re.Match[str]) -> str:
        comment = with_links(found[0], rules)
        behind = rest[found.end() : found.end() + 400]
        declared = re.match(
            r"\s*(?:#define (\w+)|typedef (?:struct|enum) (\w+)|[\w *]*?(\w+)\()",
            behind,
        )
        name = next((one for one in declared.groups() if one), "") if declared else ""
        if not name:
            return comment
        bare = name.lower().removeprefix("stayline_")
        noun = next((one for one in known if re.match(rf"{one}(_|$)", bare)), "text")
        return comment[: -len("*/")] + f"\n * @ingroup {noun}\n */"

    head = head.replace("/*", "/** @file\n", 1).replace("\\xff", "\\\\xff")
    return with_links(head, rules) + "*/\n" + groups + COMMENT.sub(grouped, rest)


def cpp_header(text: str, rules: set[str]) -> str:
    """`stayline.hpp` and what it includes."""
    lines = text.splitlines()
    if lines and lines[0].startswith("// Stayline"):
        end = next(number for number, line in enumerate(lines) if not line.startswith("//"))
        lines[:end] = ["/** @file", *(line[3:] for line in lines[:end]), "*/"]
    else:
        lines.insert(0, "/** @file */")
    return "\n".join(
        with_links(line, rules) if line.lstrip().startswith("//") else line for line in lines
    )


def page(text: str, name: str, rules: set[str]) -> str:
    """A page of docs/."""
    label = PAGES[name]
    if label != "mainpage":
        text = re.sub(r"\A# (.*)", rf"# \1 {{#{label}}}", text)
    if label == "rules":
        text = re.sub(r"^- \*\*(R\d+[a-z]?)\*\*", r"- @anchor \1 **\1**", text, flags=re.M)

    def target(found: re.Match[str]) -> str:
        other = PAGES.get(found[2].split("#")[0])
        return f"[{found[1]}](@ref {other})" if other and other != "mainpage" else found[1]

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", target, text)


def main() -> None:
    """Reads the file, prints the other."""
    path = Path(sys.argv[1])
    text = path.read_text(encoding="utf-8")
    rules = known_rules()
    if path.suffix == ".md":
        text = page(text, path.name, rules)
    elif path.suffix == ".h":
        text = c_header(text, rules)
    else:
        text = cpp_header(text, rules)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
