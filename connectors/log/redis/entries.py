"""Messages as the stream entries of a log on Redis, and back; see `functions/log.lua`."""

from typing import Any

import msgspec

from connectors.log.base import Outgoing, Partition, Record, first_within

_DIGITS = "01234567"
_PLAIN_FIELDS = 6
_CALL_MESSAGES = 1_000
_CALL_BYTES = 1024 * 1024

_pack = msgspec.msgpack.Encoder().encode
_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


class Call:
    """Messages for one partition, gathered for one call of `log_append`.

    `indices` say which of the batch they are, `flags` which parts each has, `parts` are these.
    """

    __slots__ = ("flags", "indices", "n", "parts", "size", "topic")

    def __init__(self, topic: str, n: int) -> None:
        self.topic = topic
        self.n = n
        self.indices: list[int] = []
        self.flags: list[str] = []
        self.parts: list[bytes] = []
        self.size = 0

    @property
    def is_full(self) -> bool:
        """Whether the next message belongs into another call."""
        return len(self.indices) >= _CALL_MESSAGES or self.size >= _CALL_BYTES

    def add(self, index: int, message: Outgoing) -> None:
        """Take one more message."""
        value, key, headers = message.value, message.key, message.headers
        self.indices.append(index)
        flag = 0
        if value is not None:
            flag = 1
            self.parts.append(value)
            self.size += len(value)
        if key is not None:
            flag += 2
            self.parts.append(key)
        if headers:
            flag += 4
            self.parts.append(_pack(headers))
        self.flags.append(_DIGITS[flag])


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
    records = [record for batch in batches for record in batch]
    return first_within(records, max_records, max_bytes)
