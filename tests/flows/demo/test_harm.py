"""What the demo plants: repeats that a guard must catch, messages that nobody can take."""

from collections import Counter
from itertools import pairwise

import orjson
import pytest

from flows.demo.bad_input import BRACE_SKU, KINDS, odd_message
from flows.demo.events import Fact, StreamEvent
from flows.demo.harm import harmed
from flows.demo.stream import Story
from flows.demo.synthetic import made_up_trading

HOUR_MS = 3_600_000
NEIGHBOUR = Fact(1_483_315_200_000, "pos.sales", "s1", "/pos/s1", "b1", "pos.sale", {"lines": []})


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    return list(Story(made_up_trading()).facts())


@pytest.fixture(scope="module")
def stream(facts: list[Fact]) -> list[StreamEvent]:
    return list(harmed(facts, 10))


def identity(event: StreamEvent) -> tuple[str, str]:
    headers = dict(event.headers)
    if "ce_id" in headers:
        return headers["ce_source"].decode(), headers["ce_id"].decode()
    value = orjson.loads(event.value or b"")
    return value["source"], value["id"]


def time_of(event: StreamEvent) -> str:
    headers = dict(event.headers)
    if "ce_time" in headers:
        return headers["ce_time"].decode()
    return str(orjson.loads(event.value or b"")["time"])


def odd(name: str, ordinal: int = 100) -> StreamEvent:
    names = [kind for kind, *_ in KINDS]
    return odd_message(ordinal * len(KINDS) + names.index(name), NEIGHBOUR)


def test_the_stream_stays_in_time_order_and_ends_with_the_closing_fact(
    stream: list[StreamEvent],
) -> None:
    times = [event.business_ms for event in stream]
    assert times == sorted(times)
    assert identity(stream[-1]) == ("/wms/dc", "closing")


def test_every_fact_is_told_once_and_whole(facts: list[Fact], stream: list[StreamEvent]) -> None:
    odd_names = {name for name, *_ in KINDS}
    good = [e for e in stream if e.kind == "good" and e.event_type not in odd_names]
    assert [identity(event) for event in good] == [(fact.source, fact.id) for fact in facts]


def test_a_repeat_follows_its_original_at_once_or_1_to_40_hours_later(
    stream: list[StreamEvent],
) -> None:
    first: dict[tuple[str, str], StreamEvent] = {}
    fates: Counter[str] = Counter()
    for before, event in pairwise(stream):
        if before.kind == "good":
            first[identity(before)] = before
        if event.kind != "duplicate":
            continue
        original = first[identity(event)]
        delay_ms = event.business_ms - original.business_ms
        if delay_ms == 0:
            assert before is original
            assert event.value == original.value
            fates["at once"] += 1
        else:
            assert HOUR_MS <= delay_ms <= 40 * HOUR_MS
            assert event.phase == "year"
            fates["late" if time_of(event) == time_of(original) else "late, other time"] += 1
    repeats = fates.total()
    assert 0.07 < repeats / len(first) < 0.13
    assert 0.4 < fates["at once"] / repeats < 0.6
    assert 0.4 < fates["late"] / (repeats - fates["at once"]) < 0.6


def test_about_one_message_in_n_is_odd_and_they_go_through_every_kind_in_turn(
    facts: list[Fact], stream: list[StreamEvent]
) -> None:
    names = [name for name, *_ in KINDS]
    found = [event.event_type for event in stream if event.event_type in names]
    assert 0.07 < len(found) / len(facts) < 0.13
    assert found == [names[n % len(names)] for n in range(len(found))]


def test_only_three_kinds_of_odd_messages_are_acceptable() -> None:
    accepted = {name for name, kind, _ in KINDS if kind == "good"}
    assert accepted == {"duplicate_json_keys", "same_sku_received_twice", "brace_in_sku"}


@pytest.mark.parametrize("name", [name for name, *_ in KINDS])
def test_an_odd_message_has_a_key_and_goes_to_an_input_topic(name: str) -> None:
    event = odd(name)
    assert event.topic in {"pos.sales", "wms.receipts", "marketplace.orders"}
    assert event.key
    assert event.business_ms == NEIGHBOUR.business_ms
    assert odd(name) == event


@pytest.mark.parametrize(
    "name",
    ["duplicate_json_keys", "same_sku_received_twice", "brace_in_sku", "quantity_beyond_64_bits"],
)
def test_a_message_with_odd_content_is_json_all_the_same(name: str) -> None:
    value = orjson.loads(odd(name).value or b"")
    assert value["data"]["location"] == "dc"


def test_what_cannot_be_read_really_cannot() -> None:
    for name in ("not_json", "not_utf8", "deep_nesting"):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(odd(name).value or b"")
    assert odd("tombstone").value is None


def test_one_message_has_10_megabytes_and_its_like_lie_just_over_the_limit() -> None:
    lengths = [len(odd("too_large", ordinal).value or b"") for ordinal in range(3)]
    assert lengths[0] >= 10_000_000
    assert all(1_048_576 < length < 1_050_000 for length in lengths[1:])


def test_ten_thousand_lines_stay_below_the_limit_of_bytes() -> None:
    value = odd("too_many_lines").value or b""
    assert len(value) < 1_048_576
    assert len(orjson.loads(value)["data"]["lines"]) == 10_000


def test_quantities_are_written_as_meant() -> None:
    written = {
        name: (odd(name).value or b"").partition(b'"quantity":')[2].partition(b"}")[0]
        for name, *_ in KINDS
        if name.startswith("quantity")
    }
    assert written == {
        "quantity_zero": b"0",
        "quantity_negative": b"-1",
        "quantity_float": b"1.0",
        "quantity_text": b'"1"',
        "quantity_beyond_64_bits": b"9223372036854775808",
    }


def test_both_modes_are_in_one_message_and_control_characters_in_ids() -> None:
    names = {name for name, _ in odd("both_modes").headers}
    assert {"content-type", "ce_id"} <= names
    assert b"a\\u0000b" in (odd("nul_in_sku").value or b"")
    assert b"a\\u0007b" in (odd("control_character_in_order").value or b"")
    assert BRACE_SKU.encode() in (odd("brace_in_sku").value or b"")
