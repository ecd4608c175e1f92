"""Most of what is sold is one SKU: no single call may hold Redis for long, for nothing else is answered meanwhile."""

import random
import time
from collections.abc import Iterator
from typing import Any

from tests.faults.load import LOCATIONS, Event
from tests.faults.stage import Maker, NoProof, Proof, Stage
from tests.servers.redis_servers import RedisServer
from tests.servers.slowlog import SETTINGS, longest_ms, put_first

EVENTS = 40_000
HOT = "hot"
HOT_SHARE = 0.8
OTHERS = 1_200
LINES_MAX = 1_000
LONG_EVERY = 4_000
"""So seldom an event has as many lines as one may have."""
HELD_MS_MAX = 10.0
BATCH_LEAST = 300
"""Fewer events in a batch would show nothing."""
ORDERS_OPEN_MAX = 300
MAIN_CALLS = ("penstock_apply", "penstock_claim", "penstock_settle", "log_append", "XREAD")


class Hot:
    """Four fifths of a backlog are of one SKU, applied in full batches; log and stock lie on one Redis."""

    name = "hot"
    short = True
    finds = ()

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Send all, only then begin to read, and ask Redis for its slowest calls."""
        redis = RedisServer(maker.folder / "redis", SETTINGS)
        redis.start()
        maker.stack.callback(redis.kill)
        stage = maker.stage(kafka=None, redis_url=redis.url)
        is_first = put_first(redis)
        events = list(trading(rng, round(EVENTS * scale)))
        stage.feed(events).join()
        batches = self._work_off(stage)
        longest = longest_ms(redis)
        slowest = max(longest, key=lambda name: longest[name])
        if longest[slowest] > HELD_MS_MAX:
            others = (
                "" if is_first else " (other processes of this machine may have interrupted it)"
            )
            raise NoProof(
                f"expected no call above {HELD_MS_MAX:g} ms, got {slowest} {longest[slowest]:.1f} ms{others}"
            )
        told = " ".join(f"{name}={longest.get(name, 0.5):.1f}" for name in MAIN_CALLS)
        hot = sum(_is_hot(event) for event in events)
        return Proof(
            self.name,
            f"hot_events={hot} of={len(events)} {batches} longest_ms={longest[slowest]:.1f} ({told})",
        )

    def _work_off(self, stage: Stage) -> str:
        """Read and publish the backlog; return how large its batches were."""
        ingest = [stage.start("ingest") for _ in range(2)]
        stage.start("publish")
        stage.settle()
        batches = sum(worker.record.finished for worker in ingest)
        counted = stage.run.store.counters()
        per_batch = sum(counted.values()) // max(1, batches)
        if per_batch < BATCH_LEAST:
            raise NoProof(f"expected batches of {BATCH_LEAST} events and more, got {per_batch}")
        return f"batches={batches} events_per_batch={per_batch}"


def trading(rng: random.Random, events: int) -> Iterator[Event]:
    """Yield so many events; one in twenty is sent twice."""
    orders: list[tuple[str, str]] = []
    for n in range(events):
        sku = HOT if rng.random() < HOT_SHARE else f"o{rng.randrange(OTHERS)}"
        event = _long(n) if n % LONG_EVERY == LONG_EVERY - 1 else _short(rng, n, sku, orders)
        yield event
        if rng.random() < 0.05:
            yield event


def _is_hot(event: Event) -> bool:
    return any(line["sku"] == HOT for line in event.data.get("lines", ()))


def _short(rng: random.Random, n: int, sku: str, orders: list[tuple[str, str]]) -> Event:
    where, roll, line = rng.choice(LOCATIONS), rng.random(), _lines(sku)
    if roll < 0.4:
        return _event("pos.sale", where, n, location=where, receipt="s", lines=line)
    if roll < 0.6:
        return _event("wms.receipt", where, n, location=where, reference=f"r{n}", lines=line)
    if roll < 0.8 and len(orders) < ORDERS_OPEN_MAX:
        orders.append((f"o{n}", sku))
        return _event("order.placed", f"o{n}", n, order=f"o{n}", channel="shop", lines=line)
    if not orders:
        return _event("wms.receipt", where, n, location=where, reference=f"r{n}", lines=line)
    order, its = orders.pop(rng.randrange(len(orders)))
    if roll < 0.9:
        return _event("wms.shipment", where, n, location=where, order=order, lines=_lines(its))
    return _event("order.cancelled", order, n, order=order, lines=_lines(its))


def _long(n: int) -> Event:
    skus = [HOT, *(f"o{i}" for i in range(LINES_MAX - 1))]
    return _event("wms.receipt", "wh", n, location="wh", reference=f"r{n}", lines=_lines(*skus))


def _lines(*skus: str) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": 1} for sku in skus]


def _event(kind: str, key: str, n: int, **data: Any) -> Event:
    return Event(kind, f"{key}-{n % 8}", f"h{n}", time.time_ns() // 1_000_000, data)
