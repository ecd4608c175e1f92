"""Publish lag: the age of the oldest unpublished change, as one publisher sees it."""

from collections import deque
from collections.abc import Iterable

from monitoring import metrics
from state.protocol.claim import Claimed, Due


class PublishLag:
    """The changes that a publisher has claimed, those it could not emit, and those that wait in the due queues."""

    def __init__(self) -> None:
        self._claimed_ms: deque[int] = deque()
        """The oldest change of each round that is not settled, 0 for none."""
        self._due_ms = 0
        self._given_up: list[tuple[int, int]] = []
        """(until when it is leased, log timestamp) of the oldest change of claims that were not emitted."""

    def due(self, due: int, since_ms: int, now_ms: int) -> None:
        """Note how many SKUs are due, and since when the one that is due longest, 0 for none."""
        metrics.DUE_DEPTH.set(due)
        metrics.DUE_AGE.set(max(0, now_ms - since_ms) / 1000 if since_ms else 0)
        self._due_ms = since_ms
        self._given_up = [each for each in self._given_up if each[0] > now_ms]
        self._report()

    def all_claimed(self) -> None:
        """Note that nothing is left in the due queues that has been there for longer than a tick."""
        self._due_ms = 0
        self._report()

    def claimed(self, by_shard: Iterable[Claimed]) -> None:
        """Note the claims of a round."""
        causes = [due.cause_ms for claimed in by_shard for due in claimed.due if due.cause_ms]
        self._claimed_ms.append(min(causes, default=0))
        self._report()

    def settled(self, left: Iterable[Due], leased_until_ms: int) -> None:
        """Note that the claims of the oldest round are settled but for those left to their lease."""
        causes = [due.cause_ms for due in left if due.cause_ms]
        if causes:
            self._given_up.append((leased_until_ms, min(causes)))
        self._claimed_ms.popleft()
        self._report()

    def _report(self) -> None:
        known = (*self._claimed_ms, self._due_ms, *(cause_ms for _, cause_ms in self._given_up))
        metrics.UNSETTLED_AGE.since(min(filter(None, known), default=0), by=self)
