"""What must hold for every message, whatever it is: read, and refused in words or bounded in figures."""

import re
from typing import Any, Literal, TypeAlias, cast

import msgspec

from connectors.log.base import Record
from connectors.messages import dead_letters
from connectors.messages import decode as events
from connectors.messages.cloudevents import MAX_ATTRIBUTE_CHARACTERS, Malformed, parse
from state.events.messages import LINES_MAX, QUANTITY_MAX, TYPES, Data, Event
from state.events.normalise import effects
from state.events.ops import COUNT, Op
from state.events.rejection import Rejection
from state.events.validation import decode
from state.policy.compiled import Compiled
from state.policy.document import Channel, Location, Policy
from tests.fuzz.wire import check_wire

Verdict: TypeAlias = Literal["rejected", "accepted"]

REASON_MAX = 320
ID_MAX = 128
TEXT_MAX = 1000
TIME_MS_MAX = 253_402_300_799_999
UNITS = 12
POLICY = Compiled(
    Policy(
        locations=(
            Location("s001", "store"),
            Location("wh-ec", "warehouse"),
            Location("sup-a", "dropship"),
            Location("dc", "warehouse"),
        ),
        channels=(Channel("shopee"), Channel("shop")),
    )
)

_KINDS = tuple(sorted(TYPES))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def codes(_source: str, code: str, _log_timestamp_ms: int) -> tuple[str, int] | None:
    """Map codes of a till: cartons of twelve, two codes of one SKU, and codes that nobody knows."""
    if code.startswith("C"):
        return None
    return code.rstrip("0123456789") or "none", UNITS if code.startswith("B") else 1


def check(record: Record) -> Verdict:
    """Hold a message to all that is promised.

    Raises:
        AssertionError: a promise is broken. Anything else that is raised breaks one, too.
    """
    _check_alone(record)
    found = parse(record)
    assert parse(record) == found, "reading twice gives two answers"
    _check_short_way(record)
    if isinstance(found, Malformed):
        assert ": expected " in found.reason
        _check_refusal(record, "decode", found.reason)
        return "rejected"
    for text in (found.id, found.source, found.type):
        assert 0 < len(text) <= MAX_ATTRIBUTE_CHARACTERS
        assert not _CONTROL.search(text)
    assert 0 <= found.time_ms <= TIME_MS_MAX
    data = decode(found.type, found.data)
    assert decode(found.type, found.data) == data, "decoding twice gives two answers"
    if isinstance(data, Rejection):
        _check_refusal(record, "decode", data.reason)
        return "rejected"
    check_data(data)
    event = Event(found.id, found.source, found.type, found.time_ms, data)
    verdict: Verdict = "rejected"
    for table in (None, codes):
        ops = effects(event, record.timestamp_ms, POLICY, table)
        assert effects(event, record.timestamp_ms, POLICY, table) == ops, "two answers to one event"
        if isinstance(ops, Rejection):
            _check_refusal(record, "normalise", ops.reason)
        else:
            verdict = "accepted"
            check_ops(ops)
            check_wire(event, record, ops)
    return verdict


def _check_short_way(record: Record) -> None:
    """What is read in one go is what the careful readers read."""
    assert events.read(record) == events._slowly(record), "two ways to read, two answers"


def _check_alone(record: Record) -> None:
    """Decode the value as the data of some type, without what reading an envelope keeps out."""
    value = record.value or b""
    data = decode(_KINDS[len(value) % len(_KINDS)], value)
    if isinstance(data, Rejection):
        _check_refusal(record, "decode", data.reason)
    else:
        check_data(data)


def check_data(data: Data) -> None:
    """Hold accepted data to the bounds of the page on messages, without asking its declarations."""
    plain: dict[str, Any] = msgspec.structs.asdict(data)
    for name, value in plain.items():
        if name == "lines":
            # Only a cancellation may come without lines, and a receipt that is final.
            assert isinstance(value, tuple)
            without = type(data).__name__ == "OrderCancelled" or plain.get("final") is True
            assert (0 if without else 1) <= len(value) <= LINES_MAX
            for line in value:
                _check_line(type(data).__name__, line)
        elif name == "note":
            assert len(value) <= TEXT_MAX
        elif isinstance(value, str):
            assert len(value) <= ID_MAX
            assert not _CONTROL.search(value)
            value.encode()


def _check_line(kind: str, line: Any) -> None:
    assert 0 < len(line.sku) <= ID_MAX
    assert not _CONTROL.search(line.sku)
    line.sku.encode()
    lowest = {"Adjustment": -QUANTITY_MAX, "Count": 0, "SupplierStock": 0}.get(kind, 1)
    assert type(line.quantity) is int
    assert lowest <= line.quantity <= QUANTITY_MAX
    assert line.quantity or lowest == 0


def check_ops(ops: tuple[Op, ...]) -> None:
    """Hold ops to their form: known codes, a SKU, and integers of at most a thousand million."""
    assert 1 <= len(ops) <= 2 * LINES_MAX + 1
    for op in cast("tuple[tuple[Any, ...], ...]", ops):
        assert type(op) is tuple
        code, sku, *rest = op
        assert code in range(11)
        assert len(sku) <= ID_MAX
        if code == COUNT:
            assert 0 <= op[3] <= TIME_MS_MAX
            rest = [*op[4:]]
        for value in rest:
            assert type(value) in (int, str)
            assert isinstance(value, str) or abs(value) <= QUANTITY_MAX


def _check_refusal(record: Record, step: str, reason: str) -> None:
    """A reason is one short line, and the letter that carries it gives the message back byte by byte."""
    assert reason, "no reason"
    assert len(reason) <= REASON_MAX, f"a reason of {len(reason)} characters"
    assert reason.isprintable(), f"a reason that cannot be printed: {reason!a}"
    letter = dead_letters.from_rejected(record, "log", step, reason)
    message = dead_letters.to_message(letter, record.timestamp_ms)
    kept = Record(message.topic, 0, 0, 0, message.key, message.headers, message.value)
    assert dead_letters.from_record(kept) == letter, "a letter that is not what was sent"
