"""Trading made from a seed: many small events over short-lived SKUs, and who sends them.

A SKU lives for a few events and is then left alone for ever: whatever went wrong with its last one stays
visible. Movements come in pairs that undo each other, so that levels come back to what was told before.
"""

import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import count, islice
from typing import Any, NamedTuple

import orjson

from connectors.config.settings import Settings
from connectors.log.base import AppendFailed, Outgoing
from connectors.messages.cloudevents import STRUCTURED
from flows.runtime.session import connected
from state.events.timestamps import ms_rfc3339
from tests.faults.checkouts import checking_out

LOCATIONS = ("wh", "wh2", "s1", "s2", "s3", "s4", "s5", "s6")
SOURCE = "/faults"
TOPICS = {"pos": "pos.sales", "wms": "wms.receipts", "order": "marketplace.orders"}

LIVING = 160
EVENTS_OF_A_LIFE = (4, 24)
"""Fewer than the movements that a position keeps: a count may come as late as it likes."""
COUNTED = "c"
"""Ends the names of SKUs that are counted."""
ORDERS_OPEN_MAX = 500
CHUNK = 500
BEAT_S = 0.05


class Event(NamedTuple):
    """One event, or a further copy of one: same id, perhaps another key and another time."""

    kind: str
    key: str
    id: str
    time_ms: int
    data: dict[str, Any]
    source: str = SOURCE

    @property
    def topic(self) -> str:
        """Where it goes."""
        return TOPICS[self.kind.partition(".")[0]]

    def message(self) -> Outgoing:
        """The event as a CloudEvent in structured mode."""
        body = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.kind,
            "time": ms_rfc3339(self.time_ms),
            "data": self.data,
        }
        return Outgoing(self.topic, self.key.encode(), orjson.dumps(body), STRUCTURED)


class _Life:
    """A SKU, and what is still to come for it."""

    def __init__(self, sku: str, events: int) -> None:
        self.sku = sku
        self.left = events
        self.undo: list[tuple[str, int]] = []
        """Sales that are to be returned: location and quantity."""


class Trading:
    """An endless, seeded stream of events. `prefix` keeps two streams of one stage apart.

    `twice` is the share of events that are sent again, once or twice, at another place in the log; copies
    of events at SKUs that are never counted may carry another time.
    """

    def __init__(self, seed: int | str, prefix: str = "", *, twice: float = 0.05) -> None:
        self._chance = random.Random(f"{seed}{prefix}")
        self._prefix = prefix
        self._twice = twice
        self._number = count()
        self._sku = count()
        self._lives = [self._born() for _ in range(LIVING)]
        self._orders: list[tuple[str, _Life, int]] = []
        self._shipped: list[tuple[str, str, int]] = []
        """Orders of which something will come back: order, SKU, quantity."""
        self._again: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        while True:
            life = self._life()
            event = self._next(life)
            yield event
            if self._chance.random() < self._twice:
                self._again += [self._copy(event) for _ in range(self._chance.randint(1, 2))]
            if self._again and self._chance.random() < 2 * self._twice:
                yield self._again.pop(self._chance.randrange(len(self._again)))

    def take(self, events: int) -> Iterator[Event]:
        """So many of them, copies among them, and then the copies that were still to come."""
        yield from islice(self, events)
        yield from self._again
        self._again.clear()

    def _born(self) -> _Life:
        counted = COUNTED if self._chance.random() < 0.3 else ""
        name = f"{self._prefix}{next(self._sku)}{counted}"
        return _Life(name, self._chance.randint(*EVENTS_OF_A_LIFE))

    def _life(self) -> _Life:
        at = self._chance.randrange(LIVING)
        life = self._lives[at]
        if life.left <= 0:
            life = self._lives[at] = self._born()
        life.left -= 1
        return life

    def _copy(self, event: Event) -> Event:
        key = f"{event.key}-{self._chance.randrange(8)}"
        skus = (line["sku"] for line in event.data.get("lines", ()))
        # Of a counted SKU the time of an event decides whether the count had seen it.
        if any(sku.endswith(COUNTED) for sku in skus) or self._chance.random() < 0.5:
            return event._replace(key=key)
        return event._replace(key=key, time_ms=event.time_ms - self._chance.randrange(60_000))

    def _next(self, life: _Life) -> Event:
        chance, sku = self._chance, life.sku
        quantity, where = chance.randint(1, 9), chance.choice(LOCATIONS)
        if life.undo and chance.random() < 0.6:
            where, quantity = life.undo.pop()
            line = [{"sku": sku, "quantity": quantity, "condition": "sellable"}]
            return self._event("pos.return", where, receipt="r", lines=line)
        roll = chance.random()
        if roll < 0.4:
            life.undo.append((where, quantity))
            return self._event("pos.sale", where, receipt="s", lines=self._lines(life, quantity))
        if roll < 0.6:
            return self._event("wms.receipt", where, reference="r", lines=self._lines(life, 10))
        if roll < 0.7 and sku.endswith(COUNTED):
            counted_at = ms_rfc3339(_now_ms() - chance.randrange(2_000))
            line = [{"sku": sku, "quantity": quantity}]
            return self._event("wms.count", where, counted_at=counted_at, lines=line)
        if roll < 0.75:
            by = {"reason": "found", "actor": "faults"}
            line = [{"sku": sku, "quantity": chance.choice((-1, 1)) * quantity}]
            return self._event("wms.adjustment", where, **by, lines=line)
        return self._order(life, quantity)

    def _order(self, life: _Life, quantity: int) -> Event:
        chance = self._chance
        if self._shipped and chance.random() < 0.3:
            return self._returned(*self._shipped.pop(chance.randrange(len(self._shipped))))
        if len(self._orders) < ORDERS_OPEN_MAX and (not self._orders or chance.random() < 0.6):
            order = f"{self._prefix}o{next(self._number)}"
            self._orders.append((order, life, quantity))
            lines = self._lines(life, quantity)
            return self._event("order.placed", order, order=order, channel="shop", lines=lines)
        order, its, quantity = self._orders.pop(chance.randrange(len(self._orders)))
        roll, line = chance.random(), [{"sku": its.sku, "quantity": quantity}]
        if roll < 0.5:
            if chance.random() < 0.5:
                self._shipped.append((order, its.sku, quantity))
            return self._event("wms.shipment", "wh", order=order, lines=line)
        if roll < 0.9:
            return self._event("order.cancelled", order, order=order, lines=line)
        return self._event("order.cancelled", order, order=order)

    def _returned(self, order: str, sku: str, shipped: int) -> Event:
        """Goods of an order come back, now and then more than were shipped."""
        chance = self._chance
        back = {
            "sku": sku,
            "quantity": chance.randint(1, shipped + 2),
            "condition": chance.choice(("sellable", "damaged")),
        }
        where = chance.choice(LOCATIONS)
        return self._event("order.returned", order, order=order, location=where, lines=[back])

    def _lines(self, life: _Life, quantity: int) -> list[dict[str, Any]]:
        lines = [{"sku": life.sku, "quantity": quantity}]
        other = self._chance.choice(self._lives)
        if other is not life and self._chance.random() < 0.15:
            lines.append({"sku": other.sku, "quantity": 1})
        return lines

    def _event(self, kind: str, key: str, **data: Any) -> Event:
        if not kind.startswith("order."):
            data["location"] = key
        return Event(kind, key, f"{self._prefix}{next(self._number)}", _now_ms(), data)


def one_each(skus: Iterable[str], kind: str, name: str, quantity: int) -> Iterator[Event]:
    """Yield a `wms.receipt`, `pos.sale` or `pos.return` for each SKU; `name` sets them apart from others."""
    for sku in skus:
        line = {"sku": sku, "quantity": quantity}
        more = {"reference": name} if kind == "wms.receipt" else {"receipt": name}
        if kind == "pos.return":
            line["condition"] = "sellable"
        yield Event(
            kind, sku, f"{name}-{sku}", _now_ms(), {"location": "wh", **more, "lines": [line]}
        )


def skus_of(events: Iterable[Event]) -> Iterator[str]:
    """Yield the SKUs of the lines of events."""
    return (line["sku"] for event in events for line in event.data.get("lines", ()))


class Feeder:
    """Appends events from a thread until they are all confirmed, each as often as that takes.

    An append that failed may have been done: such a copy lies in the log, and is counted there.
    """

    def __init__(self, settings: Settings, events: Iterable[Event], per_s: float | None) -> None:
        self._settings = settings
        self._events = iter(events)
        self._per_s = per_s
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self.sent = 0
        """Records that the log has confirmed."""
        self.refused = 0
        """Appends that the log did not confirm, and that were repeated."""
        self.confirmed: set[str] = set()
        """The ids of events that the log has confirmed."""
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether all was sent, or it was stopped."""
        return not self._thread.is_alive()

    def join(self, within_s: float = 900.0) -> None:
        """Wait until all is confirmed."""
        self._thread.join(within_s)
        if self._thread.is_alive():
            raise TimeoutError(f"expected all events sent within {within_s:g} s, got {self.sent}")
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Send no further events, and wait until those under way are confirmed."""
        self._stop.set()
        self.join()

    def until_sent(self, records: int, within_s: float = 300.0) -> None:
        """Wait until so many records are confirmed, or all are."""
        deadline = time.monotonic() + within_s
        while self.sent < records and not self.is_done:
            if time.monotonic() > deadline:
                raise TimeoutError(f"expected {records} records sent, got {self.sent}")
            self._stop.wait(0.005)

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                log = stack.enter_context(connected(self._settings)).log
                checkouts = stack.enter_context(checking_out(self._settings))
                due_s = time.monotonic()
                size = CHUNK if self._per_s is None else max(1, round(self._per_s * BEAT_S))
                while not self._stop.is_set() and (events := list(islice(self._events, size))):
                    self._append(log, events)
                    checkouts.saw(skus_of(events))
                    if self._per_s is not None:
                        due_s = max(due_s + BEAT_S, time.monotonic() - 1)
                        self._stop.wait(max(0.0, due_s - time.monotonic()))
        except BaseException as error:  # noqa: BLE001 - raised again by join
            self._error = error

    def _append(self, log: Any, events: list[Event]) -> None:
        waiting = [(event.id, event.message()) for event in events]
        while waiting:
            results = log.append([message for _, message in waiting])
            failed = [isinstance(result, AppendFailed) for result in results]
            done = [name for (name, _), bad in zip(waiting, failed, strict=True) if not bad]
            self.confirmed.update(done)
            self.sent += len(done)
            self.refused += sum(failed)
            waiting = [each for each, bad in zip(waiting, failed, strict=True) if bad]
            if waiting:
                time.sleep(BEAT_S)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
