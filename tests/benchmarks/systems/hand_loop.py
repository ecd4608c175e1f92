"""What a good engineer would write for this work alone: two loops, no dataflow engine, few checks.

Reads with `consume`, decodes with orjson, groups by shard and applies a batch with one pipeline of function calls;
takes what is due, tells the levels, waits for the broker, settles. Resumes where Redis says, so that it takes an
event once, as the engine does. What it leaves out: dead letters, policies, code tables, metrics, retries.
"""

import argparse
import gc
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import orjson
import redis
from confluent_kafka import Consumer, KafkaException, Producer

from state.events.ops import MOVE
from state.protocol.claim import Claim, Claimed, Settle
from state.protocol.common import Behind, LocationTerms
from state.protocol.keys import GUARD_ALLOWANCE_MS, Keys
from state.protocol.pack import Chain, NormalEvent, Packer
from state.protocol.sharding import event_hash
from state.store.shards import Store

SHARDS = 16
DAY_MS = 86_400_000
REVISION = 1
LEASE_MS = 5_000
CLAIM_LIMIT = 256
WAIT_S = 0.05
TOPICS = ("pos.sales", "wms.receipts")


def main() -> None:
    """Run until asked to end."""
    given = _parsed()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    store = Store(redis.Redis.from_url(given.redis), Keys(given.namespace), SHARDS)
    store.load_functions()
    ingest = Ingest(store, given) if given.role in ("both", "ingest") else None
    publish = Publish(store, given) if given.role in ("both", "publish") else None
    every_s, published_s = given.every_ms / 1000, 0.0
    while not stopped:
        if ingest is not None:
            ingest.turn()
        if publish is not None and (left_s := published_s + every_s - time.monotonic()) <= 0:
            published_s = time.monotonic()
            while publish.turn():
                pass
        elif ingest is None:
            time.sleep(left_s)
    if ingest is not None:
        ingest.consumer.close()


class Ingest:
    """Sales and receipts become stock."""

    def __init__(self, store: Store, given: argparse.Namespace) -> None:
        self._store = store
        self._batch = given.batch
        self._decode = _binary if given.mode == "binary" else _structured
        self._packer = Packer(SHARDS, DAY_MS + GUARD_ALLOWANCE_MS)
        self._chains: dict[tuple[str, int], Chain] = {}
        self._places: dict[str, LocationTerms] = {}
        self.consumer: Any = Consumer(
            {
                "bootstrap.servers": given.kafka,
                "group.id": given.group,
                "auto.offset.reset": "error",
                "enable.auto.commit": False,
                "queued.max.messages.kbytes": 32 * 1024,
            }
        )
        topics = [f"{given.namespace}.{topic}" for topic in TOPICS]
        self.consumer.subscribe(topics, on_assign=self._assigned)

    def turn(self) -> None:
        """Apply one batch."""
        messages = self.consumer.consume(self._batch, WAIT_S)
        by_partition: dict[tuple[str, int], list[NormalEvent]] = defaultdict(list)
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            event = self._decode(message)
            by_partition[message.topic(), message.partition()].append(event)
        batch = [
            (self._chains[place], events[-1].offset, events)
            for place, events in by_partition.items()
        ]
        if not batch:
            return
        calls = self._packer.pack(batch, self._place, time.time_ns() // 1000, REVISION)
        for shard, reply in self._store.apply(calls).items():
            if isinstance(reply, Behind):
                raise SystemExit(f"shard {shard} went back: {reply}")

    def _assigned(self, consumer: Any, partitions: Iterable[Any]) -> None:
        """Begin each partition behind the least that a shard has applied of it."""
        marks = self._store.marks()
        placed = list(partitions)
        for each in placed:
            mark = f"{each.topic}/{each.partition}"
            resume = min(shard.get(mark, -1) for shard in marks)
            self._chains[each.topic, each.partition] = Chain.starting(mark, resume, SHARDS)
            each.offset = resume + 1
        consumer.assign(placed)

    def _place(self, _sku: str, location: str) -> LocationTerms:
        found = self._places.get(location)
        if found is None:
            found = self._places[location] = LocationTerms(location, 0, 0, 1)
        return found


class Publish:
    """What is due is told to every channel."""

    def __init__(self, store: Store, given: argparse.Namespace) -> None:
        self._store = store
        self._topic = given.updates
        self._channels = [(f"c{i}", i) for i in range(given.channels)]
        self._failed: list[Any] = []
        self._producer: Any = Producer(
            {"bootstrap.servers": given.kafka, "enable.idempotence": True, "linger.ms": 5}
        )

    def turn(self) -> bool:
        """Tell the levels of what is due; say whether there may be more."""
        now_us = time.time_ns() // 1000
        call = Claim(now_us, LEASE_MS, REVISION, REVISION, now_us // 1000, CLAIM_LIMIT)
        settles: dict[int, list[Settle]] = {}
        more = False
        for shard, claimed in self._store.claim(dict.fromkeys(range(SHARDS), call)).items():
            if not isinstance(claimed, Claimed):
                raise TypeError(f"shard {shard}: {claimed}")
            if claimed.due:
                settles[shard] = [self._tell(claimed.generation, due) for due in claimed.due]
                more = more or len(claimed.due) == CLAIM_LIMIT
        if settles:
            self._producer.flush()
            if self._failed:
                raise KafkaException(self._failed[0])
            self._store.settle(time.time_ns() // 1000, REVISION, settles)
        return more

    def _tell(self, generation: int, due: Any) -> Settle:
        available = due.base
        levels = {name: max(0, available - buffer) for name, buffer in self._channels}
        update = {"sku": due.sku, "version": due.token, "available": available, "levels": levels}
        self._producer.produce(
            self._topic, orjson.dumps(update), due.sku, on_delivery=self._reported
        )
        kept = orjson.dumps(levels).decode()
        next_ms = due.token // 1000 + DAY_MS
        return Settle(due.sku, due.token, generation, available, kept, "", next_ms, 0)

    def _reported(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed.append(error)


def _structured(message: Any) -> NormalEvent:
    event = orjson.loads(message.value())
    return _event(message, event["source"], event["id"], event["type"], event["data"])


def _binary(message: Any) -> NormalEvent:
    headers = dict(message.headers())
    source, identity = headers["ce_source"].decode(), headers["ce_id"].decode()
    return _event(
        message, source, identity, headers["ce_type"].decode(), orjson.loads(message.value())
    )


def _event(message: Any, source: str, identity: str, kind: str, data: Any) -> NormalEvent:
    location = data["location"]
    at_ms = message.timestamp()[1]
    ops: list[tuple[Any, ...]]
    if kind == "pos.sale":
        ops = [
            (MOVE, line["sku"], location, -line["quantity"], 0, line["quantity"])
            for line in data["lines"]
        ]
    else:
        ops = [(MOVE, line["sku"], location, line["quantity"], 0, 0) for line in data["lines"]]
    digest = event_hash(source, identity)
    return NormalEvent(message.offset(), digest, at_ms // DAY_MS, at_ms, at_ms, tuple(ops))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=("both", "ingest", "publish"), required=True)
    for name in ("kafka", "redis", "namespace", "updates", "group", "mode"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("channels", "batch", "every-ms"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
