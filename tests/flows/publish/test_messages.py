"""The messages of publish, byte by byte, and when ads need no decision."""

import orjson
import pytest

from connectors.messages.cloudevents import structured
from flows.publish.messages import SOURCE, Writer
from state.events.timestamps import ms_rfc3339
from state.protocol.claim import Due

NOW_MS = 1_767_225_600_123


def due(sku: str, levels: str) -> Due:
    return Due(
        sku, 17, trust=True, first=False, base=5, unrouted=0, held=0, sums=(5,), cause_ms=9,
        demand=(), available=4, levels=levels, ads="", alerts=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "sku", ["A1", 'quo"te', "per%cent %d", "back\\slash", "卷", "{A}", "D", "I"]
)
def test_an_update_is_the_same_bytes_as_any_other_event(sku: str) -> None:
    levels = {"shop": 3, "momo": 0}
    kind, message = Writer(NOW_MS).update(
        due(sku, '{"shop":4,"gone":1,"momo":0}'), -2, levels, orjson.dumps(levels), NOW_MS - 5
    )
    data = {
        "sku": sku,
        "version": 17,
        "available": -2,
        "levels": levels,
        "changed": ["shop", "gone"],
        "cause_time": ms_rfc3339(NOW_MS - 5),
    }
    assert kind == "stock.updated"
    assert (message.topic, message.key) == ("stock.updates", sku.encode())
    assert message.value == structured(f"{sku}:17", SOURCE, kind, NOW_MS, data)


def test_the_first_update_of_a_sku_tells_every_channel_as_changed() -> None:
    levels = {"shop": 0, "momo": 0}
    _, message = Writer(NOW_MS).update(due("A", ""), 0, levels, orjson.dumps(levels), NOW_MS)
    assert message.value is not None
    assert orjson.loads(message.value)["data"]["changed"] == ["shop", "momo"]
