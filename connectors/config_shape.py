"""What `penstock.yaml` may hold: every field with its default, its bounds and one line about it.

`connectors.config` reads a file by it, and `connectors.settings_page` writes the reference from it.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from connectors.codes import id_problem
from connectors.lint import Field, ListOf, Mismatch, Table, Value, did_you_mean
from state.policy import NO_CAP, SELLING_KINDS, Answer, Kind, Mode
from state.times import rfc3339_ms

QUANTITY_MAX = 1_000_000_000
DAYS_MAX = 365


def integer(low: int, high: int) -> Value:
    """Return the shape of a whole number written in plain digits."""

    def parse(text: str, is_string: bool) -> int:  # noqa: FBT001
        if is_string or not re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text, re.ASCII):
            raise Mismatch
        if not low <= int(text) <= high:
            raise Mismatch
        return int(text)

    return Value(f"integer {low}..{high}", parse)


def choice(*words: str, later: tuple[str, ...] = ()) -> Value:
    """Return the shape of one of some words; `later` ones are known and not available yet."""

    def parse(text: str, _is_string: bool) -> str:  # noqa: FBT001
        if text in words:
            return text
        if text in later:
            raise Mismatch(", which is not available in this version")
        raise Mismatch(did_you_mean(text, list(words)))

    return Value(" or ".join(words), parse)


def number(low: int, high: int) -> Value:
    """Return the shape of a decimal number."""
    return Value(
        f"number {low}..{high}", lambda text, is_string: float(_decimal(text, is_string, low, high))
    )


def _decimal(text: str, is_string: bool, low: int, high: int) -> Decimal:  # noqa: FBT001
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Mismatch from None
    if is_string or not value.is_finite() or not low <= value <= high:
        raise Mismatch
    return value


def _mdays(text: str, is_string: bool) -> int:  # noqa: FBT001
    mdays = _decimal(text, is_string, 0, DAYS_MAX) * 1000
    if mdays != mdays.to_integral_value():
        raise Mismatch
    return int(mdays)


def _id(text: str, is_string: bool) -> str:  # noqa: FBT001
    if not is_string:
        raise Mismatch(": put it in quotes")
    problem = id_problem(text)
    if problem:
        raise Mismatch(f": {problem}")
    return text


def _text(text: str, is_string: bool) -> str:  # noqa: FBT001
    return text if not text and is_string else _id(text, is_string)


def _timezone(text: str, _is_string: bool) -> str:  # noqa: FBT001
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Mismatch(did_you_mean(text, sorted(available_timezones()))) from None


def _moment(text: str, _is_string: bool) -> int:  # noqa: FBT001
    try:
        return rfc3339_ms(text)
    except ValueError:
        raise Mismatch from None


ID = Value("string of 1..128 characters", _id)
TEXT = Value("string of 0..128 characters", _text)
COVER = Value(f"days 0..{DAYS_MAX}, at most 3 decimals", _mdays)
MOMENT = Value("RFC 3339 time with an offset", _moment)
QUANTITY = integer(0, QUANTITY_MAX)
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
    )
)
FLOORS = Table(
    tuple(Field(kind, QUANTITY, 0, f"units that each {kind} keeps for itself") for kind in KINDS)
)
OVERRIDE = Table(
    (
        Field("sku", ID, "*", "shell pattern (`*`, `?`, `[ab]`), case-sensitive"),
        Field("location", ID, "*", "shell pattern"),
        Field("floor", QUANTITY, 0, "units, instead of the floor of the kind; the last match wins"),
    )
)
POLICIES = Table(
    (
        Field("floors", FLOORS, about="units that locations keep for their own customers, by kind"),
        Field("network_threshold", QUANTITY, 0, "units of each SKU that no channel may show"),
        Field("overrides", ListOf(OVERRIDE, 1_000), about="floors of some SKUs at some locations"),
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
BUFFER = Table(
    (
        Field("units", QUANTITY, 0, "units held back from the channel"),
        Field(
            "risk",
            QUANTITY,
            None,
            "not available in this version",
            unavailable="expected units, got risk, which is not available in this version",
        ),
    )
)
CHANNEL = Table(
    (
        _id_field("id", "as orders name it"),
        Field(
            "mode",
            choice(*get_args(Mode)),
            "live",
            "`shadow`: no level is emitted; `frozen`: keeps the level last emitted",
        ),
        Field("locations", CHANNEL_LOCATIONS, about="what it may sell from"),
        Field(
            "share_bp",
            integer(0, 10_000),
            10_000,
            "its share of the pool, in hundredths of a percent",
        ),
        Field("buffer", BUFFER, about="what is held back"),
        Field("cutoff", QUANTITY, 0, "a level at or below it is shown as 0"),
        Field("cap", QUANTITY, NO_CAP, "the most it ever shows"),
    )
)
CAMPAIGN = Table(
    (
        _id_field("id", "its name"),
        _id_field("channel", "who sells the locked units"),
        _id_field("sku", "what is locked"),
        Field("lock", QUANTITY, about="units that other channels do not see", required=True),
        Field("start", MOMENT, about="from this moment of business time", required=True),
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
FILE = Table(
    (
        Field("version", integer(1, 1), 1, "the version of this form"),
        Field(
            "timezone",
            Value("IANA time zone", _timezone),
            "UTC",
            "whose days limit the changes of ads",
        ),
        Field("unknown", UNKNOWN, about="what to do with an id that is not in this file"),
        Field("sources", ListOf(SOURCE, 100), about="systems with codes of their own"),
        Field("locations", ListOf(LOCATION, 10_000), about="where stock lies"),
        Field("policies", POLICIES, about="what is kept back from every channel"),
        Field("channels", ListOf(CHANNEL, 100), about="where customers buy"),
        Field(
            "campaigns", ListOf(CAMPAIGN, 10_000), about="units locked for one channel for a while"
        ),
        Field("ads", ListOf(AD, 100), about="when ads pause and resume"),
    )
)
