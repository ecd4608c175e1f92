"""A stream laid into the topics of a broker, as CloudEvents in one of their two modes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.benchmarks.system import RECEIPTS, SALES, Mode, Work
from tests.benchmarks.work import Event, Expected, Plan, plan_of
from tests.patience import PATIENCE_S

UPDATES = "stock.updates"
WAIT_S = 60.0
POLL_S = 0.05

Header = tuple[str, bytes]
Message = tuple[bytes, bytes, list[Header]]
Progress = Callable[[str, int, int], None]

_STRUCTURED: list[Header] = [("content-type", b"application/cloudevents+json")]


@dataclass(frozen=True, slots=True)
class Filled:
    """The topics of a stream, ready to be read any number of times."""

    work: Work
    namespace: str
    expected: Expected
    messages: int
    """Of the sales, markers among them."""
    measured_events: int
    measured_lines: int
    bytes_per_sale: int

    @property
    def updates(self) -> str:
        """The topic that every system writes its updates to."""
        return f"{self.namespace}.{UPDATES}"


def fill(bootstrap: str, work: Work, namespace: str, progress: Progress | None = None) -> Filled:
    """Make the topics of a namespace, and lay the stream into them.

    The opening stock lies in front of the sales, in their partitions: all of it is read before the warm-up ends.
    """
    plan = plan_of(work)
    for topic in (SALES, RECEIPTS):
        make_topic(bootstrap, f"{namespace}.{topic}", work.partitions)
    writer = Writer(work.mode, int(time.time()))
    producer: Any = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 50,
            "batch.size": 900_000,
            "queue.buffering.max.messages": 200_000,
            # A new broker lets an idempotent producer wait for a moment, and it would tell.
            "log_level": 3,
        }
    )
    topic = f"{namespace}.{SALES}"
    received = [0] * work.partitions
    for partition, event in plan.receipts():
        _send(producer, topic, partition, writer.receipt(event))
        received[partition] += 1
    sold, size = [0] * work.partitions, 0
    for partition, message in _sales(plan, writer):
        _send(producer, topic, partition, message)
        sold[partition] += 1
        size += _size(message)
        if progress is not None and sold[partition] % 5_000 == 0:
            progress(namespace, sum(sold), work.events)
    left = producer.flush(WAIT_S)
    # A message that was not taken leaves its topic short, and one that was doubled, long.
    found = list(ends(bootstrap, topic, work.partitions).values())
    sent = [sum(both) for both in zip(received, sold, strict=True)]
    if found != sent:
        raise RuntimeError(f"{topic}: expected {sent} messages, got {found}; {left} waiting")
    return Filled(
        work,
        namespace,
        plan.expected(),
        sum(sold),
        plan.measured_events,
        plan.measured_lines,
        size // sum(sold),
    )


class Writer:
    """Writes events as messages; `second` is when they all happened, to the millisecond."""

    def __init__(self, mode: Mode, second: int) -> None:
        self._mode = mode
        self._second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))

    def sale(self, event: Event) -> Message:
        """Return a sale as a message."""
        number = event.number
        return self._message(event, "pos", "pos.sale", f'"receipt":"{number:08d}"')

    def receipt(self, event: Event) -> Message:
        """Return a receipt as a message."""
        number = event.number
        return self._message(event, "wms", "wms.receipt", f'"reference":"po-{number}"')

    def _message(self, event: Event, system: str, kind: str, what: str) -> Message:
        number, location, lines = event
        told = ",".join([f'{{"sku":"{sku}","quantity":{units}}}' for sku, units in lines])
        data = f'{{"location":"{location}",{what},"lines":[{told}]}}'
        identity, source = f"{location}-{number:08d}", f"/{system}/{location}"
        at = f"{self._second}.{number % 1000:03d}Z"
        if self._mode == "structured":
            value = (
                f'{{"specversion":"1.0","id":"{identity}","source":"{source}","type":"{kind}",'
                f'"time":"{at}","datacontenttype":"application/json","data":{data}}}'
            )
            return location.encode(), value.encode(), _STRUCTURED
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", identity.encode()),
            ("ce_source", source.encode()),
            ("ce_type", kind.encode()),
            ("ce_time", at.encode()),
            ("content-type", b"application/json"),
        ]
        return location.encode(), data.encode(), headers


def make_topic(bootstrap: str, name: str, partitions: int) -> None:
    """Make a topic that keeps everything, by the broker's time; of one that is there, make it anew."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    remove_topics(bootstrap, [name])
    config = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result()
        except KafkaException:
            # One of that name is still on its way out.
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            break
    while True:
        try:
            ends(bootstrap, name, partitions)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            return


def remove_topics(bootstrap: str, names: list[str]) -> None:
    """Remove those topics that are there, and wait until they are gone."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    there = [name for name in names if name in admin.list_topics(timeout=PATIENCE_S).topics]
    if not there:
        return
    for future in admin.delete_topics(there).values():
        future.result()
    deadline = time.monotonic() + WAIT_S
    while any(name in admin.list_topics(timeout=PATIENCE_S).topics for name in there):
        if time.monotonic() > deadline:
            raise TimeoutError(f"topics were removed and are still there: {there}")
        time.sleep(POLL_S)


def ends(bootstrap: str, topic: str, partitions: int) -> dict[int, int]:
    """Return the end of each partition."""
    with looking(bootstrap, topic, partitions) as look:
        return look()


@contextmanager
def looking(bootstrap: str, topic: str, partitions: int) -> Iterator[Callable[[], dict[int, int]]]:
    """Yield what returns the end of each partition; cheap enough to ask it again and again."""
    consumer: Any = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench.ends", "log_level": 0}
    )
    places = [TopicPartition(topic, n) for n in range(partitions)]
    try:
        yield lambda: {
            place.partition: consumer.get_watermark_offsets(place, timeout=PATIENCE_S)[1]
            for place in places
        }
    finally:
        consumer.close()


def _sales(plan: Plan, writer: Writer) -> Iterator[tuple[int, Message]]:
    """Yield the messages of all partitions, taken from each in turn."""
    streams = {n: plan.sales(n) for n in range(plan.work.partitions)}
    while streams:
        for partition, stream in list(streams.items()):
            event = next(stream, None)
            if event is None:
                del streams[partition]
            else:
                yield partition, writer.sale(event)


def _send(producer: Any, topic: str, partition: int, message: Message) -> None:
    key, value, headers = message
    while True:
        try:
            producer.produce(topic, value, key, partition, headers=headers)
        except BufferError:
            producer.poll(0.05)
        else:
            return


def _size(message: Message) -> int:
    key, value, headers = message
    return len(key) + len(value) + sum(len(name) + len(text) for name, text in headers)
