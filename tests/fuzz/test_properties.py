"""Decode and normalise under hypothesis: only a typed rejection comes out, and what is right is let in."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.log.base import Record
from connectors.messages.cloudevents import Envelope, Malformed
from flows.demo.bad_input import KINDS
from state.events.messages import Line, PosSale
from state.events.rejection import Rejection, named, shown
from state.protocol.apply import Apply, encode_apply
from state.protocol.sharding import shard_of
from tests.fuzz import properties, wire
from tests.fuzz.mutate import mutated
from tests.fuzz.properties import check
from tests.fuzz.seeds import examples, from_text, odd_ones, seeds, to_text
from tests.fuzz.valid import right_messages

SEEDS = seeds()


def test_every_example_of_the_page_on_messages_is_accepted_in_every_mode() -> None:
    assert len(examples()) == 39
    assert {check(record) for record in examples()} == {"accepted"}


def test_every_odd_message_of_the_demo_ends_as_the_demo_counts_on() -> None:
    verdicts = {name: check(record) for (name, _, _), record in zip(KINDS, odd_ones(), strict=True)}
    assert verdicts == {
        name: "accepted" if kind == "good" else "rejected" for name, kind, _ in KINDS
    }


@settings(max_examples=1_500)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_a_message_changed_anywhere_is_rejected_in_words_or_accepted_within_bounds(
    text: bytes, chance: random.Random
) -> None:
    check(from_text(mutated(text, chance, lambda: chance.choice(SEEDS))))


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=20)), max_size=4).map(tuple),
    st.none() | st.binary(max_size=200),
)
def test_bytes_of_any_kind_are_rejected_in_words(
    headers: tuple[tuple[str, bytes], ...], value: bytes | None
) -> None:
    assert check(Record("pos.sales", 0, 1, 0, None, headers, value)) == "rejected"


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(right_messages)
def test_a_message_that_keeps_every_rule_is_accepted(record: Record) -> None:
    assert check(record) == "accepted"


@given(st.text(max_size=200))
def test_a_value_in_a_reason_is_one_short_line_of_printable_characters(text: str) -> None:
    for told in (shown(text), named(text)):
        assert told.isprintable()
        assert len(told) <= 82


def test_half_of_a_surrogate_pair_can_be_told_in_a_reason() -> None:
    assert shown("\ud800") == '"\\ud800"'
    assert shown("\u2028\u200b") == '"\\u2028\\u200b"'


@pytest.mark.parametrize("record", examples() + odd_ones(), ids=range(len(examples() + odd_ones())))
def test_the_text_form_gives_the_message_back(record: Record) -> None:
    again = from_text(to_text(record))
    assert (again.headers, again.value) == (record.headers, record.value)


def _raise(*_: object) -> Any:
    raise KeyError("data")


def _counting() -> Callable[..., Any]:
    made = iter(range(1_000))
    return lambda *_: Malformed(f"value: expected {next(made)}")


def _sale(sku: str, quantity: Any) -> PosSale:
    return PosSale("s001", "1", (Line(sku, quantity),))


def _without_an_op(call: Apply) -> bytes:
    (part,) = call.parts
    (event,) = part.events
    return encode_apply(
        call._replace(parts=(part._replace(events=(event._replace(ops=event.ops[:-1]),)),))
    )


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [
        (properties, "parse", _raise),
        (properties, "parse", _counting()),
        (properties, "parse", lambda _: Malformed("value: expected\nJSON")),
        (properties, "parse", lambda _: Malformed("value: expected JSON, got " + "x" * 400)),
        (properties, "parse", lambda _: Malformed("no")),
        (properties, "parse", lambda _: Envelope("", "/s", "pos.sale", 0, None, b"{}")),
        (properties, "parse", lambda _: Envelope("a\0", "/s", "pos.sale", 0, None, b"{}")),
        (properties, "parse", lambda _: Envelope("a", "/s", "pos.sale", -1, None, b"{}")),
        (properties, "decode", lambda *_: _sale("A", 0)),
        (properties, "decode", lambda *_: _sale("A", 10**9 + 1)),
        (properties, "decode", lambda *_: _sale("A", 1.0)),
        (properties, "decode", lambda *_: _sale("A" * 129, 1)),
        (properties, "decode", lambda *_: _sale("A\n", 1)),
        (properties, "decode", lambda *_: PosSale("s001", "1", ())),
        (properties, "decode", lambda *_: Rejection("lines: \ud800")),
        (properties, "effects", lambda *_: ((0, "A", "s001", 10**9 + 1, 0, 0),)),
        (properties, "effects", lambda *_: ((0, "A", "s001", 0.5, 0, 0),)),
        (properties, "effects", lambda *_: ()),
        (properties, "effects", lambda *_: ((99, "A", "s001", 1, 0, 0),)),
        (wire, "encode_apply", _without_an_op),
        (wire, "shard_of", lambda sku, n: (shard_of(sku, n) + 1) % n),
    ],
)
def test_each_property_fails_when_it_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, instead: Callable[..., Any]
) -> None:
    shipment = next(record for record in examples() if b"wms.shipment" in (record.value or b""))
    check(shipment)
    monkeypatch.setattr(module, name, instead)
    with pytest.raises((AssertionError, KeyError, UnicodeEncodeError)):
        check(shipment)
