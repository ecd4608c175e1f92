"""The part of penstock.yaml that decides on levels and ads, as plain values with the defaults."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.oracle.stream import rfc3339_ms

_UNCAPPED = 1 << 62


@dataclass(frozen=True, slots=True)
class Location:
    """Where stock lies. An unlisted location that the policy lets in is a store of no region."""

    kind: str = "store"
    region: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """A floor for the SKUs and locations that match two shell patterns; the later one wins."""

    sku: str
    location: str
    floor: int


@dataclass(frozen=True, slots=True)
class Channel:
    """Who may show which part of the pool. `regions` None means all of them."""

    id: str
    mode: str
    kinds: tuple[str, ...]
    regions: tuple[str, ...] | None
    exclude: tuple[str, ...]
    share_bp: int
    buffer_units: int
    cutoff: int
    cap: int


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
    network_threshold: int
    channels: tuple[Channel, ...]
    campaigns: tuple[Campaign, ...]
    ads: tuple[AdRule, ...]

    def location(self, name: str) -> Location:
        """The location, or what an unlisted one counts as."""
        return self.locations.get(name) or Location()


def read_policy(path: Path) -> Policy:
    """Read a penstock.yaml that the engine's own lint has passed."""
    document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    rules = document.get("policies") or {}
    return Policy(
        locations={
            each["id"]: Location(each["kind"], each.get("region", ""), each.get("channel", ""))
            for each in document.get("locations") or ()
        },
        floors=dict(rules.get("floors") or {}),
        overrides=tuple(
            Override(each.get("sku", "*"), each.get("location", "*"), each["floor"])
            for each in rules.get("overrides") or ()
        ),
        network_threshold=rules.get("network_threshold", 0),
        channels=tuple(_channel(each) for each in document.get("channels") or ()),
        campaigns=tuple(_campaign(each) for each in document.get("campaigns") or ()),
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
        share_bp=entry.get("share_bp", 10_000),
        buffer_units=(entry.get("buffer") or {}).get("units", 0),
        cutoff=entry.get("cutoff", 0),
        cap=entry.get("cap", _UNCAPPED),
    )


def _campaign(entry: dict[str, Any]) -> Campaign:
    start, end = (_moment_ms(entry[edge]) for edge in ("start", "end"))
    return Campaign(entry["channel"], entry["sku"], entry["lock"], start, end)


def _moment_ms(moment: str | datetime) -> int:
    """YAML turns an unquoted time into a datetime by itself."""
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
