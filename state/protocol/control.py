"""What steers a shard: the other side of `functions/tick.lua`, `functions/recover.lua` and `functions/rebuild.lua`."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from state.protocol.apply import Part
from state.protocol.common import Behind, LocationTerms, decode_behind

BEGIN: Final = 1
REPETITION: Final = 2
"""What `Ticked.recover` asks for, and `Recover.begin` does."""
RESYNC: Final = 3
"""`Recover.begin`: no server was lost, but everything is to be emitted once more."""

AGAIN_MS: Final = 60_000
"""A recovery is repeated after a minute."""

SPREAD_MIN_MS: Final = 100
"""After a new policy SKUs become due one after the other; when they are so few that it takes less, at once."""
HASHED: Final = 16
HASH_FACTOR: Final = 31
HASH_MAX: Final = 65_521
HASH_STEP: Final = 40_503
"""When a SKU becomes due within the spread: the last bytes of its id that are hashed, the factor of each, a prime,
and what sets near ones apart."""


class Tick(NamedTuple):
    """Sent once a second to every shard. Its parts carry no events."""

    now_us: int
    server: str
    revision: int
    business_ms: int
    parts: tuple[Part, ...] = ()
    pace_us: int = 0
    """After a new policy all SKUs are requeued, so far apart; 0 = the caller leaves that to others.

    A caller that does not know that policy yet leaves it to others in any case.
    """


class Ticked(NamedTuple):
    """How a shard stands."""

    recover: int
    """0 nothing to do, 1 the server changed, 2 the recovery of a minute ago is due again."""
    revision: int
    business_ms: int
    due: int
    """SKUs due now."""
    oldest_due_ms: int
    """Since when the oldest has been due, 0 when none is."""
    touching: int
    """1 while SKUs are still being marked due after a new policy: tick again."""


class Recover(NamedTuple):
    """Make all that was emitted before doubtful: the shard may have rolled back."""

    now_us: int
    server: str
    begin: int
    """0 goes on with the one begun, 1 begins one, 2 begins its repetition a minute later, 3 only ends all trust."""
    skew_ms: int
    chunk: int


class Rebuild(NamedTuple):
    """Recompute the materialised class sums of `skus` from their positions."""

    now_us: int
    revision: int
    sums_revision: int
    places: tuple[LocationTerms, ...]
    """Of every location where the caller saw any of the SKUs. One that has come to another since is left as it is."""
    skus: tuple[str, ...]


def decode_ticked(reply: Sequence[Any]) -> Ticked | Behind:
    """Return the answer of `tick.lua`."""
    return decode_behind(reply) or Ticked(*reply[1:])
