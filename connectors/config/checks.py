"""What single fields cannot show: duplicate ids, names of nothing, watermarks that cross."""

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.config.yaml_reader import Lint, Row, did_you_mean
from state.events.timestamps import local_ms

CHANNEL_SIDE = ("buffer", "cutoff", "cap", "share_bp")
"""What an override may change for channels."""


def check_rows(root: Row, lint: Lint) -> None:
    """Add a problem for each contradiction between the fields of a file that was read.

    Stock and ads of a channel that is not listed yet are no contradiction: they get a warning.
    """
    channels = _unique(root["channels"], "id", lint)
    locations = _unique(root["locations"], "id", lint)
    _unique(root["campaigns"], "id", lint)
    _unique(root["ads"], "rule", lint)
    _unique(root["sources"], "prefix", lint)
    if root["unknown"]["sku"] == "reject" and not any(row["codes"] for row in root["sources"]):
        problem = "expected create, got 'reject': no source has a code table, so no SKU is known"
        lint.add_at(root["unknown"], "sku", problem)
    for row in root["locations"]:
        _check_location(row, channels, lint)
    if root["unknown"]["location"] == "reject":
        _check_location_names(root, locations, lint)
    _check_overrides(root, channels, lint)
    for row in root["channels"]:
        _check_buffer(row["buffer"], lint)
    for row in root["campaigns"]:
        _place_in_zone(row, root["timezone"], lint)
        problem = _not_listed(row, channels)
        if problem:
            lint.add_at(row, "channel", problem)
        if None not in (row["start"], row["end"]) and row["end"] <= row["start"]:
            lint.add_at(row, "end", "expected a time after start, got one that is not")
    for row in root["ads"]:
        problem = _not_listed(row, channels)
        if problem:
            lint.warn_at(row, "channel", f"{problem}: the rule rests")
        _check_above(row, "pause_at", "resume_at", lint)
        _check_above(row, "pause_cover_days", "resume_cover_days", lint)


def _unique(rows: Iterable[Row], name: str, lint: Lint) -> dict[str, int]:
    """Return the line of each id, reporting those that come twice."""
    lines: dict[str, int] = {}
    for row in rows:
        value = row[name]
        if value in lines:
            problem = f"expected a unique {name}, got {value!r} again"
            lint.add_at(row, name, f"{problem} (first in line {lines[value]})")
        elif value is not None:
            lines[value] = row.lines.get(name, row.line)
    return lines


def _check_location(row: Row, channels: Collection[str], lint: Lint) -> None:
    if row["kind"] == "platform":
        if not row["channel"]:
            lint.add_at(row, "channel", "expected the channel that owns it, got nothing")
        elif problem := _not_listed(row, channels):
            lint.warn_at(row, "channel", f"{problem}: nobody sells from here")
    elif row["channel"] and row["kind"] is not None:
        problem = f"expected no channel for a {row['kind']}, got {row['channel']!r}"
        lint.add_at(row, "channel", problem)
    for name in ("shrink_guard_pct", "supplier_nets_orders"):
        if row["kind"] not in {None, "dropship"} and row[name] not in {None, False}:
            lint.add_at(row, name, f"expected it for a dropship location, got a {row['kind']}")
    if row.given("latitude") != row.given("longitude"):
        missing = "longitude" if row.given("latitude") else "latitude"
        lint.add_at(row, missing, "expected both latitude and longitude, got one")


def _check_location_names(root: Row, locations: Collection[str], lint: Lint) -> None:
    """Check what names locations where no event can create one."""
    for channel in root["channels"]:
        where = channel["locations"]
        for index, name in enumerate(where["exclude"]):
            if name is not None and name not in locations:
                _unknown(where, "exclude", f"exclude[{index}]", name, locations, lint)
    for row in root["policies"]["overrides"]:
        name = row["location"]
        if name is not None and not re.search(r"[*?\[]", name) and name not in locations:
            _unknown(row, "location", "location", name, locations, lint)


def _check_overrides(root: Row, channels: Collection[str], lint: Lint) -> None:
    """Check that an override names sets of SKUs and channels that are there, and what it changes for them."""
    categories = _unique(root["categories"], "id", lint)
    for row in root["policies"]["overrides"]:
        _check_buffer(row["buffer"], lint)
        category, channel = row["category"], row["channel"]
        if category and category not in categories:
            hint = did_you_mean(category, list(categories))
            lint.add_at(row, "category", f"expected a listed category, got {category!r}{hint}")
        for_channels = any(row.given(name) for name in CHANNEL_SIDE)
        if row.given("channel") and not for_channels:
            problem = (
                f"expected {', '.join(CHANNEL_SIDE[:-1])} or {CHANNEL_SIDE[-1]} beside it, got none"
            )
            lint.add_at(row, "channel", problem)
        elif (
            channel
            and not re.search(r"[*?\[]", channel)
            and (problem := _not_listed(row, channels))
        ):
            lint.add_at(row, "channel", problem)
        if row.given("location") and for_channels and not row.given("floor"):
            problem = "expected floor beside it, got none: no other figure is kept by location"
            lint.add_at(row, "location", problem)


def _check_buffer(row: Row, lint: Lint) -> None:
    if row.given("units") and row.given("risk"):
        lint.add_at(row, "risk", "expected units or risk, got both")


def _place_in_zone(row: Row, timezone: str | None, lint: Lint) -> None:
    """Make moments without an offset those of the file's time zone; where it has none such, None."""
    for name in ("start", "end"):
        moment = row[name]
        if not isinstance(moment, datetime):
            continue
        row.values[name] = None
        if timezone is not None:
            try:
                row.values[name] = local_ms(moment, ZoneInfo(timezone))
            except ValueError as error:
                lint.add_at(row, name, f"expected {error}, got {moment.isoformat()}")


def _not_listed(row: Row, channels: Collection[str]) -> str:
    """Return what to say about the channel of a row that is not in the file, "" if it is."""
    channel = row["channel"]
    if channel is None or channel in channels:
        return ""
    return f"expected a listed channel, got {channel!r}{did_you_mean(channel, list(channels))}"


def _unknown(
    row: Row, field: str, shown: str, name: str, locations: Collection[str], lint: Lint
) -> None:
    hint = did_you_mean(name, list(locations))
    line = row.lines.get(field, row.line)
    lint.add(line, f"{row.path}.{shown}", f"expected a listed location, got {name!r}{hint}")


def _check_above(row: Row, low: str, high: str, lint: Lint) -> None:
    if not row.given(high) or row[high] is None:
        return
    if row[low] is None:
        if not row.given(low):
            lint.add_at(row, high, f"expected {low} beside it, got nothing")
    elif row[high] <= row[low]:
        mdays = low.endswith("_days")
        marks = [f"{row[name] / 1000:g}" if mdays else str(row[name]) for name in (low, high)]
        lint.add_at(row, high, f"expected above {low} ({marks[0]}), got {marks[1]}")
