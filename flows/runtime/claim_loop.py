"""The claim loop: how a worker consumes a leased queue.

A leased queue lists members with the time at which each is due. A consumer *claims* those that are due, each under a
token and a lease; does its work; and *settles* a claim, which counts only if its token is still the latest of its
member. A claim that is not settled comes back when its lease ends, so a crash anywhere ends in doing the work again.
Any number of consumers share one queue.

The loop overlaps the rounds of one consumer: while a round is worked on, the settlement of the round before is in
flight, and if more is due the next claim. There is never more than one of each.
"""

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

Asked = TypeVar("Asked")
Item = TypeVar("Item")

OUTSTANDING_MAX: Final = 1
"""Rounds handed on and not settled: what holds claiming back when the work is slow."""


class Taken(NamedTuple, Generic[Item]):
    """What a consumer makes of the answers to a claim."""

    claims: Item | None
    """What was claimed, None when nothing was."""
    more: bool
    """More is due: claim again at once."""
    may_ask_ahead: bool
    """Nothing has to be done before the next claim but to settle this one."""


class Consumer(Protocol[Asked, Item]):
    """The consumer of one leased queue."""

    def prepare(self, now_s: float) -> None:
        """Do what has to come before a claim. Nothing is in flight; raise StopIteration to end the loop."""

    def ask(self) -> Asked:
        """Send a claim to all shards, and wait for nothing."""

    def take(self, asked: Asked, now_s: float) -> "Taken[Item]":
        """Wait for the answers to a claim."""


class ClaimLoop(Generic[Asked, Item]):
    """The loop of one worker. Not shared between threads."""

    def __init__(self, consumer: Consumer[Asked, Item]) -> None:
        self._consumer = consumer
        self._outstanding = 0
        self._in_flight: Callable[[], object] | None = None
        self._ahead: Asked | None = None
        self.more = False
        """The last round left members behind: claim again at once."""

    @property
    def is_settled(self) -> bool:
        """Say whether no settlement is in flight."""
        return self._in_flight is None

    def next_claims(self, now_s: float) -> Item | None:
        """Return what is due now, None when nothing is, or when a round is still worked on.

        Raises:
            StopIteration: the consumer ends the loop. All claims are settled.
        """
        if self._outstanding >= OUTSTANDING_MAX:
            self.more = False
            return None
        asked, self._ahead = self._ahead, None
        if asked is None:
            self.wait_in_flight()
            self._consumer.prepare(now_s)
            asked = self._consumer.ask()
        claims, self.more, may_ask_ahead = self._consumer.take(asked, now_s)
        if claims is None:
            return None
        self._outstanding += 1
        if self.more and may_ask_ahead:
            self._ahead = self._consumer.ask()
        return claims

    def settle(self, begin: Callable[[], Callable[[], object]]) -> None:
        """Settle a round that was worked on, when the settlement of the round before has its answer.

        `begin` sends the settlement, and returns what waits for the answer.
        """
        self.wait_in_flight()
        self._in_flight = begin()
        self._outstanding -= 1

    def wait_in_flight(self) -> object:
        """Wait for the settlement that is in flight; return its answer, None if there was none."""
        answer, self._in_flight = self._in_flight, None
        return None if answer is None else answer()
