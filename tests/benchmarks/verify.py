"""What a run wrote, read once after it, and held against what had to come of it.

A system that is wrong is shown as wrong, and its figures do not count.

`tests.oracle` has no part in it. Most of the systems keep one total for each SKU: no position, no order, some no
version. And what must come of a stream is a few sums over its plan; for the oracle its millions of events would have to
be written down and read once more.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.benchmarks.filling import ends
from tests.benchmarks.work import MARKER_STOCK, Expected, markers

SHOWN_MAX = 3
READ_S = 30.0
STEP_S = 0.1


@dataclass(slots=True)
class Updates:
    """What the topic of updates holds, as far as it was read.

    `last` is the newest update of each SKU: that with the highest version, or, of a system without
    versions, the last one in the log.
    """

    last: dict[str, tuple[int, int, dict[str, int]]] = field(default_factory=dict)
    """SKU -> version, available, levels."""
    seen_ms: dict[str, int] = field(default_factory=dict)
    """Marked SKU -> when the broker took the first update that knew of its sale."""
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    odd: int = 0
    """Messages that are no update."""
    positions: dict[int, int] = field(default_factory=dict)
    _marked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, partitions: int) -> "Updates":
        """Return what is known before anything was read."""
        return cls(
            positions=dict.fromkeys(range(partitions), 0), _marked=frozenset(markers(partitions))
        )

    def take(self, value: bytes | None, at_ms: int) -> None:
        """Take in one message, in the order of its partition."""
        self.count += 1
        self.first_ms = min(self.first_ms or at_ms, at_ms)
        self.last_ms = max(self.last_ms, at_ms)
        try:
            told: Any = orjson.loads(value or b"")
            told = told.get("data", told)
            sku, available, levels = told["sku"], told["available"], told["levels"]
            version = told.get("version", self.count)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            self.odd += 1
            return
        if sku in self._marked and available != MARKER_STOCK:
            self.seen_ms[sku] = min(self.seen_ms.get(sku, at_ms), at_ms)
        known = self.last.get(sku)
        if known is None or version >= known[0]:
            self.last[sku] = (version, available, levels)

    def read_on(self, bootstrap: str, topic: str) -> None:
        """Read what has come since the last time."""
        upto = ends(bootstrap, topic, len(self.positions))
        waiting = {n for n, end in upto.items() if end > self.positions[n]}
        consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench.verify",
                "enable.auto.commit": False,
                # The end of a transaction takes an offset, but is no message: only this tells of it.
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(topic, n, self.positions[n]) for n in waiting])
            deadline = time.monotonic() + READ_S
            while waiting:
                # It waits for as many as it was asked for, so not for long.
                messages = consumer.consume(10_000, STEP_S)
                if messages:
                    deadline = time.monotonic() + READ_S
                elif time.monotonic() > deadline:
                    raise TimeoutError(f"{topic}: the broker does not send what it has")
                for message in messages:
                    n, offset, error = message.partition(), message.offset(), message.error()
                    if error and error.code() != KafkaError._PARTITION_EOF:
                        raise RuntimeError(f"{topic}: {error}")
                    if error or offset >= upto[n]:
                        self.positions[n] = max(self.positions[n], min(offset, upto[n]))
                        waiting.discard(n)
                        continue
                    self.take(message.value(), message.timestamp()[1])
                    self.positions[n] = offset + 1
                    if offset + 1 == upto[n]:
                        waiting.discard(n)
        finally:
            consumer.close()

    def ended(self, partitions: int) -> bool:
        """Say whether the last sale of every partition has come out."""
        return all(f"end-{n}" in self.seen_ms for n in range(partitions))


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the outcome of a run, by kind, with a few of the SKUs it is wrong for."""

    counts: Mapping[str, int]
    shown: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        counted = " ".join(f"{kind}={number}" for kind, number in sorted(self.counts.items()))
        return "; ".join((counted, *self.shown))


def check(expected: Expected, updates: Updates, stock: Mapping[str, int]) -> Finding:
    """Compare Redis and the last updates with what had to come.

    `lost` and `doubled` count SKUs of which Redis has sold too little or too much; `stale`, `untold` and
    `levels` those whose last update is not the last truth, is missing, or has wrong levels; `strange` those
    that nobody sold or received.
    """
    counts: Counter[str] = Counter()
    shown: list[str] = []

    def wrong(kind: str, sku: str, wanted: object, got: object) -> None:
        counts[kind] += 1
        if len(shown) < SHOWN_MAX:
            shown.append(f"{kind} {sku}: expected {wanted}, got {got}")

    for sku, on_hand in expected.stock.items():
        found = stock.get(sku, 0)
        if found != on_hand:
            wrong("doubled" if found < on_hand else "lost", sku, on_hand, found)
        told = updates.last.get(sku)
        if told is None:
            wrong("untold", sku, expected.available[sku], "no update")
        elif told[1] != expected.available[sku]:
            wrong("stale", sku, expected.available[sku], told[1])
        elif told[2] != expected.levels(sku):
            wrong("levels", sku, expected.levels(sku), told[2])
    for sku in (updates.last.keys() | stock.keys()) - expected.stock.keys():
        wrong("strange", sku, "nothing", updates.last.get(sku, stock.get(sku)))
    if updates.odd:
        wrong("odd", "messages", "updates", updates.odd)
    return Finding(dict(counts), tuple(shown))
