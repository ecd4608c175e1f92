"""What the flows and the dead letters really write, against what `connectors.messages.written` declares."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import orjson
import pytest
import redis
from msgspec import inspect

from connectors.log.base import OUTPUT_TOPICS, Outgoing, Record, history
from connectors.messages import dead_letters
from connectors.messages.cloudevents import STRUCTURED
from connectors.messages.written import WRITTEN, Written, WrittenEvent
from connectors.redis.embedded import Embedded
from state.events.timestamps import rfc3339_ms
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

MANY = [f"M{n}" for n in range(12)]
BY_NAME = {written.name: written for written in WRITTEN}
GUARDED = """
policies: {zero_guard_pct: 50, zero_guard_min: 10}
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}]
channels: [{id: shopee, buffer: {units: 1}}, {id: shop}]
ads:
  - {rule: google, channel: shop, pause_at: 2, resume_at: 6, dwell_s: 0,
     pause_cover_days: 0.001, resume_cover_days: 0.002}
"""


class Emitted(NamedTuple):
    """A record of an output topic, read by the type that is declared for it."""

    record: Record
    raw: Any
    event: WrittenEvent[Any]
    declared: Written


@pytest.fixture(scope="module")
def emitted(valkey: Embedded, tmp_path_factory: pytest.TempPathFactory) -> list[Emitted]:
    """What Penstock writes in a small shop where everything happens that it writes of."""
    with redis.Redis(unix_socket_path=valkey.socket) as client:
        client.flushall()
        client.function_flush()
    config = tmp_path_factory.mktemp("outgoing") / "penstock.yaml"
    config.write_text(GUARDED)
    with engine(valkey, config) as e:
        levels_and_signals(e)
        alerts(e)
        letters(e)
        everything_sold(e)
        return [read(record) for topic in OUTPUT_TOPICS for record in history(e.run.log, topic)]


def levels_and_signals(e: Engine) -> None:
    for units in (10, -8, 3, 1):
        e.send("wms.adjustment", location="wh", reason="x", actor="kim", lines=lines(A=units))
        turn(e)
    e.send("pos.sale", location="wh", receipt="r", lines=lines(A=4))
    turn(e)


def turn(e: Engine) -> None:
    e.ingest(rounds=2)
    e.publish(rounds=1)


def alerts(e: Engine) -> None:
    back = [{"sku": "B", "quantity": 2, "condition": "sellable"}]
    e.send("order.placed", order="o1", channel="shop", lines=lines(B=3))
    e.send("order.placed", order="o2", channel="shop", lines=lines(D=1))
    e.send("wms.shipment", location="wh", order="o1", lines=lines(B=1))
    e.send("order.returned", order="o1", location="wh", channel="shop", lines=back)
    for n in range(40):
        e.send("pos.sale", location="s1", receipt=str(n), lines=lines(C=1))
    e.send("wms.count", location="s1", counted_at="2026-01-01T00:00:00Z", lines=lines(C=9))
    turn(e)


def letters(e: Engine) -> None:
    headers = (("ce_id", b"\xff"), ("ce_id", b"twice"))
    e.run.log.append(
        [
            Outgoing("pos.sales", b"s1", b"\x00 no event", headers),
            Outgoing("pos.sales", None, None),
        ]
    )
    e.send("pos.sale", location="nowhere", receipt="r", lines=lines(A=1))
    e.ingest(rounds=2)
    dead_letters.replay(e.run.log, None, e.run.clock.now_ms())


def everything_sold(e: Engine) -> None:
    units = dict.fromkeys(MANY, 3)
    e.send("wms.receipt", location="wh", reference="many", lines=lines(**units))
    turn(e)
    e.send("pos.sale", location="wh", receipt="many", lines=lines(**units))
    turn(e)


def read(record: Record) -> Emitted:
    raw = orjson.loads(record.value or b"")
    declared = BY_NAME[raw["type"]]
    whole: Any = WrittenEvent[declared.data]  # type: ignore[name-defined]  # found at run time
    event = msgspec.json.decode(record.value or b"", type=whole, strict=True)
    return Emitted(record, raw, event, declared)


def members(value: Any, shape: inspect.Type) -> Iterator[tuple[str, str]]:
    """Yield (type, member) of every object in a JSON value that is declared as a struct."""
    match shape:
        case inspect.StructType():
            yield from ((shape.cls.__name__, name) for name in value)
            for field in shape.fields:
                yield from members(value[field.encode_name], field.type)
        case inspect.Metadata():
            yield from members(value, shape.type)
        case _:
            return


def structs(shape: inspect.Type) -> Iterator[inspect.StructType]:
    match shape:
        case inspect.StructType():
            yield shape
            for field in shape.fields:
                yield from structs(field.type)
        case inspect.Metadata():
            yield from structs(shape.type)
        case _:
            return


def test_every_type_declared_is_written_on_its_topic_and_no_other(emitted: list[Emitted]) -> None:
    seen = {(each.raw["type"], each.record.topic) for each in emitted}
    assert seen == {(written.name, written.topic) for written in WRITTEN}


def test_what_is_written_has_the_members_declared_and_no_other(emitted: list[Emitted]) -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for each in emitted:
        for name, member in members(each.raw["data"], inspect.type_info(each.declared.data)):
            written[name].add(member)
    declared = {
        shape.cls.__name__: {field.encode_name for field in shape.fields}
        for each in WRITTEN
        for shape in structs(inspect.type_info(each.data))
    }
    assert written == declared


def test_no_member_is_ever_left_out() -> None:
    for written in WRITTEN:
        for shape in structs(inspect.type_info(written.data)):
            assert shape.forbid_unknown_fields, shape.cls
            assert all(field.required for field in shape.fields), shape.cls


@pytest.mark.parametrize("change", ["more", "less"])
def test_a_member_too_many_or_too_few_is_found(emitted: list[Emitted], change: str) -> None:
    for each in {each.declared.name: each for each in emitted}.values():
        for name in each.raw["data"]:
            data = {**each.raw["data"], "more": 1}
            if change == "less":
                data = {k: v for k, v in each.raw["data"].items() if k != name}
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({**each.raw, "data": data}, WrittenEvent[each.declared.data])  # type: ignore[name-defined]


def test_key_id_source_and_headers_are_those_declared(emitted: list[Emitted]) -> None:
    for each in emitted:
        key = (each.record.key or b"").decode()
        values = {
            **msgspec.structs.asdict(each.event.data),
            "key": key,
            "log_id": key.rsplit("/", 2)[0],
            "time_ms": rfc3339_ms(each.event.time),
        }
        declared = each.declared
        assert key == declared.key.format_map(values)
        assert each.event.id == declared.id.format_map(values)
        assert each.event.source == declared.source
        assert each.record.headers == STRUCTURED


def test_what_may_be_null_is_null_and_not_null(emitted: list[Emitted]) -> None:
    found = {name: set[bool]() for name in ("days_of_cover", "payload_base64", "key_base64")}
    for each in emitted:
        for name in found.keys() & each.raw["data"].keys():
            found[name].add(each.raw["data"][name] is None)
    assert all(nulls == {True, False} for nulls in found.values()), found
