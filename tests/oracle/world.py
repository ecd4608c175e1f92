"""A tiny run for the tests of the check: its stream, and what a right engine would say of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.oracle.columns import ints, pack
from tests.oracle.expected import Expected, work_out
from tests.oracle.judge import Files, judge
from tests.oracle.policy import read_policy
from tests.oracle.positions import FIELDS
from tests.oracle.stream import Names, read_stream, rfc3339_ms

Json = dict[str, Any]

EARLY, NOON, LATE = (f"2026-03-02T{hour}:00:00Z" for hour in ("06", "12", "18"))


def event(event_type: str, data: Json, time: str = NOON, **attributes: str) -> Json:
    """A structured CloudEvent; its id is made of what it says."""
    number = f"{event_type} {time} {orjson.dumps(data).decode()}"
    named = {"id": number, "source": "/test", "type": event_type, "time": time}
    return {"specversion": "1.0", **named, **attributes, "data": data}


def line(sku: str, quantity: int, **more: str) -> Json:
    """One line of an event."""
    return {"sku": sku, "quantity": quantity, **more}


def at(location: str, *lines: Json, **more: object) -> Json:
    """Data of an event at one location."""
    return {"location": location, "lines": list(lines), **more}


def receipt(
    sku: str, units: int, location: str = "s1", time: str = NOON, reference: str = "r"
) -> Json:
    """Units received."""
    return event("wms.receipt", at(location, line(sku, units), reference=reference), time)


def placed(order: str, units: int, channel: str = "shop", time: str = NOON) -> Json:
    """An order of SKU A."""
    data = {"order": order, "channel": channel, "lines": [line("A", units)]}
    return event("order.placed", data, time)


def dumped(body: Json | str, kind: str = "good", headers: list[list[str]] | None = None) -> Json:
    """One line of a dump."""
    value = body if isinstance(body, str) else orjson.dumps(body).decode()
    return {"topic": "any", "key": None, "headers": headers or [], "value": value, "kind": kind}


def write_lines(path: Path, items: list[Json]) -> None:
    """Write JSON lines."""
    path.write_bytes(b"".join(orjson.dumps(item) + b"\n" for item in items))


def answers(folder: Path, events: list[Json], config: str = "") -> "Answers":
    """Work out a stream of good events under a penstock.yaml."""
    write_lines(folder / "stream.jsonl", [dumped(each) for each in events])
    (folder / "penstock.yaml").write_text(config, encoding="utf-8")
    names = Names()
    stream = read_stream(folder / "stream.jsonl", names)
    policy = read_policy(folder / "penstock.yaml")
    return Answers(names, work_out(stream, policy, names, len(names.sku)))


@dataclass(frozen=True, slots=True)
class Answers:
    """The expected figures, asked for by name."""

    names: Names
    expected: Expected

    def position(self, sku: str, location: str) -> dict[str, int]:
        """The fields of a position that are not 0 (or, of counted_at, not never)."""
        key = pack(ints([self.names.sku[sku]]), ints([self.names.location[location]]))
        row = self.expected.positions.rows[self.expected.positions.keys == key][0].tolist()
        return {
            name: value
            for name, value in zip(FIELDS, row, strict=True)
            if value and name != "counted_at"
        }

    def unrouted(self, sku: str) -> int:
        """Open units of orders."""
        return int(self.expected.unrouted[self.names.sku[sku]])

    def available(self, sku: str) -> int:
        """Available of a SKU."""
        return int(self.expected.available[self.names.sku[sku]])

    def level(self, sku: str, channel: str) -> int:
        """The level on a channel."""
        column = self.expected.channels.index(channel)
        return int(self.expected.levels[self.names.sku[sku], column])

    def velocity(self, sku: str) -> float:
        """Units a day."""
        return float(self.expected.velocity[self.names.sku[sku]])


CONFIG = """
locations: [{id: dc, kind: warehouse}, {id: s1, kind: store}]
policies: {floors: {store: 1}}
channels:
  - {id: shop}
  - {id: shopee, share_bp: 5000, buffer: {units: 1}, cap: 10}
ads: [{rule: ads-shop, platform: google, channel: shop, pause_at: 2, resume_at: 6}]
"""


def _stream() -> list[Json]:
    count = {"location": "s1", "counted_at": NOON, "lines": [line("A", 10), line("B", 1)]}
    low = {"location": "s1", "counted_at": NOON, "lines": [line("C", 3)]}
    sale = event(
        "pos.sale",
        {"location": "s1", "receipt": "b1", "lines": [line("A", 3)]},
        "2026-03-02T13:00:00Z",
    )
    order = {"order": "o1", "channel": "shop", "lines": [line("A", 2)]}
    receipt = {"location": "s1", "reference": "r1", "lines": [line("C", 2)]}
    closing = {"location": "dc", "reference": "r2", "lines": [line("B", 5)]}
    return [
        dumped(event("wms.count", count)),
        dumped(event("wms.count", low)),
        dumped(sale),
        dumped(sale, "duplicate"),
        dumped("not JSON", "bad"),
        dumped(event("order.placed", order, "2026-03-02T14:00:00Z")),
        dumped(event("wms.receipt", receipt, "2026-03-02T15:00:00Z")),
        dumped(event("wms.announced", closing, "2026-03-18T15:00:00Z")),
    ]


def _stock(sku: str, version: int, figures: Json, positions: list[Json], levels: Json) -> Json:
    state = "active" if sku == "A" else "paused"
    return {
        "sku": sku,
        "version": version,
        "held": 0,
        "unrouted": 0,
        **figures,
        "positions": positions,
        "levels": levels,
        "ads": [{"rule": "ads-shop", "state": state, "since": NOON}],
    }


def _position(location: str, on_hand: int, incoming: int, counted_at: int | None) -> Json:
    held = {"reserved": 0, "unavailable": 0, "incoming": incoming}
    figures = {"on_hand": on_hand, **held, "atp": on_hand}
    return {"location": location, **figures, "counted_at": counted_at}


def update(sku: str, version: int, available: int, shop: int, shopee: int) -> Json:
    """One line of stock.updates."""
    levels = {"shop": shop, "shopee": shopee}
    data = {"sku": sku, "version": version, "available": available, "levels": levels}
    return {"topic": "stock.updates", "key": sku, "value": event("stock.updated", data)}


def signal(event_type: str, sku: str, version: int, level: int) -> Json:
    """One line of ads.signals."""
    data = {"rule": "ads-shop", "sku": sku, "channel": "shop", "version": version, "level": level}
    return {"topic": "ads.signals", "value": event(event_type, {**data, "days_of_cover": None})}


def rejected(offset: int) -> Json:
    """One line of dead.letters."""
    data = {"topic": "pos.sales", "partition": 0, "offset": offset, "reason": "not JSON"}
    return {"topic": "dead.letters", "value": event("message.rejected", data)}


@dataclass(slots=True)
class World:
    """A right run; a test spoils a part of it, and asks for the verdict.

    A: counted 10, sold 3, ordered 2: 7 on hand, 5 available; shop 7 - 1 - 2 = 4, shopee 4 / 2 - 1.
    B: counted 1, all of it kept by the floor: level 0, paused; 5 announced to dc.
    C: counted 3 (level 2: paused), 2 received: level 4, in between, so still paused.
    """

    stream: list[Json] = field(default_factory=_stream)
    snapshot: list[Json] = field(
        default_factory=lambda: [
            _stock(
                "A",
                30,
                {"available": 5, "unrouted": 2},
                [_position("s1", 7, 0, rfc3339_ms(NOON))],
                {"shop": 4, "shopee": 1},
            ),
            _stock(
                "B",
                21,
                {"available": 1},
                [_position("s1", 1, 0, rfc3339_ms(NOON)), _position("dc", 0, 5, None)],
                {"shop": 0, "shopee": 0},
            ),
            _stock(
                "C",
                22,
                {"available": 5},
                [_position("s1", 5, 0, rfc3339_ms(NOON))],
                {"shop": 4, "shopee": 1},
            ),
        ]
    )
    updates: list[Json] = field(
        default_factory=lambda: [
            update("A", 10, 10, 9, 3),
            update("B", 11, 1, 0, 0),
            update("C", 12, 3, 2, 0),
            update("A", 20, 7, 6, 2),
            update("A", 30, 5, 4, 1),
            update("C", 22, 5, 4, 1),
        ]
    )
    signals: list[Json] = field(
        default_factory=lambda: [signal("ad.pause", "B", 11, 0), signal("ad.pause", "C", 12, 2)]
    )
    dead: list[Json] = field(default_factory=lambda: [rejected(4)])
    counters: Json = field(default_factory=lambda: {"appended": 8, "applied": 6, "duplicates": 1})
    units: dict[str, int] = field(default_factory=lambda: {"A": 5})

    def files(self, folder: Path, *, folded: bool = False) -> Files:
        """Write the run's files."""
        for name in ("stream", "snapshot", "updates", "signals", "dead"):
            write_lines(folder / name, getattr(self, name))
        (folder / "config").write_text(CONFIG, encoding="utf-8")
        (folder / "counters").write_bytes(orjson.dumps(self.counters))
        rows = [f"{product},{units}" for product, units in self.units.items()]
        (folder / "units").write_text("\n".join(["product_id,quantity", *rows]), encoding="utf-8")
        return Files(
            stream=folder / "stream",
            config=folder / "config",
            snapshot=folder / "snapshot",
            updates=folder / "updates",
            signals=folder / "signals",
            dead=folder / "dead",
            counters=folder / "counters",
            source_units=str(folder / "units"),
            folded=folded,
        )

    def verdict(self, folder: Path) -> Json:
        """Judge the run."""
        return judge(self.files(folder))
