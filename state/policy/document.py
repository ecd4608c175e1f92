"""The policy: what `penstock.yaml` says, as frozen values, and the same compiled for the hot path.

`Policy` is a whole document. It travels as JSON (`to_json`, `from_json`), so that every process of
one store derives levels under the same revision. `compiled(policy)` answers what the rules ask
most: which class a position belongs to, and which classes a channel may sell from.
"""

from typing import Literal

import msgspec

from state.policy.categories import Category
from state.policy.opening_hours import Hours

Kind = Literal["warehouse", "store", "dropship", "dark_store", "platform"]
Mode = Literal["shadow", "live", "frozen", "zero"]
Answer = Literal["reject", "create"]
Opening = Literal["assumed", "counted"]
Terms = tuple[str, str, int, int]

SELLING_KINDS: tuple[Kind, ...] = ("warehouse", "store", "dropship", "dark_store")
"""The kinds that a channel may name. `platform` stock belongs to its own channel and no other."""

NO_CAP = 1_000_000_000
UNLISTED = "unlisted"
"""The class of a location that the policy does not know: its stock is kept, for no channel to sell."""


class Unknown(msgspec.Struct, frozen=True):
    """What to do with an id that nothing declared: `reject` the event, or `create` the thing."""

    location: Answer = "reject"
    channel: Answer = "reject"
    sku: Answer = "create"


class Source(msgspec.Struct, frozen=True):
    """CloudEvents whose `source` starts with `prefix` come from `system`, codes mapped or not."""

    prefix: str
    system: str
    has_codes: bool = False


class Location(msgspec.Struct, frozen=True):
    """A place where stock is kept. `channel` is set for `platform` alone."""

    id: str
    kind: Kind
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None
    channel: str = ""
    shrink_guard_pct: int | None = None
    """A figure of its supplier that takes more than this share away at once has to be accepted by an operator."""
    supplier_nets_orders: bool = False
    """The figures of its supplier are less what is ordered already."""
    silent_after_s: int | None = None
    """After so long without an event, while it is open, its stock is taken to be nothing; None = never."""
    hours: Hours = ()
    """When it is open; () = always."""


class Floors(msgspec.Struct, frozen=True):
    """Units that a location of each kind keeps for its own customers."""

    warehouse: int = 0
    store: int = 0
    dropship: int = 0
    dark_store: int = 0
    platform: int = 0


class FloorOverride(msgspec.Struct, frozen=True):
    """A floor where both shell patterns match, case-sensitive. The last match wins.

    With a category it is only for SKUs that belong to it.
    """

    sku: str = "*"
    location: str = "*"
    floor: int = 0
    category: str = ""


class ChannelOverride(msgspec.Struct, frozen=True):
    """Rules of some channels for some SKUs; None leaves a rule as it is. See `state/policy/channel_rules.py`."""

    sku: str = "*"
    category: str = ""
    channel: str = "*"
    share_bp: int | None = None
    buffer_units: int | None = None
    buffer_risk_ppm: int | None = None
    cutoff: int | None = None
    cap: int | None = None


class Pack(msgspec.Struct, frozen=True):
    """SKUs that match the pattern are sold by so many units at once. The last match wins."""

    sku: str
    units: int


class Channel(msgspec.Struct, frozen=True):
    """Where a customer buys, what stock it may show and how much. `regions` None means all."""

    id: str
    mode: Mode = "live"
    kinds: tuple[Kind, ...] = SELLING_KINDS
    regions: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    share_bp: int = 10_000
    buffer_units: int = 0
    cutoff: int = 0
    cap: int = NO_CAP
    opening: Opening = "assumed"
    """`counted`: a SKU has no level until each location that it may be sold from was counted for it."""
    zero_guard_pct: int | None = None
    """As that of the policy, which holds if this is None."""
    buffer_risk_ppm: int | None = None
    """The chance, in millionths, of selling more than the buffer during the push lag; instead of units."""
    push_lag_ms: int = 60_000
    """How long until the channel shows a level, as long as it was not measured."""
    packs: tuple[Pack, ...] = ()


class Campaign(msgspec.Struct, frozen=True):
    """`lock` units of `sku` for `channel` alone while `start_ms <= business time < end_ms`."""

    id: str
    channel: str
    sku: str
    lock: int
    start_ms: int
    end_ms: int

    def runs_at(self, business_ms: int) -> bool:
        """Say whether the units are locked at a business time (ms)."""
        return self.start_ms <= business_ms < self.end_ms


class AdRule(msgspec.Struct, frozen=True):
    """When the ads of one platform pause and resume, by the level of the channel that they land on.

    Cover is in thousandths of a day; None = the rule does not look at cover.
    """

    rule: str
    channel: str
    platform: str = ""
    scope: Literal["sku"] = "sku"
    pause_at: int = 0
    resume_at: int = 1
    pause_cover_mdays: int | None = None
    resume_cover_mdays: int | None = None
    dwell_s: int = 600
    max_changes_per_day: int = 4


class Policy(msgspec.Struct, frozen=True):
    """A whole `penstock.yaml`. The default one knows no location and no channel."""

    version: int = 1
    timezone: str = "UTC"
    unknown: Unknown = Unknown()
    sources: tuple[Source, ...] = ()
    locations: tuple[Location, ...] = ()
    floors: Floors = Floors()
    network_threshold: int = 0
    zero_guard_pct: int | None = None
    """A channel freezes that more than this share of its SKUs would go to zero of at once; None = none does."""
    zero_guard_min: int = 20
    """So many SKUs have to be at least."""
    overrides: tuple[FloorOverride, ...] = ()
    channel_overrides: tuple[ChannelOverride, ...] = ()
    categories: tuple[Category, ...] = ()
    channels: tuple[Channel, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    ads: tuple[AdRule, ...] = ()


def to_json(policy: Policy) -> bytes:
    """Return the canonical JSON of a policy: equal policies give equal bytes."""
    return msgspec.json.encode(policy, order="deterministic")


def from_json(document: bytes) -> Policy:
    """Read what `to_json` wrote.

    Raises:
        msgspec.ValidationError: the document is JSON of another shape.
        msgspec.DecodeError: the document is not JSON.
    """
    return msgspec.json.decode(document, type=Policy)
