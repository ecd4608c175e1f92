"""Exclusions and gates: stock that does not count, and channels that are not open yet.

A silent location adds nothing to any level while it is silent. A gated channel has no level of a SKU until all of its
locations were counted. Publish, look-ups, explanations and the memory shards ask here.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from state.protocol.claim import Due, Gate
from state.protocol.common import LocationTerms
from state.protocol.figures import Position
from state.rules.levels import Figures

Locate: TypeAlias = Callable[[str, str], LocationTerms]
"""The terms of a SKU at a location."""


def figures_of(
    sku: str,
    positions: Iterable[Position],
    locate: Locate,
    classes: int,
    *,
    silent: Collection[str] = (),
    unrouted: int = 0,
    held: int = 0,
) -> Figures:
    """Return the figures of a SKU, added up from its positions, without those at silent locations.

    So it does not matter under which policy the sums were made that the store keeps.
    """
    sums: dict[int, int] = defaultdict(int)
    base = 0
    for position in positions:
        if position.location not in silent:
            terms = locate(sku, position.location)
            sums[terms.klass] += max(0, position.atp - terms.floor)
            base += terms.base * max(0, position.atp)
    return Figures(base, unrouted, held, [sums[index] for index in range(classes)])


def without_silent(figures: Figures, due: Due, locate: Locate) -> Figures:
    """Return the figures of a claimed SKU less its stock at silent locations."""
    silent = figures_of(due.sku, due.silent, locate, len(figures.sums))
    sums = [units - excluded for units, excluded in zip(figures.sums, silent.sums, strict=True)]
    return Figures(figures.base - silent.base, figures.unrouted, figures.held, sums)


def counted_at(positions: Iterable[Position]) -> frozenset[str]:
    """Return the locations at which a SKU was counted."""
    return frozenset(each.location for each in positions if each.counted_at_ms is not None)


def uncounted(counted: Collection[str], locations: Iterable[str]) -> tuple[str, ...]:
    """Return those of some locations at which a SKU was never counted: what a gate waits for."""
    return tuple(location for location in locations if location not in counted)


def closed_gates(
    gates: Sequence[tuple[str, Gate]], counted: Collection[str], last: Collection[str]
) -> int:
    """Return a bit for each gate that is closed for a SKU: no level was emitted yet, and a location is not counted."""
    closed = 0
    for bit, (channel, gate) in enumerate(gates):
        if channel not in last and uncounted(counted, gate.locations):
            closed |= 1 << bit
    return closed


def without_closed(levels: Mapping[str, int], closed: int, gates: Sequence[str]) -> dict[str, int]:
    """Return the levels of the channels that are open; `closed` has a bit for each of `gates`."""
    shut = {channel for bit, channel in enumerate(gates) if closed >> bit & 1}
    return {channel: level for channel, level in levels.items() if channel not in shut}
