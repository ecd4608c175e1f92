"""The message types, and the page that describes them."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.messages.written import WRITTEN, Written
from connectors.messages.written import WrittenEvent as Declared
from state.events.messages import (
    TOPIC_OF,
    TYPES,
    Count,
    CountLine,
    Event,
    OrderPlaced,
    ShipTo,
    Transfer,
)
from state.events.normalise import effects
from state.events.rejection import Rejection
from state.events.timestamps import rfc3339_ms
from state.events.validation import decode
from state.policy.compiled import Compiled
from state.policy.document import Policy, Unknown

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "messages.md").read_text(
    encoding="utf-8"
)
SECTIONS: list[tuple[str, str]] = re.findall(
    r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE
)
EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    (name, json.loads(example))
    for name, section in SECTIONS
    for example in re.findall(r"```json\n(.*?)```", section, re.DOTALL)
]
TAKEN = [(name, event) for name, event in EXAMPLES if name in TYPES]
BY_NAME = {written.name: written for written in WRITTEN}


def test_every_type_has_one_section_and_one_example_under_its_topic() -> None:
    by_topic = re.findall(r"^(##|###) (\S+)$", PAGE, re.MULTILINE)
    topic = ""
    found = {}
    for level, title in by_topic:
        if level == "##":
            topic = title
        else:
            found[title] = topic
    assert found == dict(TOPIC_OF) | {name: written.topic for name, written in BY_NAME.items()}
    assert sorted(name for name, _ in EXAMPLES) == sorted([*TYPES, *BY_NAME])
    assert not TYPES.keys() & BY_NAME.keys()


@pytest.mark.parametrize(("name", "event"), TAKEN, ids=[name for name, _ in TAKEN])
def test_the_example_of_the_page_is_taken(name: str, event: dict[str, Any]) -> None:
    assert event["type"] == name
    data = decode(name, json.dumps(event["data"]).encode())
    assert not isinstance(data, Rejection)
    time_ms = rfc3339_ms(event["time"])
    open_policy = Compiled(Policy(unknown=Unknown(location="create", channel="create")))
    ops = effects(Event(event["id"], event["source"], name, time_ms, data), time_ms, open_policy)
    assert isinstance(ops, tuple)
    assert ops


@pytest.mark.parametrize(("name", "event"), TAKEN, ids=[name for name, _ in TAKEN])
def test_data_written_as_json_reads_back_the_same(name: str, event: dict[str, Any]) -> None:
    data = decode(name, json.dumps(event["data"]).encode())
    assert not isinstance(data, Rejection)
    assert decode(name, msgspec.json.encode(data)) == data


@pytest.mark.parametrize("written", WRITTEN, ids=[written.name for written in WRITTEN])
def test_the_example_of_what_penstock_writes_is_what_is_declared(written: Written) -> None:
    example = dict(EXAMPLES)[written.name]
    whole: Any = Declared[written.data]  # type: ignore[name-defined]  # found at run time
    event = msgspec.json.decode(json.dumps(example), type=whole, strict=True)
    assert (event.type, event.source) == (written.name, written.source)


def rows(section: str) -> dict[str, list[str]]:
    """The table of a section: member -> its other cells."""
    found = re.findall(r"^\| `([\w.\[\]]+)` \| (.*?) \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return {name: cells for name, *cells in found}


def fields(data: type[Any], path: str = "") -> dict[str, msgspec.inspect.Field]:
    """The fields of a struct and of the structs inside it, by their path."""
    found = {}
    for field in struct(msgspec.inspect.type_info(data)).fields:
        found[path + field.encode_name] = field
        shape = bare(field.type)
        if isinstance(shape, msgspec.inspect.VarTupleType):
            item = bare(shape.item_type)
            if isinstance(item, msgspec.inspect.StructType):
                found |= fields(item.cls, f"{path}{field.encode_name}[].")
        elif isinstance(shape, msgspec.inspect.StructType):
            found |= fields(shape.cls, f"{path}{field.encode_name}.")
    return found


def bare(shape: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return bare(shape.type) if isinstance(shape, msgspec.inspect.Metadata) else shape


def struct(shape: msgspec.inspect.Type) -> msgspec.inspect.StructType:
    assert isinstance(shape, msgspec.inspect.StructType)
    return shape


def test_every_member_of_every_type_is_in_the_table_of_its_section() -> None:
    sections = dict(SECTIONS)
    for name, data in TYPES.items():
        table = rows(sections[name])
        assert table.keys() == fields(data).keys(), name
        for path, field in fields(data).items():
            kind, required, meaning = table[path]
            assert required == ("yes" if field.required else "no"), (name, path)
            assert len(kind) > 1, (name, path)
            assert len(meaning) > 5, (name, path)


def test_every_member_of_what_penstock_writes_is_in_the_table_of_its_section() -> None:
    sections = dict(SECTIONS)
    for name, written in BY_NAME.items():
        twin = next(each for each in WRITTEN if each.data is written.data)
        table = rows(sections[twin.name])
        assert f"`{twin.name}`" in sections[name] or twin is written
        assert table.keys() == fields(written.data).keys(), name
        assert all(len(kind) > 1 and len(meaning) > 5 for kind, _, meaning in table.values()), name


def test_every_member_of_the_envelope_is_on_the_page() -> None:
    chapter = PAGE.partition("## What Penstock writes")[2].partition("\n## ")[0]
    names = [field.encode_name for field in msgspec.structs.fields(Declared)]
    assert [name for name in rows(chapter) if name in names] == names


def test_a_value_cannot_be_changed() -> None:
    order = OrderPlaced("o1", "shopee", ())
    with pytest.raises(AttributeError):
        order.order = "o2"  # type: ignore[misc]
    assert order.ship_to == ShipTo()


def test_rules_over_several_members_hold_for_values_made_by_hand_too() -> None:
    with pytest.raises(ValueError, match="counted_at: expected RFC 3339 time"):
        Count("s1", "yesterday", (CountLine("A", 1),))
    with pytest.raises(ValueError, match="to: expected another location"):
        Transfer("t", "shipped", (), origin="a", destination="a")
