"""What the log still has of a SKU: the events that touched it, with their place.

Reads backwards from the end of each partition, so that the newest events of a long log are found soon. A message
is decoded only if its bytes hold the SKU, or one of its codes. What an event does is worked out as ingest does it,
under the policy and the code tables known now; messages that went to the dead letters are left to those.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from connectors.log.base import INPUT_TOPICS, Log, OffsetOutOfRange, Partition, Record
from connectors.messages import dead_letters
from connectors.messages.decode import Unread, read
from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from state.events.messages import MARKETPLACE_ORDERS, WMS_RECEIPTS
from state.events.normalise import effects
from state.events.ops import CLOSE, CONSUME, COUNT, INCOMING, MOVE, VOID, Op
from state.events.rejection import Rejection

WINDOW = 1_000
"""Records read at once, going back."""
RECORDS_MAX = 2_000_000
"""So many records are gone through in each partition, the newest, unless the whole log is asked for."""
WHOLE_MAX = 100_000
"""Cancellations of whole orders, and closed references, remembered while going back."""

_WHOLE = (b"order.cancelled", b'"final"')
_ORDERS_OR_RECEIPTS = frozenset({MARKETPLACE_ORDERS, WMS_RECEIPTS})


class Touch(NamedTuple):
    """An event that touched a SKU. Times in ms."""

    topic: str
    partition: int
    offset: int
    log_ms: int
    time_ms: int
    type: str
    id: str
    source: str
    ops: tuple[Op, ...]
    """What it does to this SKU; of an order given up whole, or a reference closed, that alone."""
    is_repeated: bool = False
    """Its id came before, as far as is known here: it took no effect."""


def touched(runtime: Runtime, sku: str, limit: int | None) -> list[Touch]:
    """Return the newest events of the log that touched a SKU, oldest first; `limit` None: all there are.

    At most `limit`, found among the newest `RECORDS_MAX` records of each partition.
    """
    follow_policy(runtime)
    scan = _Scan(runtime, sku)
    found: list[Touch] = []
    for topic in INPUT_TOPICS:
        starts, ends = runtime.log.start_offsets(topic), runtime.log.end_offsets(topic)
        for n, end in sorted(ends.items()):
            partition = Partition(topic, n)
            records = backwards(runtime.log, partition, starts[n], end)
            found += scan.touches(records, limit)
    found.sort(key=lambda touch: (touch.log_ms, touch.topic, touch.partition, touch.offset))
    return list(_repeats_marked(found if limit is None else found[-limit:]))


def backwards(log: Log, partition: Partition, start: int, end: int) -> Iterator[Record]:
    """Yield the records of a partition from `start` up to `end`, the newest first."""
    while end > start:
        begin, window = max(start, end - WINDOW), list[Record]()
        position = begin
        while position < end:
            try:
                records = log.read({partition: position})
            except OffsetOutOfRange as error:
                # Trimmed meanwhile.
                start = position = max(position + 1, error.start)
                continue
            if not records:
                break
            window += [record for record in records if record.offset < end]
            position = records[-1].offset + 1
        yield from reversed(window)
        end = begin


class _Scan:
    """What is looked for, and how a message is understood."""

    def __init__(self, runtime: Runtime, sku: str) -> None:
        self._policy = runtime.policy
        self._sku = sku
        table = runtime.shared.policy.codes()
        self._needles = [text.encode() for text in (sku, *sorted(table.codes_of(sku)))]
        self._dead = {listed.letter.place for listed in dead_letters.listing(runtime.log)}

    def touches(self, records: Iterator[Record], limit: int | None) -> list[Touch]:
        """Return what touched the SKU, as far back as is asked for."""
        found: list[Touch] = []
        whole: dict[tuple[str, ...], list[Touch]] = {}
        for seen, record in enumerate(records):
            if limit is not None and (len(found) >= limit or seen >= RECORDS_MAX):
                break
            value = record.value or b""
            names_it = b"\\" in value or any(needle in value for needle in self._needles)
            if not (names_it or self._may_be_whole(record, value)):
                continue
            touch = self._touch(record)
            if touch is None:
                continue
            mine = tuple(op for op in touch.ops if op[1] == self._sku)
            if mine:
                taken = tuple(op for op in touch.ops if op[1] == self._sku or op[0] == CONSUME)
                found.append(touch._replace(ops=taken))
                for key in _keys(mine):
                    found += whole.pop(key, ())
            elif len(whole) < WHOLE_MAX:
                for key in _keys(touch.ops):
                    whole.setdefault(key, []).append(touch)
        return found

    def _may_be_whole(self, record: Record, value: bytes) -> bool:
        if record.topic not in _ORDERS_OR_RECEIPTS:
            return False
        return any(word in value for word in _WHOLE) or any(
            word in text for _, text in record.headers for word in _WHOLE
        )

    def _touch(self, record: Record) -> Touch | None:
        if (record.topic, record.partition, record.offset) in self._dead:
            return None
        event = read(record)
        if isinstance(event, Unread):
            return None
        ops = effects(event, record.timestamp_ms, self._policy.compiled, self._policy.codes)
        if isinstance(ops, Rejection):
            return None
        kept = tuple(op for op in ops if op[1] == self._sku or op[0] in {VOID, CLOSE, CONSUME})
        return Touch(
            record.topic, record.partition, record.offset, record.timestamp_ms, event.time_ms,
            event.type, event.id, event.source, kept,
        )  # fmt: skip


def _keys(ops: Collection[Op]) -> set[tuple[str, ...]]:
    """Return what ties events about a SKU to those that name none: orders and references."""
    ties: set[tuple[str, ...]] = set()
    for op in ops:
        if op[0] in {INCOMING, CLOSE}:
            ties.add(("reference", str(op[2]), str(op[3])))
        elif op[0] not in {MOVE, COUNT, CONSUME}:
            ties.add(("order", str(op[2])))
    return ties


def _repeats_marked(touches: list[Touch]) -> Iterator[Touch]:
    seen: set[tuple[str, str]] = set()
    for touch in touches:
        identity = (touch.source, touch.id)
        yield touch._replace(is_repeated=True) if identity in seen else touch
        seen.add(identity)
