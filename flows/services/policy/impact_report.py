"""What another policy would change: the levels of every SKU under both, from live figures. Nothing is written."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice
from typing import NamedTuple

from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from flows.services.queries.current_levels import levels_now, moment

CHUNK = 500
TOP = 20


class Move(NamedTuple):
    """A level that would change. None = the channel has no level for the SKU."""

    sku: str
    channel: str
    before: int | None
    after: int | None

    @property
    def by(self) -> int:
        """Units more, below 0 for less."""
        return (self.after or 0) - (self.before or 0)


@dataclass(slots=True)
class ChannelImpact:
    """Levels of one channel that would change."""

    fall: int = 0
    rise: int = 0
    to_zero: int = 0
    units_before: int = 0
    units_after: int = 0
    """Over all SKUs, those that stay the same too."""


@dataclass(slots=True)
class Comparison:
    """What would change in all."""

    skus: int = 0
    moved_skus: int = 0
    channels: dict[str, ChannelImpact] = field(default_factory=lambda: defaultdict(ChannelImpact))
    top: list[Move] = field(default_factory=list)
    """The largest changes, those that fall first."""


def compare(
    run: Runtime,
    other: ActivePolicy,
    progress: Callable[[int], None],
    moves: Callable[[Move], None],
) -> Comparison:
    """Derive all levels of the store under the active policy and under another.

    `progress` gets the number of SKUs done since the last call, `moves` each level that would change.
    """
    found = Comparison()
    now = moment(run)
    skus = iter(dict.fromkeys(run.store.skus()))
    while chunk := list(islice(skus, CHUNK)):
        some: list[Move] = []
        for state in retry_until_available(lambda chunk=chunk: list(run.store.read_many(chunk))):  # type: ignore[misc]
            if state is None:
                continue
            before = levels_now(state, run.policy, now)
            after = levels_now(state, other, now)
            mine = list(_moves(found, state.sku, before, after))
            found.skus += 1
            found.moved_skus += bool(mine)
            some += mine
        for move in some:
            moves(move)
        found.top = nlargest(TOP, [*found.top, *some], key=_weight)
        progress(len(chunk))
    return found


def _moves(
    found: Comparison, sku: str, before: dict[str, int], after: dict[str, int]
) -> Iterator[Move]:
    """Count the levels of one SKU; yield those that differ."""
    for channel in before.keys() | after.keys():
        was, now = before.get(channel), after.get(channel)
        counted = found.channels[channel]
        counted.units_before += was or 0
        counted.units_after += now or 0
        if was == now:
            continue
        yield Move(sku, channel, was, now)
        by = (now or 0) - (was or 0)
        counted.fall += by < 0
        counted.rise += by > 0
        counted.to_zero += bool(was) and not now


def _weight(move: Move) -> tuple[int, int]:
    return (max(0, -move.by), abs(move.by))
