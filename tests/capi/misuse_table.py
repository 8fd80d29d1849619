"""Writes a C file that calls every function of `stayline.h` wrongly.

It knows no function by name, but for a few below: what a call must answer follows from its
declaration and its comment. So a function that is added is covered by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from header import without_inline

# They need no input, and so succeed with nothing.
WITHOUT_INPUT = {
    "stayline_clock_new",
    "stayline_log_set",
    "stayline_sansio_new",
    "stayline_settings_new",
    "stayline_settings_table",
}
# Views that are there for nothing.
VIEWS_OF_NOTHING = {"stayline_version"}
# What texts have to be where any other is refused before the one that is wrong.
TEXTS = {"location": "memory:", "address": "127.0.0.1:0", "data": "{}", "properties": "{}"}
# Texts for people: what is no UTF-8 in them is written out, not refused (values/).
SAID = {"message", "error", "reason", "what"}
NUMBERS = {"int32_t", "int64_t", "uint64_t", "uint16_t", "uint8_t", "size_t", "bool", "int"}

HEAD = """/* Written by misuse_table.py. SPDX-License-Identifier: Apache-2.0 */
#include "misuse.h"

static const stayline_view broken_text = {"a\\xff\\xfez", 4};
static const stayline_view text_of_nothing = {NULL, 3};

"""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    type: str
    name: str

    @property
    def pointee(self) -> str:
        """What a pointer points to, without `const`."""
        return self.type.removeprefix("const ").removesuffix("*").strip()

    @property
    def is_output(self) -> bool:
        """Whether something is written to it."""
        return self.name.startswith("out_") and self.name != "out_error"


@dataclass(frozen=True)
class Function:
    """One function of the header."""

    result: str
    name: str
    parameters: tuple[Parameter, ...]
    comment: str

    def is_optional(self, parameter: Parameter) -> bool:
        """Whether an output may be left out, as the comment says."""
        return re.search(rf"`{parameter.name}`: may be NULL", self.comment) is not None


@dataclass(frozen=True)
class Header:
    """What a header declares."""

    functions: tuple[Function, ...]
    objects: frozenset[str]
    structs: dict[str, tuple[str, ...]]
    """Those that begin with their size, and the names of their other fields."""

    @staticmethod
    def read(path: Path) -> Header:
        """Reads it; every `stayline_…(` outside of comments must be understood."""
        text = without_inline(path.read_text())
        functions = tuple(
            Function(
                result=" ".join(match["result"].split()),
                name=match["name"],
                parameters=read_parameters(match["parameters"]),
                comment=" ".join(match["comment"].replace("\n *", " ").split()),
            )
            for match in re.finditer(
                r"/\*\*(?P<comment>(?:(?!\*/).)*)\*/\s*"
                r"(?P<result>\w[\w ]*?[ *]+)(?P<name>stayline_\w+)\((?P<parameters>[^;{]*?)\);",
                text,
                re.DOTALL,
            )
        )
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        declared = re.findall(r"\b(stayline_\w+)\(", code)
        assert sorted(declared) == sorted(function.name for function in functions)
        return Header(
            functions=functions,
            objects=frozenset(re.findall(r"typedef struct (\w+) \1;", code)),
            structs={
                name: tuple(re.findall(r"(\w+);", body))[1:]
                for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", code, re.DOTALL)
                if body.split()[:2] == ["size_t", "struct_size;"]
            },
        )


def read_parameters(text: str) -> tuple[Parameter, ...]:
    """The parameters of a declaration."""
    if text.strip() == "void":
        return ()
    found = []
    for one in text.split(","):
        match = re.fullmatch(r"(.*?[ *])(\w+)", " ".join(one.split()))
        assert match is not None, one
        found.append(Parameter(type=match[1].strip(), name=match[2]))
    return tuple(found)


class Writer:
    """Writes one function's case."""

    def __init__(self, header: Header, function: Function) -> None:
        self.header = header
        self.function = function
        self.lines: list[str] = []

    def case(self) -> str:
        """The C function of the case."""
        if "out_error" in [one.name for one in self.function.parameters]:
            self.call_with_nothing()
            self.call_without_object()
            self.call_with_one_wrong()
        else:
            self.look_at_nothing()
        body = "\n".join(f"    {line}" for line in self.lines)
        return f"static void misuse_{self.function.name}(void) {{\n{body}\n}}\n"

    # --- functions with a status ---

    def call_with_nothing(self) -> None:
        """NULL and 0 everywhere."""
        nothing = {one.name: self.nothing(one) for one in self.function.parameters}
        if self.function.name == "stayline_log_set":
            self.lines.append(f"EXPECT(OK, {self.call(nothing)});")
            return
        self.lines += [
            f"EXPECT(INVALID_ARGUMENT, {self.call(nothing)});",
            "{",
            "    stayline_error *error = NULL;",
            f"    EXPECT(INVALID_ARGUMENT, {self.call({**nothing, 'out_error': '&error'})});",
            "    expect_error(STAYLINE_STATUS_INVALID_ARGUMENT, &error);",
            "}",
        ]

    def call_without_object(self) -> None:
        """Outputs are zeroed, structs keep what is in them."""
        if self.function.name in WITHOUT_INPUT:
            return
        given = {one.name: self.nothing(one) for one in self.function.parameters}
        self.call_with_outputs(given)

    def call_with_one_wrong(self) -> None:
        """Everything is valid but for one argument."""
        valid = {one.name: self.valid(one) for one in self.function.parameters}
        for one in self.function.parameters:
            if one.is_output:
                if not self.function.is_optional(one):
                    self.call_with_outputs({**valid, one.name: "NULL"}, left_out=one.name)
                if one.pointee in self.header.structs:
                    self.call_with_wrong_sizes(valid, one)
            elif one.type == "stayline_view":
                if one.name not in SAID:
                    self.call_with_outputs({**valid, one.name: "broken_text"})
                self.call_with_outputs({**valid, one.name: "text_of_nothing"})
            elif one.type == "const stayline_view *":
                self.call_with_outputs({**valid, one.name: "NULL", "count": "3"})
                self.call_with_outputs({**valid, one.name: "&broken_text", "count": "1"})
                self.call_with_outputs({**valid, "count": "SIZE_MAX"})
            elif one.pointee in self.header.structs:
                self.call_with_wrong_sizes(valid, one)

    def call_with_wrong_sizes(self, valid: dict[str, str], struct: Parameter) -> None:
        """No size, only that of the size, and more than the library knows."""
        name = struct.pointee
        for size in ("0", "sizeof(size_t)", f"sizeof({name}) + 8", "SIZE_MAX"):
            self.lines += [
                "{",
                f"    union {{ {name} known; char bytes[sizeof({name}) + 8]; }} wrong;",
                "    memset(&wrong, 0, sizeof wrong);",
                f"    wrong.known.struct_size = {size};",
            ]
            self.call_with_outputs(
                {**valid, struct.name: "&wrong.known"}, left_out=struct.name, inner="    "
            )
            self.lines += [
                f"    CHECK(wrong.known.struct_size == {size});",
                "    CHECK(is_zero(wrong.bytes + sizeof(size_t), sizeof wrong - sizeof(size_t)));",
                "}",
            ]
        if struct.is_output and not self.function.is_optional(struct):
            self.call_with_older_struct(valid, struct)

    def call_with_older_struct(self, valid: dict[str, str], struct: Parameter) -> None:
        """An older header knew fewer fields: nothing behind them is touched."""
        name = struct.pointee
        self.lines += [
            "{",
            f"    {name} known, older;",
            "    memset(&known, 0, sizeof known);",
            "    known.struct_size = sizeof known;",
            "    memset(&older, 0xA5, sizeof older);",
            "    older.struct_size = sizeof older - 8;",
            f"    EXPECT(OK, {self.call({**valid, struct.name: '&known'})});",
            f"    EXPECT(OK, {self.call({**valid, struct.name: '&older'})});",
            "    CHECK(older.struct_size == sizeof older - 8);",
            # One by one: what lies between them means nothing.
            *(
                f"    CHECK(offsetof({name}, {field}) + sizeof known.{field} > sizeof older - 8"
                f" || memcmp(&older.{field}, &known.{field}, sizeof known.{field}) == 0);"
                for field in self.header.structs[name]
            ),
            "    for (size_t at = sizeof older - 8; at < sizeof older; at++) {",
            "        CHECK(((unsigned char *)&older)[at] == 0xA5);",
            "    }",
            "}",
        ]

    def call_with_outputs(
        self,
        arguments: dict[str, str],
        *,
        left_out: str = "",
        inner: str = "",
        status: str = "INVALID_ARGUMENT",
    ) -> None:
        """A call that is wrong, with outputs that must be zeroed, but for one that is left out."""
        given = dict(arguments)
        before, after = [], []
        for one in self.function.parameters:
            if not one.is_output or one.name == left_out:
                continue
            given[one.name] = f"&{one.name}"
            before += [
                f"{one.pointee} {one.name};",
                f"memset(&{one.name}, 0xA5, sizeof {one.name});",
            ]
            if one.pointee in self.header.structs:
                before.append(f"{one.name}.struct_size = sizeof {one.name};")
                after += [
                    f"CHECK({one.name}.struct_size == sizeof {one.name});",
                    f"CHECK(((unsigned char *)&{one.name})[sizeof(size_t)] == 0xA5);",
                ]
            else:
                after.append(f"CHECK(is_zero(&{one.name}, sizeof {one.name}));")
        given["out_error"] = "&error"
        block = [
            "{",
            "    stayline_error *error = NULL;",
            *(f"    {line}" for line in before),
            f"    EXPECT({status}, {self.call(given)});",
            f"    expect_error(STAYLINE_STATUS_{status}, &error);",
            *(f"    {line}" for line in after),
            "}",
        ]
        self.lines += [inner + line for line in block]

    # --- the others ---

    def look_at_nothing(self) -> None:
        """What has no status answers nothing for nothing."""
        function = self.function
        nothing = self.call({one.name: self.nothing(one) for one in function.parameters})
        if function.result == "void":
            # Freeing.
            self.lines += [f"{nothing};", f"{nothing};"]
        elif function.result in self.header.structs:
            self.lines.append(f"CHECK({nothing}.struct_size == sizeof({function.result}));")
        elif function.result.endswith("*"):
            self.lines.append(f"CHECK({nothing} == NULL);")
        elif function.result == "stayline_view":
            numbers = [one.name for one in function.parameters if one.type == "int32_t"]
            for number in numbers and ("-1", "99999", "INT32_MIN", "INT32_MAX"):
                unknown = self.call({numbers[0]: number})
                self.lines.append(f"CHECK({unknown}.data == NULL);")
            if not numbers:
                is_none = "!=" if function.name in VIEWS_OF_NOTHING else "=="
                self.lines.append(f"CHECK({nothing}.data {is_none} NULL);")
        else:
            self.lines.append(f"(void){nothing};")
        for one in function.parameters:
            if one.type == "stayline_view":
                valid = {other.name: self.valid(other) for other in function.parameters}
                for wrong in ("broken_text", "text_of_nothing", "no_text"):
                    self.lines.append(f"(void){self.call({**valid, one.name: wrong})};")

    # --- arguments ---

    def call(self, arguments: dict[str, str]) -> str:
        """The call with these arguments; those that are not named are NULL or 0."""
        values = [arguments.get(one.name) or self.nothing(one) for one in self.function.parameters]
        return f"{self.function.name}({', '.join(values)})"

    def nothing(self, parameter: Parameter) -> str:
        """NULL, 0, or a struct of that."""
        if parameter.type.endswith("*"):
            return "NULL"
        if parameter.type == "stayline_view":
            return "no_text"
        if parameter.type in NUMBERS:
            return "0"
        return f"({parameter.type}){{0}}"

    def valid(self, parameter: Parameter) -> str:
        """Something that the function takes."""
        if parameter.is_output and not parameter.type.endswith("**"):
            return "NULL"
        if parameter.pointee in self.header.objects and not parameter.type.endswith("**"):
            return f"objects()->{parameter.pointee.removeprefix('stayline_')}"
        if parameter.type == "stayline_view":
            return f'text("{TEXTS.get(parameter.name, "x")}")'
        if parameter.type == "const stayline_view *":
            return "&(stayline_view){NULL, 0}"
        return self.nothing(parameter)


# They belong to no process: memory that does not change.
UNGUARDED = {"action", "error", "event", "output", "signal"}


def write_child(header: Header) -> str:
    """Calls everything with valid arguments in a forked child, where the objects are inert."""
    lines = []
    for function in header.functions:
        first = function.parameters[0] if function.parameters else None
        if (
            first is None
            or function.parameters[-1].name != "out_error"
            or first.pointee not in header.objects
            or first.pointee.removeprefix("stayline_") in UNGUARDED
        ):
            continue
        writer = Writer(header, function)
        valid = {one.name: writer.valid(one) for one in function.parameters}
        writer.call_with_outputs(valid, status="FORK_ERROR")
        lines += writer.lines
    body = "\n".join(f"    {line}" for line in lines)
    return f"void every_call_in_child(void) {{\n{body}\n}}\n"


def write_table(header: Header) -> str:
    """The C file."""
    cases = [Writer(header, function).case() for function in header.functions]
    rows = "\n".join(
        f'    {{"{function.name}", misuse_{function.name}}},' for function in header.functions
    )
    table = f"const misuse_case every_call_cases[] = {{\n{rows}\n    {{NULL, NULL}},\n}};\n"
    return HEAD + "\n".join([*cases, write_child(header), table])
