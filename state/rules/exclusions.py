"""What is left out of the levels of a SKU: stock at silent locations, channels that are not open for it yet."""

from collections.abc import Callable, Mapping, Sequence

from state.protocol.claim import Due
from state.protocol.common import LocationTerms
from state.rules.levels import Figures


def without_silent(
    figures: Figures, due: Due, locate: Callable[[str, str], LocationTerms]
) -> Figures:
    """Return the figures less what lies at silent locations."""
    sums, base = list(figures.sums), figures.base
    for position in due.silent:
        where = locate(due.sku, position.location)
        sums[where.klass] -= max(0, position.atp - where.floor)
        base -= where.base * max(0, position.atp)
    return Figures(base, figures.unrouted, figures.held, sums)


def without_closed(levels: Mapping[str, int], closed: int, gates: Sequence[str]) -> dict[str, int]:
    """Return the levels of the channels that are open; `closed` has a bit for each of `gates`."""
    shut = {channel for bit, channel in enumerate(gates) if closed >> bit & 1}
    return {channel: level for channel, level in levels.items() if channel not in shut}
