"""A constant is said once, in Python or in Lua, and the library that Redis loads has it."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from state.events.order_key import US
from state.store.library import DECLARED, LIBRARY, OWNERS, library_source

FUNCTIONS = Path(__file__).parents[3] / "state" / "functions"
SOURCES = {path.stem: path.read_text() for path in sorted(FUNCTIONS.glob("*.lua"))}

OF_LUA_ALONE = {
    "NAME BEFORE ON_HAND RESERVED UNAVAILABLE UNDER_WAY EVICTED COUNTED_AT COUNTED MOVEMENTS": (
        "where the figures of a position stand in the array that holds them while a function runs"
    ),
    "SKU KEY OLDER QUEUED WAS MARK OFFSET OTHERS ALERTS": "the same of a SKU",
    "VERSION CAUSE CLAIM REVISION CLASSES NEWEST UNROUTED HELD BASE DAY UNITS SUMS": (
        "the same of the figures of its head"
    ),
    "FIGURES": "the reader in Python goes by the number that a position begins with",
    "WIDE": "how many values Lua unpacks at once",
    "META": "the fields of `meta` that a function reads together",
    "GATE_FIELDS": "how many positions are read at once: not seen outside",
    "TOUCH_CHUNK": "how many SKUs a tick makes due: not seen outside",
    "OPEN_NETS": "a field of a reference that only functions read",
    "ITEM TERMS": "patterns: Python takes the same texts apart in other ways",
    "PAUSED": "what to look for in a text that the publisher wrote as JSON",
    "OPS WHOLE": "functions by op code",
}
NUMBER_MIN = 1000
"""Numbers below this are often equal by chance."""


def code_of(text: str) -> str:
    return re.sub(r"--.*", "", text)


def declared() -> Iterator[tuple[str, ModuleType, str]]:
    """Yield (Lua file, owner, name) of every constant that a Lua file has from Python."""
    for name, text in SOURCES.items():
        for match in DECLARED.finditer(text):
            yield from ((name, OWNERS[match[4]], constant) for constant in match[2].split(", "))


def said_in_lua(text: str) -> Iterator[str]:
    """Yield the names in capitals that a Lua file gives a value."""
    for names in re.findall(r"^ *local ([A-Z_, ]+?) =", code_of(text), re.MULTILINE):
        yield from names.split(", ")


def test_the_library_holds_every_file_of_functions() -> None:
    assert sorted(LIBRARY) == list(SOURCES)


def test_every_declared_constant_has_a_value_in_the_library() -> None:
    assert DECLARED.search(library_source()) is None
    lines = [line for text in SOURCES.values() for line in text.splitlines() if "-- from " in line]
    assert len(lines) > 15
    assert all(DECLARED.fullmatch(line) for line in lines)


def test_every_declared_constant_is_used() -> None:
    code = "\n".join(map(code_of, SOURCES.values()))
    for name, _, constant in declared():
        assert len(re.findall(rf"\b{constant}\b", code)) > 1, (name, constant)


@pytest.mark.parametrize("name", SOURCES)
def test_lua_gives_a_value_only_to_constants_that_python_does_not_know(name: str) -> None:
    alone = {each for names in OF_LUA_ALONE for each in names.split()}
    assert set(said_in_lua(SOURCES[name])) <= alone


def test_every_constant_of_lua_alone_is_there() -> None:
    said = [constant for text in SOURCES.values() for constant in said_in_lua(text)]
    assert sorted(said) == sorted(each for names in OF_LUA_ALONE for each in names.split())
    assert not set(said) & {constant for _, _, constant in declared()}


def test_no_number_that_python_exports_stands_in_lua() -> None:
    exported = {
        value
        for _, owner, constant in declared()
        if isinstance(value := getattr(owner, constant), int) and value >= NUMBER_MIN
    }
    assert len(exported) > 5
    for name, text in SOURCES.items():
        numbers = {int(number) for number in re.findall(r"\b\d+\b", code_of(text))}
        assert not numbers & exported, name


def test_the_separator_is_the_only_control_character_written_out_in_lua() -> None:
    escapes = {
        (name, int(code))
        for name, text in SOURCES.items()
        for code in re.findall(r"\\(\d+)", code_of(text))
    }
    packed = {("figures", 0), ("positions", 1)}
    assert {code for name, code in escapes - packed} == {ord(US)}


def test_a_value_is_written_as_lua_reads_it() -> None:
    source = library_source()
    assert "local US = '\\031' -- from state/events/order_key.py" in source
    assert "local OP_SIZES = { [0] = 6, [1] = 5," in source
    assert "local ABSENT = -1 --" in source
