"""How long each channel takes to show a level that was emitted, as measured, for all processes of a store.

Who delivers to a channel notes its figure here; buffers by risk go by it. A channel without one goes by its
`push_lag_s`.
"""

from collections.abc import Mapping
from typing import cast

from state.protocol.keys import Keys
from state.store.client import Client


def note(client: Client, keys: Keys, channel: str, lag_ms: int) -> None:
    """Note the 95th percentile of the push lag of a channel, in ms, over the last while."""
    client.hset(keys.push_lag(), channel, lag_ms)


def measured(client: Client, keys: Keys) -> Mapping[str, int]:
    """Return the figures of all channels that have one, in ms."""
    found = cast("dict[bytes, bytes]", client.hgetall(keys.push_lag()))
    return {channel.decode(): int(lag_ms) for channel, lag_ms in found.items()}
