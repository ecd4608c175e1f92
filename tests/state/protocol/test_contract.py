"""Lua and Python agree on what a function is asked and what it answers: names and their order.

Three places say it: the header of the Lua file, its code, and the values of `state/protocol`.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from state.protocol import holds
from state.protocol.apply import Applied, Apply, Part
from state.protocol.claim import Claim, Gate, decode_claimed, encode_settle
from state.protocol.common import Behind, StalePolicy
from state.protocol.control import Rebuild, Recover, Tick, Ticked
from state.protocol.inspect import AskPromises, Inspect, decode_inspected, decode_promises

FUNCTIONS = Path(__file__).parents[3] / "state" / "functions"
SOURCES = {path.stem: path.read_text() for path in sorted(FUNCTIONS.glob("*.lua"))}


def arguments_of(encode: Callable[..., bytes]) -> tuple[str, ...]:
    return tuple(inspect.signature(encode).parameters)


def unpacked_by(decode: Callable[[Sequence[Any]], Any]) -> tuple[str, ...]:
    """Return the names that a decoder gives to the values of a reply, without the status."""
    for node in ast.walk(ast.parse(inspect.getsource(decode))):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) == "reply":
            names = ast.unparse(node.targets[0]).strip("()").split(", ")
            return tuple(name for name in names if name != "_")
    raise AssertionError(f"{decode.__name__} does not unpack its reply")


STALE_POLICY: dict[str, tuple[str, ...]] = {"REFUSED": StalePolicy._fields}
ASKED: dict[str, tuple[str, ...]] = {
    # The events of the parts travel beside them, in flat lists.
    "apply": (*Apply._fields, "slices", "repeats", "lines"),
    "tick": Tick._fields,
    "hold": holds.Hold._fields,
    "keep": holds.Keep._fields,
    "release": arguments_of(holds.encode_release),
    "sweep": ("now_us", "limit"),
    "holds": ("cursor", "limit", "names"),
    "recover": Recover._fields,
    "claim": Claim._fields,
    "settle": arguments_of(encode_settle),
    "rebuild": Rebuild._fields,
    "inspect": Inspect._fields,
    "promises": AskPromises._fields,
}
ANSWERED: dict[str, dict[str, tuple[str, ...]]] = {
    "apply": {"OK": Applied._fields, "LOST": Behind._fields},
    "tick": {"OK": Ticked._fields, "LOST": Behind._fields},
    "hold": STALE_POLICY
    | {
        "OK": ("answers",),
        "HELD": holds.Held._fields,
        "SHORT": holds.Short._fields,
        "STALE": holds.StaleSums._fields,
        "CONFLICT": holds.Conflict._fields,
        "ENDED": holds.Ended._fields,
        "KEPT": holds.Kept._fields,
        "PLACED": holds.Placed._fields,
        "PINNED": holds.Pinned._fields,
        "GONE": holds.Ended._fields,
    },
    "recover": {"OK": ("done", "generation")},
    "claim": STALE_POLICY | {"OK": unpacked_by(decode_claimed)},
    "settle": {"OK": ("settled",)},
    "rebuild": STALE_POLICY | {"OK": ("rebuilt",)},
}
"""By Lua file: the fields of its answers, by status."""
WITHOUT_STATUS = {
    "hold": ("cursor", "holds"),
    "inspect": unpacked_by(decode_inspected),
    "promises": unpacked_by(decode_promises),
}
PARTS_OF_ARGUMENTS = [
    ("apply", Part._fields[:3]),
    ("tick", Part._fields),
    ("claim", Gate._fields),
    ("hold", holds.HoldRequest._fields),
    ("hold", holds.HoldState._fields),
]


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a Lua file registers: what the file's header and code say of it."""

    verb: str
    file: str
    header: str
    code: str


def functions() -> Iterator[Function]:
    for file, text in SOURCES.items():
        for verb, name in re.findall(r"register\('penstock_(\w+)', (\w+)", text):
            body = re.search(
                rf"^( *)local function {name}\(keys, args\)$.*?^\1end$",
                text,
                re.MULTILINE | re.DOTALL,
            )
            assert body, verb
            yield Function(verb, file, section_of(verb, header_of(text)), body[0])


def header_of(text: str) -> str:
    """Return the comment that a file begins with, without its dashes."""
    lines = re.match(r"(?:--.*\n)+", text)
    assert lines
    return re.sub(r"^-- ?", "", lines[0], flags=re.MULTILINE)


def section_of(verb: str, header: str) -> str:
    """Return the part of a header about one of the file's functions, all of it when it has only one."""
    _, begun, rest = header.partition(f"penstock_{verb}: ")
    return rest.partition("\npenstock_")[0] if begun else header


def names_in(brackets: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", brackets))


def answers_in(header: str) -> dict[str, tuple[str, ...]]:
    return {
        status: names_in(names)
        for status, names in re.findall(r'\["([A-Z]+)"((?:, \w+)*)\]', header)
    }


def lists_in(code: str) -> Iterator[tuple[str, list[str]]]:
    """Yield status and values of every list in Lua that begins with a status."""
    for begun in re.finditer(r"\{\s*'([A-Z]+)'", code):
        depth, values, at = 1, [""], begun.end()
        while depth > 1 or code[at] != "}":
            letter = code[at]
            depth += (letter in "{([") - (letter in "})]")
            if letter == "," and depth == 1:
                values.append("")
            else:
                values[-1] += letter
            at += 1
        yield begun[1], [value.strip() for value in values if value.strip()]


def misplaced(fields: Sequence[str], values: Sequence[str]) -> list[str]:
    """Return the values that do not fit the fields.

    A value may have a name of its own, or be an expression, but not bear the name of another field.
    """
    if len(fields) != len(values):
        return list(values)
    return [
        value
        for field, value in zip(fields, values, strict=True)
        if value.rpartition(".")[2] in set(fields) - {field}
    ]


ALL = {function.verb: function for function in functions()}


def test_every_function_of_the_library_is_in_the_contract() -> None:
    assert ALL.keys() == ASKED.keys()
    assert {function.file for function in ALL.values()} == ANSWERED.keys() | WITHOUT_STATUS.keys()


@pytest.mark.parametrize("verb", ASKED)
def test_the_header_lists_the_arguments_in_their_order(verb: str) -> None:
    listed = re.search(r"ARGV\[1\]  \[([^\]]*)\]", ALL[verb].header)
    assert listed
    assert names_in(listed[1]) == ASKED[verb]


@pytest.mark.parametrize("verb", ASKED)
def test_the_code_names_the_arguments_as_they_are_sent(verb: str) -> None:
    named = re.search(r"local (.*) = unpack\(cmsgpack\.unpack\(args\[1\]\)\)", ALL[verb].code)
    assert named
    assert names_in(named[1]) == ASKED[verb]


@pytest.mark.parametrize("file", ANSWERED)
def test_the_header_lists_the_answers_with_their_fields(file: str) -> None:
    assert answers_in(header_of(SOURCES[file])) == ANSWERED[file]


@pytest.mark.parametrize("file", WITHOUT_STATUS)
def test_the_header_lists_the_values_of_an_answer_without_status(file: str) -> None:
    listed = re.search(r"Returns  msgpack of \[(\w+(?:, \w+)*)\]", header_of(SOURCES[file]))
    assert listed
    assert names_in(listed[1]) == WITHOUT_STATUS[file]


@pytest.mark.parametrize("file", ANSWERED)
def test_the_code_answers_with_these_fields_in_this_order(file: str) -> None:
    given = list(lists_in(SOURCES[file]))
    assert {status for status, _ in given} == ANSWERED[file].keys()
    for status, values in given:
        assert not misplaced(ANSWERED[file][status], values), status


@pytest.mark.parametrize(("file", "fields"), PARTS_OF_ARGUMENTS)
def test_the_header_lists_what_an_argument_is_made_of(file: str, fields: tuple[str, ...]) -> None:
    flat = re.sub(r"\s+", " ", header_of(SOURCES[file]))
    assert f"[{', '.join(fields)}" in flat


def test_the_code_names_the_fields_of_a_hold_request_as_they_are_sent() -> None:
    (named,) = re.findall(r"local (.*) = unpack\(request\)", SOURCES["hold"])
    assert names_in(named) == holds.HoldRequest._fields


def test_an_answer_that_lacks_a_field_or_has_them_in_another_order_is_found() -> None:
    ((status, values),) = lists_in("return {\n 'OK', run.found, max(a, b), { 1, 2 }, done,\n}")
    assert (status, values) == ("OK", ["run.found", "max(a, b)", "{ 1, 2 }", "done"])
    assert misplaced(("found", "most", "pair", "done"), values) == []
    assert misplaced(("done", "most", "pair", "found"), values) == ["run.found", "done"]
    assert misplaced(("found", "most", "pair"), values) == values
