"""What is sent to a shard, and what it answers: values shared by the memory pool and the store."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from state.events import ops

ShardMove: TypeAlias = tuple[Literal[0], str, int, int, int, int]
ShardCount: TypeAlias = tuple[Literal[1], str, int, int, int]
ShardIncoming: TypeAlias = tuple[Literal[2], str, int, str, int]
ShardReturn: TypeAlias = tuple[Literal[8], str, str, int, int, int]
ShardNetted: TypeAlias = tuple[Literal[10], str, str, str, int, int]
ShardOp: TypeAlias = (
    ShardMove
    | ShardCount
    | ShardIncoming
    | ops.Place
    | ops.Cancel
    | ops.Void
    | ops.Ship
    | ops.Consume
    | ShardReturn
    | ops.Close
    | ShardNetted
)
"""An op as a shard gets it: where the op names a location, the index of its place in the call."""

ABSENT = -1
"""The watermark of a partition of which nothing was applied."""


BEGIN, REPETITION = 1, 2
"""What `Ticked.recover` asks for, and `Recover.begin` does."""
AFRESH = 3
"""`Recover.begin`: no server was lost, but everything is to be emitted once more."""


class Place(NamedTuple):
    """A location as the policy in force sees it."""

    location: str
    klass: int
    """Its class: index into the policy's classes."""
    floor: int
    base: int
    """1 when its stock counts for `available`, 0 for stock in a platform's own warehouse."""


class ShardEvent(NamedTuple):
    """The part of one event that concerns one shard."""

    offset: int
    hash: str
    """63-bit hash of (source, id), in decimal."""
    slice: int
    """Slice of the duplicate guard: log timestamp // slice length."""
    time_ms: int
    log_ms: int
    home: int
    """1 in exactly one of the event's shards, where it is counted."""
    order: str
    """Order whose record remembers this event, "" when it has none."""
    ops: tuple[ShardOp, ...]


class Part(NamedTuple):
    """A fact about one partition: `events` are all its events of this shard in (after, upto]."""

    mark: str
    """`<log id>/<partition>`"""
    after: int
    upto: int
    events: tuple[ShardEvent, ...] = ()


class Apply(NamedTuple):
    """Events of one shard, of one or more partitions. Each partition has one part at most."""

    now_us: int
    sums_revision: int
    """The revision of the policy that class sums belong to: see `state/policy/sums_digest.py`."""
    guard_ms: int
    places: tuple[Place, ...]
    parts: tuple[Part, ...]


class Applied(NamedTuple):
    """What became of the events of a call; those not told of here took effect."""

    duplicates: tuple[tuple[int, int], ...]
    """(index of part, index of event) of the home events whose id was known."""
    absorbed: int
    """Movements that changed no `on_hand`, because a count had seen them."""
    replayed: int
    """Events that an earlier call had brought."""
    oldest_due_ms: int
    """Since when the SKU was due that had been due longest before the call, 0 when none was."""


class Lost(NamedTuple):
    """The shard is behind what the call builds on: `marks` is where it really stands."""

    marks: tuple[tuple[str, int], ...]


class Tick(NamedTuple):
    """Sent once a second to every shard. Its parts carry no events."""

    now_us: int
    server: str
    revision: int
    business_ms: int
    parts: tuple[Part, ...] = ()
    pace_us: int = 0
    """After a new policy all SKUs come up again, so far apart; 0 = the caller leaves that to others.

    Who does not know that policy yet leaves it to others in any case.
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


class Gate(NamedTuple):
    """A channel that has no level for a SKU until all these locations were counted for it."""

    needle: str
    """How the channel stands among levels that were emitted: `"shopee":`. Once it does, it is open."""
    locations: tuple[str, ...]


class Claim(NamedTuple):
    """Ask for up to `limit` SKUs that are due, for as long as the lease."""

    now_us: int
    lease_ms: int
    revision: int
    sums_revision: int
    business_ms: int
    """The caller's business time: by it a look falls due."""
    limit: int
    silent: tuple[str, ...] = ()
    """Locations whose positions are told with each SKU: what lies there does not count now."""
    gates: tuple[Gate, ...] = ()


class Refused(NamedTuple):
    """The caller's policy is older than the shard's."""

    revision: int


class Due(NamedTuple):
    """One claimed SKU: its figures now, what was emitted last, and whether that can be trusted."""

    sku: str
    token: int
    trust: bool
    first: bool
    """Nothing was ever emitted for it."""
    base: int
    unrouted: int
    held: int
    sums: tuple[int, ...]
    cause_ms: int
    """Log timestamp of the oldest change not yet emitted, 0 when none."""
    demand: tuple[tuple[int, int], ...]
    """(UTC day, units) of the newest days with demand."""
    available: int
    levels: str
    """As `settle` stored them, empty when never settled."""
    ads: str
    alerts: tuple[tuple[str, str], ...]
    """(kind and location, figures and cause) not yet reported."""
    silent: tuple["Position", ...] = ()
    """Of the silent locations of the claim those where the SKU is known."""
    closed: int = 0
    """A bit for each gate of the claim, set when it is closed."""


class Claimed(NamedTuple):
    """What a claim got."""

    generation: int
    recovered: bool
    """This shard has been through a recovery at least once."""
    business_ms: int
    """The newest business time that caller or shard has seen."""
    due: tuple[Due, ...]
    stale: tuple[str, ...]
    """SKUs whose class sums were made under another policy: rebuild them."""
    lapsed: int = 0
    """Holds whose time was over: their units are back in the pool."""


class Settle(NamedTuple):
    """What was emitted under a token; void if the token is no longer the latest of its SKU."""

    sku: str
    token: int
    generation: int
    available: int
    levels: str
    ads: str
    next_due_ms: int
    next_look_ms: int
    """Business time of the next look, 0 for none."""
    alerts: tuple[tuple[str, str], ...] = ()
    """Alerts that were reported: forgotten if they are still the same."""


Settles: TypeAlias = Mapping[int, Sequence[Settle]]
"""What was emitted, by shard."""


class Hasten(NamedTuple):
    """Let SKUs be due from `now_ms` on, if they are not due sooner."""

    now_ms: int
    skus: tuple[str, ...]


class Rebuild(NamedTuple):
    """Make the class sums of `skus` anew."""

    now_us: int
    revision: int
    sums_revision: int
    places: tuple[Place, ...]
    """Of every location where the caller saw any of the SKUs. One that has come to another since is left as it is."""
    skus: tuple[str, ...]


class Position(NamedTuple):
    """The quantities of one SKU at one location."""

    location: str
    on_hand: int
    reserved: int
    unavailable: int
    incoming: int
    counted_at_ms: int | None

    @property
    def atp(self) -> int:
        """Available to promise."""
        return self.on_hand - self.reserved - self.unavailable


class SkuState(NamedTuple):
    """All that is known of one SKU, for people and checks; not on the hot path."""

    sku: str
    version: int
    unrouted: int
    held: int
    positions: tuple[Position, ...]
    sums: tuple[int, ...]
    """By class, in the policy's order; classes at the end without stock may be missing."""
    base: int
    sums_revision: int
    """0 when the sums are void."""
    demand: tuple[tuple[int, int], ...]
    available: int
    """As last emitted."""
    levels: str
    ads: str
    open: bool
    token: int
