"""What `penstock.yaml` may hold: every field with its default, its bounds and one line about it.

`connectors.config.policy_file` reads a file by it, and `tools.pages.settings` is the reference written from it.
"""

from typing import get_args

from connectors.config.values import (
    COVER,
    HOURS,
    ID,
    MOMENT,
    QUANTITY,
    RISK,
    TEXT,
    TIMEZONE,
    TRUTH,
    choice,
    integer,
    number,
)
from connectors.config.yaml_reader import Field, ListOf, Table
from state.policy.document import NO_CAP, SELLING_KINDS, Answer, Kind, Mode, Opening

CATEGORY_PATTERNS_MAX = 10_000

KINDS = get_args(Kind)


def _id_field(name: str, about: str) -> Field:
    return Field(name, ID, about=about, required=True)


UNKNOWN = Table(
    (
        Field(
            "location",
            choice(*get_args(Answer)),
            "reject",
            "an event names an unlisted location; a created one is a store without a region",
        ),
        Field(
            "channel",
            choice(*get_args(Answer)),
            "reject",
            "an order names an unlisted channel; a created one gets no level",
        ),
        Field(
            "sku",
            choice("create", "reject"),
            "create",
            "an event names a SKU that no code table knows",
        ),
    )
)
SOURCE = Table(
    (
        _id_field("prefix", "how the `source` of its events starts; the longest prefix wins"),
        _id_field("system", "its name in the code table"),
        Field(
            "codes",
            TEXT,
            "",
            "CSV file `system,code,sku,units`, relative to this file; unknown codes are rejected",
        ),
    )
)
LOCATION = Table(
    (
        _id_field("id", "as events name it"),
        Field(
            "kind",
            choice(*KINDS),
            about="what it is; `platform` counts for its `channel` alone",
            required=True,
        ),
        Field("region", TEXT, "", "channels can be bound to regions"),
        Field("latitude", number(-90, 90), None, "degrees; only together with `longitude`"),
        Field("longitude", number(-180, 180), None, "degrees"),
        Field("channel", TEXT, "", "the channel that owns a `platform` location"),
        Field(
            "silent_after_s",
            integer(1, 2_592_000),
            None,
            "seconds of opening time without an event after which its stock counts as nothing until it speaks again",
        ),
        Field(
            "hours",
            HOURS,
            (),
            "when it is open, in `timezone`: `09:00-21:30`, or `mon-fri 09:00-21:30, sat 10:00-18:00`; absent = always",
        ),
        Field(
            "shrink_guard_pct",
            integer(0, 100),
            None,
            "a supplier's figures that take more than this share away are held back; absent = none are",
        ),
        Field(
            "supplier_nets_orders",
            TRUTH,
            default=False,
            about="the supplier's figures are less what is ordered already; for `dropship` alone",
        ),
    )
)
FLOORS = Table(
    tuple(Field(kind, QUANTITY, 0, f"units that each {kind} keeps for itself") for kind in KINDS)
)
BUFFER = Table(
    (
        Field("units", QUANTITY, 0, "units held back from the channel"),
        Field(
            "risk",
            RISK,
            None,
            "instead of units: so many are held back that more are sold during the push lag with at most this chance",
        ),
    )
)
SHARE = integer(0, 10_000)
OVERRIDE = Table(
    (
        Field("sku", ID, "*", "shell pattern (`*`, `?`, `[ab]`), case-sensitive"),
        Field("category", TEXT, "", "only SKUs of this category"),
        Field("location", ID, "*", "shell pattern; for `floor` alone"),
        Field("channel", ID, "*", "shell pattern; for `buffer`, `cutoff`, `cap` and `share_bp`"),
        Field(
            "floor",
            QUANTITY,
            None,
            "units, instead of the floor of the kind; 0 where the override names nothing else",
        ),
        Field("buffer", BUFFER, about="instead of the channel's"),
        Field("cutoff", QUANTITY, None, "instead of the channel's"),
        Field("cap", QUANTITY, None, "instead of the channel's"),
        Field("share_bp", SHARE, None, "instead of the channel's"),
    )
)
POLICIES = Table(
    (
        Field("floors", FLOORS, about="units that locations keep for their own customers, by kind"),
        Field("network_threshold", QUANTITY, 0, "units of each SKU that no channel may show"),
        Field(
            "zero_guard_pct",
            integer(0, 100),
            None,
            "a live channel freezes when more than this share of the SKUs it shows would go to zero at once; "
            "absent = none does",
        ),
        Field("zero_guard_min", integer(1, 1_000_000), 20, "SKUs that this must be at least"),
        Field(
            "overrides",
            ListOf(OVERRIDE, 1_000),
            about="other figures for some SKUs; of those that match, the last that names a figure wins",
        ),
    )
)
CHANNEL_LOCATIONS = Table(
    (
        Field(
            "kinds",
            ListOf(choice(*SELLING_KINDS), 16),
            list(SELLING_KINDS),
            "kinds of location it may sell from",
        ),
        Field("regions", ListOf(ID, 1_000, word="all"), "all", "regions it may sell from"),
        Field("exclude", ListOf(ID, 10_000), about="ids of locations that it may not sell from"),
    )
)
PACK = Table(
    (
        Field("sku", ID, about="shell pattern", required=True),
        Field("units", integer(1, 1_000_000), about="units in a pack", required=True),
    )
)
CHANNEL = Table(
    (
        _id_field("id", "as orders name it"),
        Field(
            "mode",
            choice(*get_args(Mode)),
            "live",
            "`shadow`: no level is emitted; `frozen`: keeps the level last emitted; `zero`: shows nothing",
        ),
        Field("locations", CHANNEL_LOCATIONS, about="what it may sell from"),
        Field(
            "share_bp",
            SHARE,
            10_000,
            "its share of the pool, in hundredths of a percent",
        ),
        Field("buffer", BUFFER, about="what is held back"),
        Field("cutoff", QUANTITY, 0, "a level at or below it is shown as 0"),
        Field("cap", QUANTITY, NO_CAP, "the most it ever shows, in packs where it sells packs"),
        Field(
            "push_lag_s",
            integer(1, 86_400),
            60,
            "seconds until it shows a new level, as long as nobody measured it; for `buffer.risk`",
        ),
        Field("packs", ListOf(PACK, 1_000), about="what it sells by the pack; the last match wins"),
        Field(
            "opening",
            choice(*get_args(Opening)),
            "assumed",
            "`counted`: no level for a SKU until each location it may sell from was counted, or declared complete",
        ),
        Field(
            "zero_guard_pct",
            integer(0, 100),
            None,
            "as in `policies`, for this channel; 100 = it never freezes",
        ),
    )
)
CAMPAIGN = Table(
    (
        _id_field("id", "its name"),
        _id_field("channel", "who sells the locked units"),
        _id_field("sku", "what is locked"),
        Field("lock", QUANTITY, about="units that other channels do not see", required=True),
        Field("start", MOMENT, about="from this moment of business time on", required=True),
        Field("end", MOMENT, about="up to, not including, this one", required=True),
    )
)
AD = Table(
    (
        _id_field("rule", "its name"),
        Field("platform", TEXT, "", "where the ads run"),
        _id_field("channel", "where the ads lead to: its level decides"),
        Field("scope", choice("sku", later=("item",)), "sku", "one decision for each SKU"),
        Field("pause_at", QUANTITY, 0, "pause at this level or below"),
        Field("resume_at", QUANTITY, None, "resume at this level or above; default `pause_at` + 1"),
        Field(
            "pause_cover_days",
            COVER,
            None,
            "pause at so few days of cover; absent = cover is not looked at",
        ),
        Field(
            "resume_cover_days", COVER, None, "resume at so many; default `pause_cover_days` + 1"
        ),
        Field(
            "dwell_s", integer(0, 604_800), 600, "the shortest pause, in seconds of business time"
        ),
        Field(
            "max_changes_per_day",
            integer(1, 1_000),
            4,
            "pauses and resumes of a SKU in a day of `timezone`",
        ),
    )
)
CATEGORY = Table(
    (
        _id_field("id", "as overrides name it"),
        Field("skus", ListOf(ID, CATEGORY_PATTERNS_MAX), about="shell patterns"),
        Field("file", TEXT, "", "CSV file with a column `sku`, relative to this file"),
    )
)
FILE = Table(
    (
        Field("version", integer(1, 1), 1, "the version of this form"),
        Field(
            "timezone",
            TIMEZONE,
            "UTC",
            "whose days limit the changes of ads, and that times without an offset are of",
        ),
        Field("unknown", UNKNOWN, about="what to do with an id that is not in this file"),
        Field("sources", ListOf(SOURCE, 100), about="systems with codes of their own"),
        Field("locations", ListOf(LOCATION, 10_000), about="where stock is kept"),
        Field("categories", ListOf(CATEGORY, 1_000), about="sets of SKUs, for overrides"),
        Field("policies", POLICIES, about="what is kept back from every channel"),
        Field("channels", ListOf(CHANNEL, 100), about="where customers buy"),
        Field(
            "campaigns", ListOf(CAMPAIGN, 10_000), about="units locked for one channel for a while"
        ),
        Field("ads", ListOf(AD, 100), about="when ads pause and resume"),
    )
)
