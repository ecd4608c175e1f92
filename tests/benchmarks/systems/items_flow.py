"""The flow that the handbook of Bytewax leads to: item by item, from `KafkaSource` through keyed state to `KafkaSink`.

python -m bytewax.run "tests.benchmarks.systems.items_flow:stock_flow('peer.json')"
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from tests.benchmarks.peer_stock import (
    Event,
    Levels,
    Position,
    Seen,
    Told,
    binary,
    structured,
)
from tests.benchmarks.totals import Totals

COLLECTED_MAX = 1_000

Message = KafkaSourceMessage[bytes | None, bytes | None]
Update = KafkaSinkMessage[bytes | None, bytes | None]


def stock_flow(path: str) -> Dataflow:
    """Return the flow, as a file of settings asks for it."""
    known = json.loads(Path(path).read_text())
    brokers = [known["kafka"]]
    flow = Dataflow("stock")
    source = KafkaSource(
        brokers, known["inputs"], batch_size=known["batch"], add_config=known["consumer"]
    )
    messages = op.input("read", flow, source)
    # KafkaSourceMessage(value=b'{"id": "7", "source": "/pos/s1", "type": "pos.sale", ...}', ...)
    events = op.map("decode", messages, _reader(known["mode"]))
    # Event("/pos/s1 7", "s1", [("A1", -2)])
    by_location = op.key_on("by_location", events, lambda event: event.location)
    new = op.stateful_flat_map("once", by_location, once)
    # ("s1", Event("/pos/s1 7", "s1", [("A1", -2)]))
    moved = op.flat_map("lines", new, lines)
    # ("A1", ("s1", -2))
    told = op.stateful_map("position", moved, move)
    # ("A1", Told(version=2, available=14, total=14))
    if known["collect_ms"]:
        every = timedelta(milliseconds=known["collect_ms"])
        told = op.map_value("newest", op.collect("wait", told, every, COLLECTED_MAX), _last)
    updates = op.map("encode", told, _writer(known["channels"]))
    op.output("updates", updates, KafkaSink(brokers, known["updates"], known["producer"]))
    op.output("totals", told, TotalsSink(known["redis"], known["totals"]))
    return flow


def once(seen: Seen | None, event: Event) -> tuple[Seen, list[Event]]:
    """Drop an event that this location has sent before."""
    seen = seen or Seen()
    return seen, [] if seen.before(event.identity) else [event]


def lines(keyed: tuple[str, Event]) -> list[tuple[str, tuple[str, int]]]:
    """Give each line its own way, by SKU."""
    location, event = keyed
    return [(sku, (location, quantity)) for sku, quantity in event.lines]


def move(position: Position | None, movement: tuple[str, int]) -> tuple[Position, Told]:
    """Add a line to the position of its SKU."""
    position = position or Position()
    return position, position.move(*movement)


def _last(many: list[Told]) -> Told:
    return many[-1]


def _reader(mode: str) -> Callable[[Any], Event]:
    def read_structured(message: Message) -> Event:
        return structured(orjson.loads(message.value or b""))

    def read_binary(message: Message) -> Event:
        return binary(message.headers, orjson.loads(message.value or b""))

    return read_structured if mode == "structured" else read_binary


def _writer(channels: int) -> Callable[[tuple[str, Told]], Update]:
    levels = Levels(channels)

    def write(keyed: tuple[str, Told]) -> Update:
        sku, told = keyed
        value = orjson.dumps(levels.update(sku, told.version, told.available))
        return KafkaSinkMessage(key=sku.encode(), value=value)

    return write


class TotalsSink(DynamicSink[tuple[str, Told]]):
    """Totals in Redis, at least once: they are absolute, so that writing one again does no harm."""

    def __init__(self, url: str, key: str) -> None:
        self._where = url, key

    def build(
        self, _step_id: str, _worker_index: int, _worker_count: int
    ) -> StatelessSinkPartition[tuple[str, Told]]:
        return _TotalsPartition(Totals(*self._where))


class _TotalsPartition(StatelessSinkPartition[tuple[str, Told]]):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def write_batch(self, items: list[tuple[str, Told]]) -> None:
        self._totals.write((sku, told.total) for sku, told in items)

    def close(self) -> None:
        self._totals.close()
