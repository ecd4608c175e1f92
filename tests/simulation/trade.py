"""What the upstream sends in a run: few SKUs, small quantities, levels that often come back to what they were."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.simulation.scenario import Copy, Message
from tests.simulation.shop import CHANNELS, CODES, LOCATIONS, TILL

SECOND_MS = 1000
BEAT_MS, COUNT_MS = 150, 500
"""Within a second of event time, events happen at the beat and counts later: copies that tell another time stay on
the same side of every count, so that all copies mean the same."""

Lines = list[dict[str, Any]]


class Trade:
    """Draws messages for a stretch of the run. Names go on from stretch to stretch."""

    def __init__(
        self, chance: random.Random, partitions: int, skus: tuple[str, ...], copies_pct: int, echoes_pct: int,
        echo_ms: tuple[int, ...],
    ) -> None:  # fmt: skip
        self._chance = chance
        self._partitions = partitions
        self._copies_pct = copies_pct
        self._made = 0
        self._skus = skus
        self._echoes_pct = echoes_pct
        self._echo_ms = echo_ms
        self._makers: list[Callable[[int], Iterator[Message]]] = [
            self._receipt, self._receipt, self._sale, self._sale, self._echo, self._echo, self._count, self._return,
            self._announced, self._transfer, self._order, self._order, self._twins, self._bad, self._quality,
            self._till, self._till,
        ]  # fmt: skip

    def messages(self, begin_ms: int, end_ms: int, count: int) -> list[Message]:
        """Return the messages of about `count` happenings between two times of the run."""
        chance, found = self._chance, list[Message]()
        for sku in self._skus:
            if self._made < len(self._skus):
                where = chance.choice(LOCATIONS)
                found += self._one(
                    begin_ms, "wms.receipt", location=where, reference="r", lines=_lines({sku: 4})
                )
        while count > 0:
            count -= 1
            # Trade comes in bursts, so that calls meet each other.
            at_ms = chance.randint(begin_ms, end_ms) // 400 * 400 + chance.randint(0, 60)
            echoes = chance.randrange(100) < self._echoes_pct
            found += (self._echo if echoes else chance.choice(self._makers))(at_ms)
        return found

    def sales_by_code(self, at_ms: int) -> list[Message]:
        """Return sales by every code."""
        lines = [{"sku": code, "quantity": 1} for code in CODES]
        return list(
            self._one(
                at_ms, "pos.sale", source=TILL, location=self._where(), receipt="x", lines=lines
            )
        )

    def _one(
        self, at_ms: int, kind: str, *, source: str = "/upstream", **data: Any
    ) -> Iterator[Message]:
        self._made += 1
        at_ms = max(0, at_ms)
        beat_ms = (
            at_ms - self._chance.choice((0, 0, 1, 2)) * SECOND_MS
        ) // SECOND_MS * SECOND_MS + BEAT_MS
        yield Message(f"e{self._made}", kind, data, tuple(self._copies(at_ms, beat_ms)), source)

    def _copies(self, at_ms: int, time_ms: int) -> Iterator[Copy]:
        chance = self._chance
        yield Copy(at_ms, chance.randrange(self._partitions), time_ms)
        while chance.randrange(100) < self._copies_pct:
            again_ms = at_ms + int(chance.expovariate(1 / 500)) * chance.randrange(2)
            other_ms = time_ms + chance.choice((0, 0, -100, 50))
            yield Copy(min(again_ms, at_ms + 8000), chance.randrange(self._partitions), other_ms)

    def _sku(self) -> str:
        return self._chance.choice(self._skus)

    def _where(self) -> str:
        return self._chance.choice(LOCATIONS)

    def _some(self, most: int = 2) -> dict[str, int]:
        chance = self._chance
        skus = chance.sample(self._skus, chance.randint(1, min(most, len(self._skus))))
        return {sku: chance.randint(1, 2) for sku in skus}

    def _receipt(self, at_ms: int) -> Iterator[Message]:
        yield from self._one(
            at_ms,
            "wms.receipt",
            location=self._where(),
            reference=self._name("r"),
            lines=_lines(self._some()),
        )

    def _sale(self, at_ms: int) -> Iterator[Message]:
        yield from self._one(
            at_ms, "pos.sale", location=self._where(), receipt="x", lines=_lines(self._some(3))
        )

    def _echo(self, at_ms: int) -> Iterator[Message]:
        """A change and its opposite a moment later: the level is what it was."""
        sku, where, units = self._sku(), self._where(), self._chance.choice((-1, 1, 2))
        for delay_ms, each in ((0, units), (self._chance.choice(self._echo_ms), -units)):
            yield from self._one(
                at_ms + delay_ms,
                "wms.adjustment",
                location=where,
                reason="x",
                actor="y",
                lines=_lines({sku: each}),
            )

    def _count(self, at_ms: int) -> Iterator[Message]:
        """A count, sometimes two of one moment; often a late one."""
        counted_ms = (
            at_ms // SECOND_MS * SECOND_MS + COUNT_MS - self._chance.randint(1, 3) * SECOND_MS
        )
        where, sku = self._where(), self._sku()
        for _ in range(self._chance.choice((1, 1, 2))):
            line = {"sku": sku, "quantity": self._chance.randint(0, 6)}
            yield from self._one(
                at_ms, "wms.count", location=where, counted_at=counted_ms, lines=[line]
            )

    def _return(self, at_ms: int) -> Iterator[Message]:
        lines = [
            line | {"condition": self._chance.choice(("sellable", "damaged"))}
            for line in _lines(self._some())
        ]
        yield from self._one(at_ms, "pos.return", location=self._where(), receipt="x", lines=lines)

    def _quality(self, at_ms: int) -> Iterator[Message]:
        stage = self._chance.choice(("hold", "release", "scrap"))
        yield from self._one(
            at_ms, "wms.quality", location=self._where(), stage=stage, lines=_lines(self._some())
        )

    def _announced(self, at_ms: int) -> Iterator[Message]:
        """A delivery is announced and arrives, whichever is told first."""
        where, reference, lines = self._where(), self._name("a"), _lines(self._some())
        yield from self._one(
            at_ms,
            "wms.announced",
            location=where,
            reference=reference,
            expected_at=at_ms,
            lines=lines,
        )
        at_ms += self._chance.choice((-300, 0, 900))
        last: dict[str, Any] = self._chance.choice(({}, {"final": True}))
        if last and self._chance.randrange(2):
            lines = _lines(self._some())
        yield from self._one(
            at_ms, "wms.receipt", location=where, reference=reference, lines=lines, **last
        )

    def _transfer(self, at_ms: int) -> Iterator[Message]:
        origin, to = self._chance.sample(LOCATIONS, 2)
        facts: dict[str, Any] = {
            "transfer": self._name("t"),
            "from": origin,
            "to": to,
            "lines": _lines(self._some()),
        }
        yield from self._one(at_ms, "wms.transfer", stage="shipped", **facts)
        if self._chance.randrange(3):
            yield from self._one(
                at_ms + self._chance.choice((-300, 0, 900)),
                "wms.transfer",
                stage=self._chance.choice(("received", "received", "lost")),
                **facts,
            )

    def _order(self, at_ms: int) -> Iterator[Message]:
        chance, order, asked = self._chance, self._name("o"), self._some(3)
        channel = chance.choice(CHANNELS)
        yield from self._one(
            at_ms, "order.placed", order=order, channel=channel, lines=_lines(asked)
        )
        later_ms = at_ms + chance.choice((-300, 0, 700))
        part = dict([chance.choice(list(asked.items()))])
        named: dict[str, Any] = {"order": order} | chance.choice(({}, {"channel": channel}))
        what = chance.randrange(6)
        if what == 0:
            yield from self._one(later_ms, "order.cancelled", **named)
        elif what == 1:
            named["lines"] = _lines(dict.fromkeys(part, 1))
            for delay_ms in (0, 400):
                yield from self._one(later_ms + delay_ms, "order.cancelled", **named)
        elif what == 2:
            named["lines"] = _lines(asked)
            yield from self._one(later_ms, "wms.shipment", location=self._where(), **named)
        elif what == 3:
            named["lines"] = _lines(part)
            where = self._where()
            yield from self._one(later_ms, "pos.sale", location=where, receipt="x", **named)
        elif what == 4:
            yield from self._shipped_and_back(later_ms, order, asked)

    def _shipped_and_back(self, at_ms: int, order: str, asked: dict[str, int]) -> Iterator[Message]:
        """Goods of an order leave, and come back: all, some or more of them, whichever is told first."""
        chance, lines = self._chance, _lines(asked)
        if chance.randrange(4):
            yield from self._one(
                at_ms, "wms.shipment", location=self._where(), order=order, lines=lines
            )
        # Copies tell other times: returns of one order must not differ by which of them was the earlier.
        where, times = self._where(), chance.choice((1, 1, 2))
        conditions: tuple[str, ...] = chance.choice((("sellable",), ("damaged",)))
        if times == 1:
            conditions = chance.choice((conditions, ("sellable", "damaged")))
        for _ in range(times):
            back = [
                {
                    "sku": chance.choice(list(asked)),
                    "quantity": chance.randint(1, 3),
                    "condition": each,
                }
                for each in conditions
            ]
            at_ms += chance.choice((-400, 0, 1000))
            yield from self._one(at_ms, "order.returned", location=where, order=order, lines=back)

    def _twins(self, at_ms: int) -> Iterator[Message]:
        """Two shops use one order number, and one of them cancels a unit."""
        order, sku = self._name("o"), self._sku()
        for channel in CHANNELS:
            yield from self._one(
                at_ms, "order.placed", order=order, channel=channel, lines=_lines({sku: 2})
            )
        yield from self._one(
            at_ms + 300,
            "order.cancelled",
            order=order,
            channel=CHANNELS[0],
            lines=_lines({sku: self._chance.randint(1, 3)}),
        )

    def _till(self, at_ms: int) -> Iterator[Message]:
        lines = _lines({self._chance.choice(CODES): self._chance.randint(1, 2)})
        yield from self._one(
            at_ms, "pos.sale", source=TILL, location=self._where(), receipt="x", lines=lines
        )

    def _bad(self, at_ms: int) -> Iterator[Message]:
        """A message that nobody can use."""
        lines = _lines(self._some())
        (message,) = self._chance.choice((
            self._one(at_ms, "pos.sale", location="nowhere", receipt="x", lines=lines),
            self._one(at_ms, "pos.sale", source=TILL, location="s1", receipt="x", lines=lines),
            self._one(at_ms, "pos.sale", location="s1", receipt="x", lines=[]),
            self._one(at_ms, "order.placed", order="o0", channel="nobody", lines=lines),
        ))  # fmt: skip
        raw = b"{not an event" if self._chance.randrange(4) == 0 else None
        yield Message(
            message.id, message.kind, message.data, message.copies, message.source, raw, is_bad=True
        )

    def _name(self, letter: str) -> str:
        return f"{letter}{self._made}"


def _lines(quantities: dict[str, int]) -> Lines:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]
