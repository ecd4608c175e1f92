"""Requests for holds, for the state machine and the suites that run over both pools."""

from collections.abc import Mapping, Sequence

from state.protocol.common import LocationTerms
from state.protocol.holds import HoldRequest, LocationLine, PoolLine, PoolRule

SILENT_FROM = 5
"""Lines of so many units look past two silent locations."""


def drawn(
    names: Sequence[str], units: Mapping[str, int], table: Sequence[LocationTerms], at: int | None,
    expiry_ms: int, *, partial: bool,
) -> tuple[HoldRequest, ...]:  # fmt: skip
    """Requests under some names for the same lines, of the pool by odd rules, or at the location `table[at]`."""
    lines: list[PoolLine | LocationLine] = []
    location = ""
    for name, quantity in units.items():
        if at is None:
            silent = tuple(table[1:3]) if quantity == SILENT_FROM else ()
            rule = PoolRule(
                quantity % 2, 10_000 - 900 * quantity, quantity % 3, quantity % 4, (0, 2, 3), silent
            )
            lines.append(PoolLine(name, quantity, rule))
        else:
            location, klass, floor, base = table[at]
            lines.append(LocationLine(name, quantity, klass, floor, base))
    fingerprint = repr((sorted(units.items()), at))
    return tuple(
        HoldRequest(
            name,
            fingerprint,
            expiry_ms,
            partial,
            location or "shopee",
            location,
            (0,),
            tuple(lines),
        )
        for name in names
    )


def request(
    hold: str, units: Mapping[str, int], now_ms: int, *, ttl_ms: int = 1000,
    location: LocationTerms | None = None,
) -> HoldRequest:  # fmt: skip
    """Return a request for all that the pool has, or at a location."""
    rule = PoolRule(0, 10_000, 0, 0, (0, 1))
    lines: list[PoolLine | LocationLine] = []
    for name, quantity in units.items():
        if location is None:
            lines.append(PoolLine(name, quantity, rule))
        else:
            _, klass, floor, base = location
            lines.append(LocationLine(name, quantity, klass, floor, base))
    where = "" if location is None else location.location
    fingerprint = repr((sorted(units.items()), where))
    return HoldRequest(
        hold=hold,
        fingerprint=fingerprint,
        expiry_ms=now_ms + ttl_ms,
        partial=False,
        by=where or "shopee",
        location=where,
        shards=(0,),
        lines=tuple(lines),
    )
