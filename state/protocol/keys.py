"""Every Redis key that Penstock writes, and how long it lives.

All keys of a shard carry its tag (`state.protocol.sharding.tag_of`), `{7-235}:`, as their Redis hash tag, so that one
function call may touch them in a cluster; below, `{s}` stands for it. `PERMANENT` and `EXPIRING` name every
key by its pattern: a test walks a used server and fails on a key that is in neither, or that lacks the time
to live it was promised.
"""

from dataclasses import dataclass
from typing import Final

from state.durations import DAY_MS, HOUR_MS
from state.protocol.sharding import tag_of

LAYOUT: Final = "2"
"""How the keys are named and what they hold; another layout is another store."""


RECORD_TTL_MS: Final = 60 * DAY_MS
"""Orders after they closed, facts that never met their order, announcements that were received."""

CLOSED_TTL_MS: Final = 7 * DAY_MS
"""References under which nothing more is to come."""

GUARD_ALLOWANCE_MS: Final = 73 * HOUR_MS
"""The duplicate guard outlives its promise by this: 72 h of outage and 1 h of skew."""

PERMANENT = {
    "{s}:pos:<sku>": (
        "hash: `=` figures, class sums and claim, `>` levels and ads as last emitted, "
        "`l:<location>` a position and its recent movements, `!<kind>:<location>` an alert"
    ),
    "{s}:mark": "hash: <log id>/<partition> -> last applied offset",
    "{s}:hold:<hold>": (
        "hash: what a hold keeps from the pool, its expiry, the order it is pinned for; "
        "until it ends, by the sweep at the latest"
    ),
    "{s}:holds": "zset: hold -> its expiry (ms)",
    "{s}:due": "zset: SKU -> system time of its next look (ms)",
    "{s}:look": "zset: SKU -> business time of its next look (ms)",
    "{s}:meta": "hash: generation, version floor, policy revision, server seen, cursors, counters",
    "store": "hash: what was fixed when the store was made: shards, layout",
    "policy": (
        "hash: the active policy: revision, sums_revision, document, overlay; the history of its "
        "revisions, and `document:<digest>` of the newest of them"
    ),
    "shown": "hash: channel -> SKUs that it shows anything of, for channels that are guarded against going to zero",
    "heard": "hash: watched location -> log timestamp of its last event (ms); readers, and how far each has heard",
    "push-lag": "hash: channel -> how long it takes to show a new level (ms), as measured",
    "silence": (
        "hash: location -> how it usually speaks, and when it last did; readers, and how far each has heard"
    ),
    "codes": "list: rows of the code tables, append-only",
    "feeds": (
        "hash: <log id>/<partition>/<offset> of a supplier's figures -> why they were held back, empty "
        "if they passed; trimmed behind the watermarks"
    ),
    "log:topics": (
        "hash: topic -> log id and number of partitions; <topic>:<n> -> bytes in that partition"
    ),
    "log:members:<group>": "zset: member -> time at which its membership ends (ms)",
    "log:<topic>:<n>": "stream: one partition of the embedded log; bounded by retention",
}

EXPIRING = {
    "{s}:seen:<slice>": "set: 63-bit hashes of (source, id), a set per slice of the log timestamp",
    "{s}:order:<order>": "hash: facts of an order, that only grow; permanent while units are open",
    "{s}:ended:<hold>": "text: how a hold ended, for requests that come once more",
    "{s}:ref:<reference>": (
        "hash: announced less received per SKU and location, how many of these are above 0, "
        "locations closed; permanent while anything is under way"
    ),
    "falls:<channel>:<slot>": "text: SKUs of a guarded channel that went to zero in a slot of time",
    "walk": "text: the process that walks the pool and looks for faults, for as long as its lease",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of one namespace.

    A namespace `x` gives `x:{7-235}:pos:A1`. It may not contain braces: the first pair in a key is its
    hash tag.
    """

    namespace: str = ""

    def __post_init__(self) -> None:
        if "{" in self.namespace or "}" in self.namespace:
            msg = f"namespace: expected no braces, got {self.namespace!r}"
            raise ValueError(msg)

    @property
    def prefix(self) -> str:
        """What every key begins with."""
        return f"{self.namespace}:" if self.namespace else ""

    def shard(self, shard: int, name: str) -> str:
        """Return the key `name` of a shard: `shard(7, "due")` is `{7-235}:due`."""
        return f"{self.prefix}{{{tag_of(shard)}}}:{name}"

    def store(self) -> str:
        """Return the key of what was fixed when the store was made."""
        return f"{self.prefix}store"

    def policy(self) -> str:
        """Return the key of the active policy."""
        return f"{self.prefix}policy"

    def heard(self) -> str:
        """Return the key of when watched locations were heard last."""
        return f"{self.prefix}heard"

    def shown(self) -> str:
        """Return the key of how many SKUs guarded channels show."""
        return f"{self.prefix}shown"

    def falls(self, channel: str, slot: int) -> str:
        """Return the key of how many SKUs of a channel went to zero in a slot of time."""
        return f"{self.prefix}falls:{channel}:{slot}"

    def push_lag(self) -> str:
        """Return the key of the push lags of channels."""
        return f"{self.prefix}push-lag"

    def silence(self) -> str:
        """Return the key of what is usual of locations."""
        return f"{self.prefix}silence"

    def walk(self) -> str:
        """Return the key of the lease of the walk."""
        return f"{self.prefix}walk"

    def codes(self) -> str:
        """Return the key of the code tables."""
        return f"{self.prefix}codes"

    def feeds(self) -> str:
        """Return the key of the decisions about the figures of suppliers."""
        return f"{self.prefix}feeds"

    def log_topics(self) -> str:
        """Return the key of the register of topics."""
        return f"{self.prefix}log:topics"

    def log_members(self, group: str) -> str:
        """Return the key of the members of a group of readers."""
        return f"{self.prefix}log:members:{group}"

    def log_stream(self, topic: str, partition: int) -> str:
        """Return the key of one partition of the embedded log."""
        return f"{self.prefix}log:{topic}:{partition}"
