"""What was decided about the figures of suppliers: passed, or held back, and why. A decision is made once.

It hangs on stock, which changes; so it is recorded under the place of the message in the log before anything of
the message is applied, and whoever reads that message again follows the record (docs/adr/0018).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from state.protocol.keys import Keys
from state.store.client import Client

ACCEPTED: Final = ("penstock-accept", b"supplier_shrink")
"""A message with this header passes: somebody looked at it."""
KEPT: Final = 4_096
"""So many decisions are kept at least, however far all shards have come."""


def decided(client: Client, keys: Keys, mark: str, offset: int, decide: Callable[[], str]) -> str:
    """Return why the message at a place of the log is held back, "" if it passes: the first decision made of it.

    `decide` is asked if there is none yet.
    """
    key, place = keys.feeds(), f"{mark}/{offset}"
    known = cast("bytes | None", client.hget(key, place))
    if known is None:
        client.hsetnx(key, place, decide().encode())
        known = cast("bytes", client.hget(key, place))
    return known.decode()


def trim(client: Client, keys: Keys, marks: Sequence[Mapping[str, int]]) -> int:
    """Forget decisions about messages that every shard has passed, if there are many. Return how many went."""
    key = keys.feeds()
    if client.hlen(key) <= KEPT:
        return 0
    gone = []
    for place in cast("list[bytes]", client.hkeys(key)):
        mark, _, offset = place.decode().rpartition("/")
        if all(shard.get(mark, -1) >= int(offset) for shard in marks):
            gone.append(place)
    gone.sort(key=lambda place: int(place.rpartition(b"/")[2]))
    del gone[-KEPT // 2 :]
    return client.hdel(key, *gone) if gone else 0
