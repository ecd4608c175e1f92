"""Push lag: how long each channel takes to show a level that was emitted, as measured, for all processes of a store.

Each delivery adapter records its push lag here; risk buffers use it. A channel without one uses its `push_lag_s`.
"""

from collections.abc import Mapping
from typing import cast

from state.protocol.keys import Keys
from state.store.client import Client


class PushLags:
    """The push lags of one namespace."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client, self._key = client, keys.push_lag()

    def record(self, channel: str, lag_ms: int) -> None:
        """Record the 95th percentile of the push lag of a channel, in ms, over the last while."""
        self._client.hset(self._key, channel, lag_ms)

    def measured(self) -> Mapping[str, int]:
        """Return the push lag of each channel that has one, in ms."""
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._key))
        return {channel.decode(): int(lag_ms) for channel, lag_ms in found.items()}
