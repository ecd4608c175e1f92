"""Messages as the stream entries of a log on Redis, and back; see `functions/log.lua`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from connectors.log import Outgoing, Partition, Record

_DIGITS = "01234567"
_PLAIN_FIELDS = 6

_pack = msgspec.msgpack.Encoder().encode
_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


def packed(messages: Iterable[Outgoing]) -> list[str | bytes]:
    """Return which parts each message has, a digit for each, and then these parts."""
    flags: list[str] = []
    parts: list[str | bytes] = [""]
    for message in messages:
        value, key, headers = message.value, message.key, message.headers
        flag = 0
        if value is not None:
            flag = 1
            parts.append(value)
        if key is not None:
            flag += 2
            parts.append(key)
        if headers:
            flag += 4
            parts.append(_pack(headers))
        flags.append(_DIGITS[flag])
    parts[0] = "".join(flags)
    return parts


def records_of(partition: Partition, entries: list[Any]) -> list[Record]:
    """Turn entries `[b"7-0", [b"ts", b"...", b"v", ...]]` of one stream into records."""
    topic, n = partition
    records = []
    for name, fields in entries:
        offset = int(name[:-2])
        if len(fields) == _PLAIN_FIELDS and fields[4] == b"k":
            _, ts, _, value, _, key = fields
            records.append(Record(topic, n, offset, int(ts), key, (), value))
        else:
            named = dict(zip(fields[::2], fields[1::2], strict=True))
            headers = _headers(named[b"h"]) if b"h" in named else ()
            records.append(
                Record(
                    topic, n, offset, int(named[b"ts"]), named.get(b"k"), headers, named.get(b"v")
                )
            )
    return records


def bounded(
    batches: list[list[Record]], turn: int, max_records: int, max_bytes: int
) -> list[Record]:
    """Return records up to the bounds, at least one if any; the batch at `turn` comes first."""
    if batches:
        first = turn % len(batches)
        batches = batches[first:] + batches[:first]
    records = [record for batch in batches for record in batch][:max_records]
    size = 0
    for i, record in enumerate(records):
        size += len(record.value or b"")
        if size > max_bytes and i > 0:
            return records[:i]
    return records
