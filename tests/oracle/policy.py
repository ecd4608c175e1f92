"""The part of penstock.yaml that decides on levels and ads, as plain values with the defaults."""

import csv
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from tests.oracle.stream import rfc3339_ms


@dataclass(frozen=True, slots=True)
class Location:
    """Where stock lies. An unlisted location that the policy lets in is a store of no region."""

    kind: str = "store"
    region: str = ""
    channel: str = ""
    nets_orders: bool = False


@dataclass(frozen=True, slots=True)
class Category:
    """SKUs that match a pattern, or stand in a file."""

    patterns: tuple[str, ...]
    listed: frozenset[str]

    def has(self, sku: str) -> bool:
        """Whether a SKU belongs to it."""
        return sku in self.listed or any(fnmatchcase(sku, each) for each in self.patterns)


@dataclass(frozen=True, slots=True)
class Override:
    """Figures for the SKUs, locations and channels that match; of each figure the latest wins.

    `floor` is None where the entry names other figures only. `figures` are the others that it names.
    """

    sku: str
    category: str
    location: str
    channel: str
    floor: int | None
    figures: dict[str, int | float]


@dataclass(frozen=True, slots=True)
class Channel:
    """Who may show which part of the pool. `regions` None means all of them."""

    id: str
    mode: str
    kinds: tuple[str, ...]
    regions: tuple[str, ...] | None
    exclude: tuple[str, ...]
    figures: dict[str, int | float]
    """share_bp, units or risk of the buffer, cutoff, cap, pack; what is missing has its default."""
    push_lag_s: int
    packs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Campaign:
    """Units of one SKU locked for one channel from start to before end."""

    channel: str
    sku: str
    lock: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class AdRule:
    """Two marks on a channel's level, and perhaps two on its days of cover."""

    rule: str
    channel: str
    pause_at: int
    resume_at: int
    pause_cover_days: float | None
    resume_cover_days: float | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One penstock.yaml."""

    locations: dict[str, Location]
    floors: dict[str, int]
    overrides: tuple[Override, ...]
    categories: dict[str, Category]
    network_threshold: int
    channels: tuple[Channel, ...]
    campaigns: tuple[Campaign, ...]
    ads: tuple[AdRule, ...]

    def location(self, name: str) -> Location:
        """The location, or what an unlisted one counts as."""
        return self.locations.get(name) or Location()


def read_policy(path: Path) -> Policy:
    """Read a penstock.yaml that the engine's own lint has passed."""
    return policy_of(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, path.parent)


def policy_of(document: dict[str, Any], folder: Path = Path()) -> Policy:
    """Read the document itself; files that it names lie in `folder`."""
    rules = document.get("policies") or {}
    return Policy(
        locations={
            each["id"]: Location(
                each["kind"],
                each.get("region", ""),
                each.get("channel", ""),
                each.get("supplier_nets_orders", False),
            )
            for each in document.get("locations") or ()
        },
        floors=dict(rules.get("floors") or {}),
        overrides=tuple(_override(each) for each in rules.get("overrides") or ()),
        categories={
            each["id"]: Category(tuple(each.get("skus") or ()), _listed(folder, each.get("file")))
            for each in document.get("categories") or ()
        },
        network_threshold=rules.get("network_threshold", 0),
        channels=tuple(_channel(each) for each in document.get("channels") or ()),
        campaigns=tuple(
            _campaign(each, ZoneInfo(document.get("timezone", "UTC")))
            for each in document.get("campaigns") or ()
        ),
        ads=tuple(_ad_rule(each) for each in document.get("ads") or ()),
    )


def _channel(entry: dict[str, Any]) -> Channel:
    places = entry.get("locations") or {}
    regions = places.get("regions", "all")
    return Channel(
        id=entry["id"],
        mode=entry.get("mode", "live"),
        kinds=tuple(places.get("kinds", ("warehouse", "store", "dropship", "dark_store"))),
        regions=None if regions == "all" else tuple(regions),
        exclude=tuple(places.get("exclude") or ()),
        figures=_figures(entry),
        push_lag_s=entry.get("push_lag_s", 60),
        packs=tuple((each["sku"], each["units"]) for each in entry.get("packs") or ()),
    )


def _override(entry: dict[str, Any]) -> Override:
    figures = _figures(entry)
    return Override(
        entry.get("sku", "*"),
        entry.get("category", ""),
        entry.get("location", "*"),
        entry.get("channel", "*"),
        entry.get("floor", None if figures else 0),
        figures,
    )


def _figures(entry: dict[str, Any]) -> dict[str, int | float]:
    """The figures that an entry names. A buffer by risk takes the place of units, and the other way round."""
    names = ("share_bp", "cutoff", "cap")
    found: dict[str, int | float] = {name: entry[name] for name in names if name in entry}
    buffer = entry.get("buffer")
    if buffer is not None:
        found |= {"units": buffer.get("units", 0), "risk": buffer.get("risk", 0)}
    return found


def _listed(folder: Path, name: str | None) -> frozenset[str]:
    if not name:
        return frozenset()
    with (folder / name).open(newline="", encoding="utf-8-sig") as file:
        return frozenset(row["sku"].strip() for row in csv.DictReader(file))


def _campaign(entry: dict[str, Any], zone: ZoneInfo) -> Campaign:
    start, end = (_moment_ms(entry[edge], zone) for edge in ("start", "end"))
    return Campaign(entry["channel"], entry["sku"], entry["lock"], start, end)


def _moment_ms(moment: str | datetime, zone: ZoneInfo) -> int:
    """YAML turns an unquoted time into a datetime by itself. Without an offset it is one of the zone."""
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    if read.tzinfo is None:
        return round(read.replace(tzinfo=zone).timestamp() * 1000)
    return rfc3339_ms(moment if isinstance(moment, str) else moment.isoformat())


def _ad_rule(entry: dict[str, Any]) -> AdRule:
    return AdRule(
        rule=entry["rule"],
        channel=entry["channel"],
        pause_at=entry["pause_at"],
        resume_at=entry["resume_at"],
        pause_cover_days=entry.get("pause_cover_days"),
        resume_cover_days=entry.get("resume_cover_days"),
    )
