"""The argument of an apply call, taken apart again: the other half of `state.protocol.apply.encode_apply`."""

from collections.abc import Iterator
from typing import Any

import msgspec

from connectors.log.base import Record
from state.events.messages import Event
from state.events.ops import CLOSE, CONSUME, COUNT, INCOMING, MOVE, NETTED, RETURN, VOID, Op
from state.protocol.apply import encode_apply
from state.protocol.common import LocationTerms
from state.protocol.pack import Chain, NormalEvent, Packer
from state.protocol.sharding import event_hash, shard_of

SHARDS = 3
SLICE = 5
WIDTHS = (6, 5, 5, 5, 5, 4, 6, 4, 6, 4, 6)
"""Values of each op, by its code."""
EVENT = 6
"""Values before the ops of an event."""
NOW_US, REVISION, GUARD_MS = 1_800_000_000_000_000, 4, 9

_unpack = msgspec.msgpack.Decoder().decode


def check_wire(event: Event, record: Record, ops: tuple[Op, ...]) -> None:
    """Pack an event, unpack it as the functions do, and find every op on its shard, in order."""
    digest = event_hash(event.source, event.id)
    normal = NormalEvent(record.offset, digest, SLICE, event.time_ms, record.timestamp_ms, ops)
    chain = Chain.starting("log/0", record.offset - 1, SHARDS)
    calls = Packer(SHARDS, GUARD_MS).pack(
        [(chain, record.offset, [normal])], lambda _sku, at: LocationTerms(at, len(at), 1, 0), NOW_US, REVISION
    )  # fmt: skip
    homes = 0
    for shard in range(SHARDS):
        mine = [op for op in ops if _goes_to(op, shard)]
        # The use of a hold goes where the event has lines.
        mine += [op for op in ops if mine and op[0] == CONSUME]
        assert (shard in calls) == bool(mine), "a call of no use, or none"
        if mine:
            head, unpacked = _read(encode_apply(calls[shard]), digest)
            assert head[:3] == [record.offset, event.time_ms, record.timestamp_ms]
            assert unpacked == [list(op) for op in mine], "other ops arrive than were sent"
            homes += head[3]
    assert homes == 1, "an event is counted in one shard"


def _goes_to(op: Op, shard: int) -> bool:
    if op[0] in (VOID, CLOSE):
        return True
    return op[0] != CONSUME and shard_of(op[1], SHARDS) == shard


def _read(argument: bytes, digest: str) -> tuple[list[Any], list[list[Any]]]:
    """Return what stands before the ops of the one event, and the ops with their locations."""
    now_us, revision, guard_ms, places, parts, slices, repeats, lines = _unpack(argument)
    assert (now_us, revision, guard_ms) == (NOW_US, REVISION, GUARD_MS)
    assert (slices, repeats) == ([SLICE, [digest]], False)
    assert parts == [["log/0", lines[0] - 1, lines[0], [SLICE, 1]]]
    assert lines[EVENT - 1] == len(lines) - EVENT
    return lines[:EVENT], list(_ops(lines[EVENT:], [name[2:] for name in places[::4]]))


def _ops(values: list[Any], locations: list[str]) -> Iterator[list[Any]]:
    at = 0
    while at < len(values):
        code = values[at]
        op = values[at : at + WIDTHS[code]]
        if code in (MOVE, COUNT, INCOMING):
            op[2] = locations[op[2]]
        elif code in (RETURN, NETTED):
            op[5] = locations[op[5]]
        yield op
        at += WIDTHS[code]
