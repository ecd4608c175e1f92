"""What single fields cannot tell: ids given twice, names of nothing, marks that cross."""

import re
from collections.abc import Collection, Iterable

from connectors.lint import Lint, Row, did_you_mean


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
        told = "expected create, got 'reject': no source has a code table, so no SKU is known"
        lint.add_at(root["unknown"], "sku", told)
    for row in root["locations"]:
        _check_location(row, channels, lint)
    if root["unknown"]["location"] == "reject":
        _check_location_names(root, locations, lint)
    for row in root["campaigns"]:
        told = _not_listed(row, channels)
        if told:
            lint.add_at(row, "channel", told)
        if None not in (row["start"], row["end"]) and row["end"] <= row["start"]:
            lint.add_at(row, "end", "expected a time after start, got one that is not")
    for row in root["ads"]:
        told = _not_listed(row, channels)
        if told:
            lint.warn_at(row, "channel", f"{told}: the rule rests")
        _check_above(row, "pause_at", "resume_at", lint)
        _check_above(row, "pause_cover_days", "resume_cover_days", lint)


def _unique(rows: Iterable[Row], name: str, lint: Lint) -> dict[str, int]:
    """Return the line of each id, telling those that come twice."""
    lines: dict[str, int] = {}
    for row in rows:
        value = row[name]
        if value in lines:
            told = f"expected a unique {name}, got {value!r} again"
            lint.add_at(row, name, f"{told} (first in line {lines[value]})")
        elif value is not None:
            lines[value] = row.lines.get(name, row.line)
    return lines


def _check_location(row: Row, channels: Collection[str], lint: Lint) -> None:
    if row["kind"] == "platform":
        if not row["channel"]:
            lint.add_at(row, "channel", "expected the channel that owns it, got nothing")
        elif told := _not_listed(row, channels):
            lint.warn_at(row, "channel", f"{told}: nobody sells from here")
    elif row["channel"] and row["kind"] is not None:
        told = f"expected no channel for a {row['kind']}, got {row['channel']!r}"
        lint.add_at(row, "channel", told)
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
