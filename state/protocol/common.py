"""What the calls of every verb share: the other side of `functions/common.lua`."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

ABSENT: Final = -1
"""The watermark of a partition of which nothing was applied."""

_encode = msgspec.msgpack.Encoder().encode


class LocationTerms(NamedTuple):
    """A location as the active policy sees it."""

    location: str
    klass: int
    """Its class: index into the policy's classes."""
    floor: int
    base: int
    """1 when its stock counts for `available`, 0 for stock in a platform's own warehouse."""


class Behind(NamedTuple):
    """The shard is behind what the call builds on: what it was sent may have rolled back. Nothing was done."""

    watermarks: tuple[tuple[str, int], ...]


class StalePolicy(NamedTuple):
    """The caller's policy is older than the shard's."""

    revision: int


def encode_call(call: tuple[Any, ...]) -> bytes:
    """Return the argument of the functions that take their call as it is."""
    return _encode(call)


def decode_behind(reply: Sequence[Any]) -> Behind | None:
    """Return what a shard answers that is behind; None = the reply is another one."""
    return Behind(tuple((mark, at) for mark, at in reply[1])) if reply[0] == "LOST" else None
