"""Decisions of the shrink guard about figures of suppliers: each is made once, and kept.

A decision depends on stock, which changes. It is recorded under the position of the message in the log before anything
of the message is applied, and a reader that reads the message again follows the record (docs/adr/0018).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from state.protocol.keys import Keys
from state.store.client import Client

ACCEPTED: Final = ("penstock-accept", b"supplier_shrink")
"""A message with this header passes: an operator looked at it."""
KEPT: Final = 4_096
"""At least so many decisions are kept, however far all shards have come."""


class GuardDecisions:
    """The decisions of one namespace, by watermark name and offset."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client, self._key = client, keys.feeds()

    def decide_once(self, mark: str, offset: int, decide: Callable[[], str]) -> str:
        """Return why a message is quarantined, "" if it passes: by the first decision that was made of it.

        `decide` is called if there is none yet.
        """
        position = f"{mark}/{offset}"
        known = cast("bytes | None", self._client.hget(self._key, position))
        if known is None:
            self._client.hsetnx(self._key, position, decide().encode())
            known = cast("bytes", self._client.hget(self._key, position))
        return known.decode()

    def trim(self, marks: Sequence[Mapping[str, int]]) -> int:
        """Drop decisions about messages below the watermark of every shard, if there are many. Return how many."""
        if self._client.hlen(self._key) <= KEPT:
            return 0
        passed = []
        for position in cast("list[bytes]", self._client.hkeys(self._key)):
            mark, _, offset = position.decode().rpartition("/")
            if all(shard.get(mark, -1) >= int(offset) for shard in marks):
                passed.append(position)
        passed.sort(key=lambda position: int(position.rpartition(b"/")[2]))
        del passed[-KEPT // 2 :]
        return int(self._client.hdel(self._key, *passed)) if passed else 0
