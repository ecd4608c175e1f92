"""Reads `stock.updates` as a channel's adapter would, and takes down how old each one is.

    python -m tests.benchmarks.watch --kafka 127.0.0.1:9092 --topic stock.updates --channels 5 --out FILE

The age of an update is the time on the clock when it was read, less its `cause_time`, the log timestamp of the oldest
change that it covers. The program is led by lines on its standard input, and answers each with one line:

    await FILE SECONDS   wait until the last update of each SKU says what the file (JSON: SKU -> available) says; the
                         answer is `reached MS`, the time of the last update that was read, or `missing N`
    stop                 write what was taken down to the file of `--out`
"""

import argparse
import queue
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from tests.patience import PATIENCE_S

BATCH = 2_000
STEP_S = 0.05
LOOK_ONE_IN = 30


class Data(msgspec.Struct, gc=False):
    """What is read of each update. The levels stay raw until the end."""

    sku: str
    version: int
    available: int
    levels: msgspec.Raw
    cause_time: datetime


class Update(msgspec.Struct, gc=False):
    """An update in its envelope."""

    data: Data


@dataclass(slots=True)
class Ages:
    """One entry for each update that was new: when its cause happened, its age, the events that it covers."""

    cause_ms: "array[int]" = field(default_factory=lambda: array("q"))
    age_us: "array[int]" = field(default_factory=lambda: array("q"))
    events: "array[int]" = field(default_factory=lambda: array("q"))

    def within(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
        """Yield age and events of the updates whose cause lies in a span."""
        for cause, age, events in zip(self.cause_ms, self.age_us, self.events, strict=True):
            if from_ms <= cause < to_ms:
                yield age, events

    def save(self, path: Path) -> None:
        """Write all to a file."""
        with path.open("wb") as out:
            array("q", [len(self.age_us)]).tofile(out)
            for each in (self.cause_ms, self.age_us, self.events):
                each.tofile(out)

    @classmethod
    def load(cls, path: Path) -> "Ages":
        """Read what `save` wrote."""
        ages, size = cls(), array("q")
        with path.open("rb") as source:
            size.fromfile(source, 1)
            for each in (ages.cause_ms, ages.age_us, ages.events):
                each.fromfile(source, size[0])
        return ages


class Watch:
    """What the updates said so far."""

    def __init__(self) -> None:
        self.ages = Ages()
        self.last_ms = 0
        """When the last update was read."""
        self.available: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._levels: dict[str, msgspec.Raw] = {}
        self._decode = msgspec.json.Decoder(Update).decode

    def take(self, values: Sequence[bytes], now_us: int) -> None:
        """Take down updates that were read just now; one that is no newer than the last of its SKU counts as none."""
        ages, versions, available = self.ages, self._versions, self.available
        for value in values:
            data = self._decode(value).data
            sku = data.sku
            if data.version <= versions.get(sku, -1):
                continue
            versions[sku] = data.version
            cause_us = round(data.cause_time.timestamp() * 1_000_000)
            ages.cause_ms.append(cause_us // 1000)
            ages.age_us.append(now_us - cause_us)
            # Each event of the load sells one piece.
            ages.events.append(max(0, available.get(sku, 0) - data.available))
            available[sku] = data.available
            self._levels[sku] = data.levels
            self.last_ms = now_us // 1000

    def wrong(self, expected: Mapping[str, int], channels: int) -> list[str]:
        """Return the SKUs whose last update does not say what is expected: what is available, and each level."""
        return [
            sku
            for sku, units in expected.items()
            if self.available.get(sku) != units
            or msgspec.json.decode(self._levels[sku])
            != {f"c{n}": max(0, units - n) for n in range(channels)}
        ]


def read(consumer: Any, watch: Watch) -> bool:
    """Take down what has come; return whether there was anything."""
    first = consumer.poll(STEP_S)
    if first is None:
        return False
    # A wait for more would make the first ones look older than they are.
    messages = [first, *consumer.consume(BATCH, 0)]
    now_us = time.time_ns() // 1000
    for message in messages:
        if message.error() is not None:
            raise KafkaException(message.error())
    watch.take([message.value() for message in messages], now_us)
    return True


def reached(consumer: Any, watch: Watch, path: Path, seconds: float, channels: int) -> str:
    """Read until the last updates say what the file says."""
    expected: dict[str, int] = msgspec.json.decode(path.read_bytes())
    waiting = expected
    deadline = time.monotonic() + seconds
    while True:
        began_s = time.monotonic()
        available = watch.available
        waiting = {sku: units for sku, units in waiting.items() if available.get(sku) != units}
        if not waiting:
            break
        now_s = time.monotonic()
        if now_s > deadline:
            return f"missing {len(waiting)}"
        # Looking over many SKUs may not take the machine from those who are measured.
        until_s = now_s + max(STEP_S, LOOK_ONE_IN * (now_s - began_s))
        while time.monotonic() < until_s:
            read(consumer, watch)
    # One that was right a while ago may have gone wrong since.
    while read(consumer, watch):
        continue
    wrong = watch.wrong(expected, channels)
    return f"missing {len(wrong)}" if wrong else f"reached {watch.last_ms}"


def follow(consumer: Any, channels: int, out: Path) -> None:
    """Read on, and do what the lines on standard input say."""
    watch = Watch()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put("stop")

    threading.Thread(target=listen, daemon=True).start()
    while True:
        read(consumer, watch)
        if lines.empty():
            continue
        word, *rest = lines.get().split()
        if word == "stop":
            watch.ages.save(out)
            print("stopped", flush=True)  # noqa: T201 - a program
            return
        answer = reached(consumer, watch, Path(rest[0]), float(rest[1]), channels)
        print(answer, flush=True)  # noqa: T201 - a program


def main() -> None:
    """Read the arguments and follow the topic from its start."""
    parser = argparse.ArgumentParser(description="Take down how old stock updates are.")
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    consumer: Any = Consumer(
        {
            "bootstrap.servers": arguments.kafka,
            "group.id": "penstock.bench.watch",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "log_level": 0,
        }
    )
    found = consumer.list_topics(arguments.topic, timeout=PATIENCE_S).topics[arguments.topic]
    consumer.assign(
        [TopicPartition(arguments.topic, n, OFFSET_BEGINNING) for n in found.partitions]
    )
    print("ready", flush=True)  # noqa: T201 - a program
    try:
        follow(consumer, arguments.channels, arguments.out)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
