"""Where holds are kept: asked of the store, or remembered by the process that made them.

What is remembered saves a query of every shard. It can only be out of date when a hold has ended: then the store is
asked.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from state.protocol.holds import HoldRequest
from state.store.holds import HoldStore

REMEMBERED_MAX = 1 << 16

Answer = TypeVar("Answer")


class Where(NamedTuple):
    """Where a hold is kept, and by what it was made."""

    shards: tuple[int, ...]
    by: str
    at_location: bool


class HoldLocator:
    """Of the holds of one store."""

    def __init__(self, holds: HoldStore) -> None:
        self._holds = holds
        self._known: dict[str, Where] = {}

    def note(self, request: HoldRequest) -> None:
        """Remember a hold that was made."""
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[request.hold] = Where(request.shards, request.by, bool(request.location))

    def at(self, hold: str, work: Callable[[Where], Answer]) -> Answer | None:
        """Do something where a hold is kept; `work` returns None when it is not there.

        Returns None when it is nowhere.
        """
        known = self._known.pop(hold, None)
        if known is not None and (answer := work(known)) is not None:
            self._known[hold] = known
            return answer
        found = self.find(hold)
        return None if found is None else work(found)

    def find(self, hold: str) -> Where | None:
        """Ask the store where a hold is kept."""
        for shard in self._holds.shards_of(hold):
            for state in self._holds.listed(shard, [hold]):
                at_location = any(line.location for line in state.lines)
                return Where(state.shards, state.by, at_location)
        return None
