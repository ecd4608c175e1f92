"""Positions: each SKU's figures at each location, from all events at once.

A movement adds to on_hand and unavailable. A count says what on_hand was at one moment: the newest
count wins, at one moment the lower; movements up to that moment are in it already. Incoming is
``max(0, announced - received)`` of each reference or transfer. Nothing is reserved before routing.
"""

from dataclasses import dataclass

import numpy as np

from tests.oracle.columns import (
    NONE,
    Ints,
    ints,
    joined,
    looked_up,
    pack,
    sums_at,
    sums_by,
    unpack,
)
from tests.oracle.returns import returned_units, shipped_at_ms
from tests.oracle.stream import Batch, Names, Stream

FIELDS = ("on_hand", "reserved", "unavailable", "incoming", "atp", "counted_at")
BLANK = (0, 0, 0, 0, 0, NONE)


@dataclass(frozen=True, slots=True)
class Positions:
    """Keys ``pack(sku, location)`` in rising order; for each a row of FIELDS."""

    keys: Ints
    rows: Ints

    def field(self, name: str) -> Ints:
        """One column of the rows."""
        column: Ints = self.rows[:, FIELDS.index(name)]
        return column


@dataclass(frozen=True, slots=True)
class Moves:
    """One row for each line that moves stock, by the time of its event; `key` is ``pack(sku, location)``."""

    key: Ints
    time_ms: Ints
    on_hand: Ints
    unavailable: Ints


def recompute_positions(stream: Stream, names: Names, netted: Ints) -> Positions:
    """Every position that an event touched; `netted` are suppliers whose figures are net of orders."""
    moves = movements(stream, names, netted)
    count_keys, counted_at, counted = _newest_counts(stream)
    incoming_keys, incoming = _incoming(stream)
    keys = np.unique(np.concatenate([moves.key, count_keys, incoming_keys]))

    last_count = looked_up(moves.key, count_keys, counted_at, NONE)
    after = np.where(moves.time_ms > last_count, moves.on_hand, 0)
    moved_keys, (moved, held_back) = sums_by(moves.key, after, moves.unavailable)

    on_hand = looked_up(keys, count_keys, counted, 0) + looked_up(keys, moved_keys, moved, 0)
    unavailable = looked_up(keys, moved_keys, held_back, 0)
    return Positions(
        keys,
        np.column_stack(
            [
                on_hand,
                np.zeros_like(on_hand),
                unavailable,
                looked_up(keys, incoming_keys, incoming, 0),
                on_hand - unavailable,
                looked_up(keys, count_keys, counted_at, NONE),
            ]
        ),
    )


def movements(stream: Stream, names: Names, netted: Ints) -> Moves:
    """One row for each line that moves stock, with its signs."""
    parts: list[Moves] = []

    def add(batch: Batch, on_hand: Ints, unavailable: Ints | None = None) -> None:
        add_at(batch, batch.location, on_hand, unavailable)

    def add_at(batch: Batch, place: Ints, on_hand: Ints, unavailable: Ints | None = None) -> None:
        if not on_hand.size:
            return
        unavailable = np.zeros_like(on_hand) if unavailable is None else unavailable
        moved = (on_hand != 0) | (unavailable != 0)
        key = pack(batch.sku[moved], batch.spread(place)[moved])
        time_ms = batch.spread(batch.time_ms)[moved]
        parts.append(Moves(key, time_ms, on_hand[moved], unavailable[moved]))

    sales, shipments = stream.batch("pos.sale"), stream.batch("wms.shipment")
    add(sales, -sales.quantity)
    shipped = pack(shipments.sku, shipments.spread(shipments.location))
    happened_ms = shipped_at_ms(stream, netted)
    parts.append(Moves(shipped, happened_ms, -shipments.quantity, 0 * shipments.quantity))
    back = stream.batch("pos.return")
    add(back, back.quantity, back.quantity * back.damaged)
    back, counted = stream.batch("order.returned"), returned_units(stream, names)
    add(back, counted, counted * back.damaged)
    for event_type in ("wms.receipt", "wms.adjustment"):
        batch = stream.batch(event_type)
        add(batch, batch.quantity)
    transfers = stream.batch("wms.transfer")
    add(transfers, -transfers.quantity * transfers.at_stage("shipped"))
    add_at(transfers, transfers.to, transfers.quantity * transfers.at_stage("received"))
    quality = stream.batch("wms.quality")
    hold, release, scrap = (quality.at_stage(stage) for stage in ("hold", "release", "scrap"))
    add(quality, -quality.quantity * scrap, quality.quantity * (hold - release - scrap))
    return Moves(*(joined([getattr(part, column) for part in parts]) for column in Moves.__slots__))


def _newest_counts(stream: Stream) -> tuple[Ints, Ints, Ints]:
    """Counted positions in rising order, the moment of the count that wins, and its quantity."""
    batches = [stream.batch("wms.count"), stream.batch("supplier.stock")]
    keys = joined([pack(each.sku, each.spread(each.location)) for each in batches])
    as_of_ms = joined([each.spread(each.as_of_ms) for each in batches])
    quantity = joined([each.quantity for each in batches])
    order = np.lexsort((quantity, -as_of_ms, keys))
    distinct, first = np.unique(keys[order], return_index=True)
    winners = order[first]
    return distinct, as_of_ms[winners], quantity[winners]


def _incoming(stream: Stream) -> tuple[Ints, Ints]:
    """Positions in rising order, and what is still announced to them."""
    announced, receipts = stream.batch("wms.announced"), stream.batch("wms.receipt")
    transfers = stream.batch("wms.transfer")
    arrived = transfers.at_stage("received") + transfers.at_stage("lost")
    stage = transfers.at_stage("shipped") - arrived
    sides = [
        (announced, announced.location, announced.quantity),
        (receipts, receipts.location, -receipts.quantity),
        (transfers, transfers.to, transfers.quantity * stage),
    ]
    keys = joined([pack(batch.sku, batch.spread(place)) for batch, place, _ in sides])
    reference = joined([batch.spread(batch.reference) for batch, _, _ in sides])
    delta = joined([signed for _, _, signed in sides])
    positions, place = np.unique(keys, return_inverse=True)
    both, (open_units,) = sums_by(pack(reference, ints(place)), delta)
    reference_of, place_of_reference = unpack(both)
    last = receipts.final == 1
    closed = pack(receipts.reference[last], receipts.location[last])
    location_of = unpack(positions)[1][place_of_reference]
    is_open = ~np.isin(pack(reference_of, location_of), closed)
    owed = np.maximum(open_units, 0) * is_open
    return positions, sums_at(place_of_reference, owed, positions.size)
