"""A steady stream of trading, what stock it must come to, and how old the updates are that it causes."""

import random
import threading
import time
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple, Self

import orjson

from connectors.log.base import AppendFailed, Outgoing, Partition
from connectors.log.kafka.log import KafkaLog
from connectors.messages.cloudevents import STRUCTURED
from tests.flows.shop import event, lines
from tests.kafka.engine import KafkaShop

SKUS = [f"A{n}" for n in range(60)]
AT_FIRST = 1_000_000
BEAT_S = 0.05


class Stream:
    """Sends receipts, sales and orders from a thread, at a pace, over all partitions.

    Each event is sent until the log confirms it, so one may lie there twice; every tenth is sent
    again on purpose. Each counts once.
    """

    def __init__(self, shop: KafkaShop, per_s: int = 200, seed: int = 3) -> None:
        self._shop = shop
        self._per_beat = max(1, round(per_s * BEAT_S))
        self._chance = random.Random(seed)
        self._log = KafkaLog(shop.kafka.bootstrap, namespace=shop.namespace)
        self._stop = threading.Event()
        # A test that fails while the broker is away does not wait for it.
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self.sent = 0
        self.on_hand = Counter(dict.fromkeys(SKUS, AT_FIRST))
        self.unrouted: Counter[str] = Counter()

    def __enter__(self) -> Self:
        first = event("first", "wms.receipt", location="wh", reference="first",
                      lines=lines(**dict.fromkeys(SKUS, AT_FIRST)))  # fmt: skip
        self._send([as_message("wms.receipts", first, b"wh")])
        self._thread.start()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        if failed is None:
            self._thread.join()
            self._log.close()

    def expected(self) -> dict[str, tuple[int, int, int]]:
        """On hand, unrouted and available of each SKU, once all is applied."""
        return {
            sku: (on_hand, self.unrouted[sku], on_hand - self.unrouted[sku])
            for sku, on_hand in self.on_hand.items()
        }

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.is_set():
            self._send([m for _ in range(self._per_beat) for m in self._next()])
            due_s = max(due_s + BEAT_S, time.monotonic() - 1)
            self._stop.wait(due_s - time.monotonic())

    def _next(self) -> list[Outgoing]:
        self.sent += 1
        n, chance = self.sent, self._chance
        sold = {sku: chance.randint(1, 3) for sku in chance.sample(SKUS, 2)}
        topic = chance.choice(("pos.sales", "wms.receipts", "marketplace.orders"))
        if topic == "marketplace.orders":
            sent = event(n, "order.placed", order=str(n), channel="shop", lines=lines(**sold))
            self.unrouted.update(sold)
        elif topic == "pos.sales":
            sent = event(n, "pos.sale", location="wh", receipt=str(n), lines=lines(**sold))
            self.on_hand.subtract(sold)
        else:
            sent = event(n, "wms.receipt", location="wh", reference=str(n), lines=lines(**sold))
            self.on_hand.update(sold)
        message = as_message(topic, sent, b"%d" % n)
        return [message] * (2 if chance.randrange(10) == 0 else 1)

    def _send(self, messages: list[Outgoing]) -> None:
        while messages:
            results = self._log.append(messages)
            messages = [
                m for m, r in zip(messages, results, strict=True) if isinstance(r, AppendFailed)
            ]
            if messages:
                time.sleep(BEAT_S)


def as_message(topic: str, sent: dict[str, Any], key: bytes) -> Outgoing:
    return Outgoing(topic, key, orjson.dumps(sent), STRUCTURED)


def stock_of(shop: KafkaShop) -> dict[str, tuple[int, int, int]]:
    """On hand, unrouted and available of each SKU, as the engine has it."""
    done = shop.penstock("stock", "--all")
    assert done.returncode == 0, done.stderr
    found = map(orjson.loads, done.stdout.splitlines())
    return {
        sku["sku"]: (
            sum(position["on_hand"] for position in sku["positions"]),
            sku["unrouted"],
            sku["available"],
        )
        for sku in found
    }


class Update(NamedTuple):
    """A stock update as a customer sees it. Times in seconds of the system clock."""

    cause_s: float
    logged_s: float

    @property
    def age_s(self) -> float:
        return self.logged_s - self.cause_s


class Updates:
    """Listens to stock.updates from a thread."""

    def __init__(self, shop: KafkaShop) -> None:
        self._log = KafkaLog(shop.kafka.bootstrap, namespace=shop.namespace)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="updates")
        self.seen: list[Update] = []

    def __enter__(self) -> Self:
        ends = self._log.end_offsets("stock.updates")
        self._positions = {Partition("stock.updates", n): end for n, end in ends.items()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._log.close()

    def oldest(self, since_s: float, until_s: float) -> float:
        """The largest age of the updates that were logged in a while; there must be some."""
        return max(u.age_s for u in list(self.seen) if since_s <= u.logged_s < until_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            for record in self._log.read(self._positions, wait_ms=100):
                self._positions[Partition(record.topic, record.partition)] = record.offset + 1
                cause_s = _seconds(orjson.loads(record.value or b"")["data"]["cause_time"])
                self.seen.append(Update(cause_s, record.timestamp_ms / 1000))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
