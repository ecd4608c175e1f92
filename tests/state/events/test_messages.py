"""The message types, and the page that describes them."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

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

PAGE = (Path(__file__).parents[3] / "docs" / "messages.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    (name, json.loads(example))
    for name, section in SECTIONS
    for example in re.findall(r"```json\n(.*?)```", section, re.DOTALL)
]


def test_every_type_has_one_section_and_one_example_under_its_topic() -> None:
    by_topic = re.findall(r"^(##|###) (\S+)$", PAGE, re.MULTILINE)
    topic = ""
    found = {}
    for level, title in by_topic:
        if level == "##":
            topic = title
        else:
            found[title] = topic
    assert found == dict(TOPIC_OF)
    assert sorted(name for name, _ in EXAMPLES) == sorted(TYPES)


@pytest.mark.parametrize(("name", "event"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_of_the_page_is_taken(name: str, event: dict[str, Any]) -> None:
    assert event["type"] == name
    data = decode(name, json.dumps(event["data"]).encode())
    assert not isinstance(data, Rejection)
    time_ms = rfc3339_ms(event["time"])
    open_policy = Compiled(Policy(unknown=Unknown(location="create", channel="create")))
    ops = effects(Event(event["id"], event["source"], name, time_ms, data), time_ms, open_policy)
    assert isinstance(ops, tuple)
    assert ops


@pytest.mark.parametrize(("name", "event"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_data_written_as_json_reads_back_the_same(name: str, event: dict[str, Any]) -> None:
    data = decode(name, json.dumps(event["data"]).encode())
    assert not isinstance(data, Rejection)
    assert decode(name, msgspec.json.encode(data)) == data


def test_every_member_of_every_type_is_named_on_the_page() -> None:
    for name, section in SECTIONS:
        for field in msgspec.structs.fields(TYPES[name]):
            assert f"`{field.encode_name}`" in PAGE or f'"{field.encode_name}"' in section


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
