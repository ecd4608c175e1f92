"""Sends sales by a schedule that waits for nothing: not for the broker, not for the engine, not for itself.

    python -m tests.benchmarks.open_loop '{"kafka": "127.0.0.1:9092", "topic": "pos.sales", "rate": 1000, ...}'

Event n of a run belongs to the moment start + n / rate. That moment is its log timestamp (the topic keeps the time
that the producer sets), so what is sent late was waiting from its moment on, and is counted so. A closed loop, which
sends the next event when there was an answer, would not have sent while the system stood still, and would not have
seen the wait.

Values are put together from pieces made beforehand; only id and time are put in. The last line printed is a
`Sent` as JSON.
"""

import gc
import resource
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import msgspec
from confluent_kafka import Producer

from connectors.log.base import partition_of
from state.events.timestamps import ms_rfc3339
from tests.patience import PATIENCE_S

WAKE_S = 0.001
BURST_MAX = 500
"""Events handed over between two looks at the clock."""
LEAD_S = 0.5
QUEUE_MESSAGES = 2_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, and where to."""

    kafka: str
    topic: str
    rate: int
    """Events a second."""
    seconds: int
    skus: int
    locations: tuple[str, ...]
    partitions: int = 4
    seed: int = 1
    linger_ms: int = 2
    events_max: int = 0
    """At most so many events, 0 = what rate and seconds make."""
    hot_percent: int = 0
    """Of the sales, how many are of one SKU."""

    @property
    def events(self) -> int:
        """How many there are."""
        made = self.rate * self.seconds
        return min(made, self.events_max) if self.events_max else made


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a load. Lateness is that of handing over to the client, against the schedule."""

    scheduled: int
    acknowledged: int
    start_ms: int
    seconds: float
    late_p99_ms: float
    late_max_ms: float
    cpu_s: float

    @property
    def cores(self) -> float:
        """How many cores the generator took."""
        return self.cpu_s / (self.seconds - LEAD_S)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Events at an even rate. Times in seconds."""

    start_s: float
    rate: int
    events: int

    def due(self, now_s: float) -> int:
        """Return how many events belong to moments up to now."""
        return max(0, min(self.events, int((now_s - self.start_s) * self.rate) + 1))

    def moment_s(self, number: int) -> float:
        """Return the moment that an event belongs to."""
        return self.start_s + number / self.rate


def sku_name(number: int) -> str:
    """Return the name of a SKU."""
    return f"s{number:06d}"


def chosen(load: Load) -> "array[int]":
    """Return for each event what is sold, and where: SKU number * locations + index of the location."""
    random, places = Random(load.seed), load.skus * len(load.locations)
    anywhere = array("L", random.choices(range(places), k=load.events))
    if not load.hot_percent:
        return anywhere
    # The first SKU, at the same location: the locations get no more and no less than without it.
    return array(
        "L",
        (
            p % len(load.locations) if random.random() * 100 < load.hot_percent else p
            for p in anywhere
        ),
    )


def sold(load: Load) -> dict[str, int]:
    """Return how many of each SKU the events sell."""
    units = [0] * load.skus
    for place in chosen(load):
        units[place // len(load.locations)] += 1
    return {sku_name(number): count for number, count in enumerate(units)}


def run(
    schedule: Schedule,
    send: Callable[[int, float], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> "array[float]":
    """Send each event when it is due, what is overdue at once. Return how late each burst was, in seconds."""
    late_s = array("d")
    done = 0
    while done < schedule.events:
        now_s = clock()
        due = min(schedule.due(now_s), done + BURST_MAX)
        if due == done:
            sleep(max(WAKE_S, schedule.moment_s(done) - now_s))
            continue
        for number in range(done, due):
            send(number, schedule.moment_s(number))
        late_s.append(clock() - schedule.moment_s(done))
        done = due
    return late_s


class Sales:
    """Puts events together and hands them to the Kafka client."""

    def __init__(self, load: Load, mark: str) -> None:
        self.failed = 0
        self._topic = load.topic
        self._head = b'{"specversion":"1.0","id":"%b-' % mark.encode()
        self._pieces = [
            _pieces(sku_name(sku), location, load.partitions)
            for sku in range(load.skus)
            for location in load.locations
        ]
        self._chosen = chosen(load)
        self._time_ms, self._time = 0, b""
        self.producer: Any = Producer(
            {
                "bootstrap.servers": load.kafka,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": load.linger_ms,
                "log_level": 0,
                "queue.buffering.max.messages": QUEUE_MESSAGES,
                "delivery.report.only.error": True,
                "on_delivery": self._reported,
            }
        )

    def send(self, number: int, moment_s: float) -> None:
        """Hand one event over; its log timestamp is its moment."""
        moment_ms = int(moment_s * 1000)
        if moment_ms != self._time_ms:
            self._time_ms = moment_ms
            self._time = b'","time":"%b' % ms_rfc3339(moment_ms).encode()
        location, partition, tail = self._pieces[self._chosen[number]]
        value = b"".join((self._head, b"%d" % number, self._time, tail))
        while True:
            try:
                self.producer.produce(self._topic, value, location, partition, timestamp=moment_ms)
            except BufferError:
                # The broker is behind: what follows is late, and is told to be.
                self.producer.poll(0.05)
            else:
                return

    def finish(self) -> int:
        """Wait until the broker has all; return how many it did not take."""
        left = self.producer.flush(60)
        return self.failed + int(left)

    def _reported(self, _error: object, _message: object) -> None:
        self.failed += 1


def _pieces(sku: str, location: str, partitions: int) -> tuple[bytes, int, bytes]:
    key = location.encode()
    tail = (
        b'","source":"/pos/%b","type":"pos.sale","datacontenttype":"application/json","data":{"location":"%b",'
        b'"receipt":"88213","lines":[{"sku":"%b","quantity":1}]}}'
    ) % (key, key, sku.encode())
    return key, partition_of(key, partitions), tail


def generate(load: Load) -> Sent:
    """Send a load and wait until the broker has it."""
    sales = Sales(load, f"{time.time_ns():x}")
    # The first question to a broker takes a while, and is none of the load.
    sales.producer.list_topics(load.topic, timeout=PATIENCE_S)
    gc.collect()
    gc.freeze()
    gc.disable()
    before_s, began_s = _cpu_s(), time.time()
    schedule = Schedule(began_s + LEAD_S, load.rate, load.events)
    late_s = sorted(run(schedule, sales.send))
    missing = sales.finish()
    return Sent(
        scheduled=load.events,
        acknowledged=load.events - missing,
        start_ms=int(schedule.start_s * 1000),
        seconds=round(time.time() - began_s, 3),
        late_p99_ms=round(1000 * late_s[int(len(late_s) * 0.99)], 3),
        late_max_ms=round(1000 * late_s[-1], 3),
        cpu_s=round(_cpu_s() - before_s, 3),
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Send the load that the one argument tells."""
    load = msgspec.json.decode(sys.argv[1], type=Load)
    print(msgspec.json.encode(asdict(generate(load))).decode(), flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    main()
