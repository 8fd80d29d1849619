"""The C++ header leaves out nothing that the C header can do."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Functions of C that C++ has no use for, each with the reason.
UNUSED = {
    "stayline_view_of": "std::string_view is made from a C string by the language",
    "stayline_wrapper_fail": "an exit code that is none is an argument",
    "stayline_wrapper_interrupted": "an exit code that is none is an argument",
    "stayline_sansio_fail": "an exit code that is none is an argument",
    "stayline_sansio_interrupted": "an exit code that is none is an argument",
}


def code_of_c() -> str:
    text = (ROOT / "include" / "stayline.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def text_of_cpp() -> str:
    files = [ROOT / "include" / "stayline.hpp", *(ROOT / "include" / "stayline").glob("*.hpp")]
    return "\n".join(without_comments(path.read_text()) for path in files)


def without_comments(text: str) -> str:
    assert "/*" not in text, "the C++ headers have comments of one kind"
    return re.sub(r"//.*", "", text)


def functions() -> set[str]:
    """What the header declares: a name at a parenthesis, outside comments and structs."""
    names = re.findall(r"^[a-z][^;{}()#]*?\b(stayline_\w+)\(", code_of_c(), flags=re.MULTILINE)
    return set(names)


def test_every_function_of_c_is_used_by_cpp() -> None:
    # Of those that initialise a struct it uses the other form.
    names = {name for name in functions() if not name.endswith("_init")}
    assert len(names) > 150, "the header is not read"
    used = set(re.findall(r"\bstayline_\w+", text_of_cpp()))
    assert names - used == set(UNUSED)


def test_every_field_of_an_options_struct_is_given_by_cpp() -> None:
    structs = re.findall(r"typedef struct \{([^{}]*)\} (stayline_\w+);", code_of_c())
    written = [(body, name) for body, name in structs if f"{name}_default(" in code_of_c()]
    assert len(written) >= 10
    cpp = text_of_cpp()
    for body, name in written:
        fields = set(re.findall(r"\b(\w+);", body)) - {"struct_size"}
        assert fields
        missing = {field for field in fields if not re.search(rf"\.{field}\b[\w.]* = ", cpp)}
        assert not missing, f"{name}: {missing}"


def test_every_field_that_c_says_is_read_by_cpp() -> None:
    structs = re.findall(r"typedef struct \{([^{}]*)\} stayline_(?:\w+_info|outcome);", code_of_c())
    assert len(structs) >= 9
    cpp = text_of_cpp()
    for body in structs:
        for field in set(re.findall(r"\b(\w+);", body)) - {"struct_size"}:
            assert re.search(rf"(info\(\)|outcome_)\.{field}\b", cpp), field


def test_every_number_of_an_enum_is_there_in_cpp() -> None:
    numbers = set(re.findall(r"\b(STAYLINE_[A-Z_]+) = ", code_of_c()))
    assert len(numbers) > 60
    used = set(re.findall(r"\bSTAYLINE_[A-Z_]+\b", text_of_cpp()))
    assert not numbers - used


def test_every_status_has_its_exception() -> None:
    statuses = set(re.findall(r"\bSTAYLINE_STATUS_([A-Z_]+) = ", code_of_c())) - {"OK"}
    thrown = re.findall(r"case STAYLINE_STATUS_([A-Z_]+): raise_as<(\w+)>\(", text_of_cpp())
    assert {status for status, _ in thrown} == statuses
    for status, name in thrown:
        assert name == "".join(part.capitalize() for part in status.split("_"))


def test_every_public_item_of_cpp_is_commented() -> None:
    kinds = r"class \w|struct \w|enum class|namespace \w+ \{|using \w+ =|(?:[\w:<>]+&? )?\w+\("
    item = re.compile(rf"(?: {{4}})?(?:(?:inline|explicit|static|constexpr) )*(?:{kinds})")
    # Iterators and what copies and moves say themselves; `stayline` is told in stayline.hpp.
    plain = re.compile(r"operator|= default|= delete|iterator_|namespace stayline|return ")
    seen = 0
    for path in (ROOT / "include" / "stayline").glob("*.hpp"):
        before = ""
        for line in public(path.read_text()).splitlines():
            if item.match(line) and not plain.search(line):
                seen += 1
                assert re.match(r"\s*(///|template)", before), f"{path.name}: {line}"
            before = line
    assert seen > 250


def public(text: str) -> str:
    """What hosts see of a C++ header."""
    everything = re.DOTALL | re.MULTILINE
    text = re.sub(r"^namespace detail \{.*?// namespace detail", "", text, flags=everything)
    text = re.sub(r"^(?:private|protected):.*?^(?=public:|\};)", "", text, flags=everything)
    return re.sub(r"^    class Iterator \{.*?^    \};", "", text, flags=everything)
