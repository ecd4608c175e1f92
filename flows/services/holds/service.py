"""Holding: a short promise of units, made before there is an order, for a checkout or a till.

    create -> (extend) -> confirm or release, or it lapses

Checked and taken in one call to each shard, so no two holds get the same unit. Guarantee: every verb may be
repeated with the same names after an unknown answer. A hold that is *confirmed* is an event in the log; one that is
not may be lost in a failover, in its last moments.
"""

from collections.abc import Sequence
from time import perf_counter

from flows.runtime.context import Runtime
from flows.services.holds.confirm import HoldConfirmation
from flows.services.holds.create import HoldCreation
from flows.services.holds.locate import HoldLocator, Where
from flows.services.holds.values import (
    Confirmed,
    HoldCreated,
    HoldRejected,
    Released,
    Wanted,
    fault_of,
    gone,
    id_fault,
)
from monitoring import metrics
from state.protocol.holds import EXPIRED, IS_PINNED, RELEASED, Ended, HoldState, Keep, Kept
from state.protocol.sharding import shard_of
from state.store.holds import HoldStore

FOUND_MAX = 10_000


class HoldService:
    """The verbs of holds for one process. Not shared between threads.

    Errors: redis.RedisError and what the log raises, when a server is unavailable: retry, with the same names.
    """

    def __init__(self, runtime: Runtime, pin_ms: int | None = None) -> None:
        self.runtime = runtime
        self.holds = HoldStore(runtime.store)
        self._where = HoldLocator(self.holds)
        self._making = HoldCreation(runtime, self.holds, self._where)
        self._confirming = HoldConfirmation(runtime, self.holds, self._where, pin_ms)

    def create(self, wanted: Wanted) -> HoldCreated | HoldRejected:
        """Make a hold: all of it or nothing, unless it is `partial`. The same request has the same answer."""
        return self.create_all([wanted])[0]

    def create_all(self, wanted: Sequence[Wanted]) -> list[HoldCreated | HoldRejected]:
        """Make holds, each for itself, a round trip for all."""
        return self._making.create_all(wanted)

    def extend(self, hold: str, ttl_s: int) -> HoldCreated | HoldRejected:
        """Let a hold live for so many seconds from now on, if that is longer than it would."""
        probe = Wanted(hold, (("-", 1),), channel="-", ttl_s=ttl_s)
        if fault := fault_of(probe):
            return fault
        now_us = self.runtime.clock.now_us()
        call = Keep(now_us, hold, "", now_us // 1000 + 1000 * ttl_s)

        def extended(where: Where) -> HoldCreated | None:
            answers = self.holds.keep(dict.fromkeys(where.shards, call)).values()
            kept = [each for each in answers if isinstance(each, Kept)]
            if len(kept) < len(answers):
                endings = {each.how for each in answers if isinstance(each, Ended)}
                if endings <= {EXPIRED, RELEASED, ""}:
                    # A part of it is gone: the rest is of no use.
                    self._making.end(hold, where.shards)
                return None
            lines = tuple(sorted(line for each in kept for line in each.lines))
            return HoldCreated(hold, min(each.expiry_ms for each in kept), lines)

        found = self._where.at(hold, extended)
        if found is None:
            return self._gone(hold)
        metrics.HOLDS.labels("extended").inc()
        return found

    def confirm(
        self, hold: str, order: str, channel: str = "", region: str = ""
    ) -> Confirmed | HoldRejected:
        """Turn a hold into an order: pin it on every shard, then put `order.placed` into the log.

        The channel is the hold's own when none is named; a hold at a location has none of its own.
        """
        for name, text in (("hold", hold), ("order", order)):
            if fault := id_fault(name, text):
                return HoldRejected(hold, "usage", fault)
        began_s = perf_counter()
        found = self._confirming.confirm(hold, order, channel, region)
        metrics.HOLD_TIME.labels("confirm").observe(perf_counter() - began_s)
        outcome = "confirmed" if isinstance(found, Confirmed) else found.reason
        metrics.HOLDS.labels(outcome).inc()
        return found

    def release(self, hold: str) -> Released | HoldRejected:
        """End a hold; its units are back in the pool at once."""
        if fault := id_fault("hold", hold):
            return HoldRejected(hold, "usage", fault)

        def released(where: Where) -> int | None:
            return max(self._making.end(hold, where.shards)) or None

        answer = self._where.at(hold, released)
        if answer is None:
            return self._gone(hold)
        if answer == IS_PINNED:
            metrics.HOLDS.labels("pinned").inc()
            text = "hold: an order is being placed out of it; cancel that order instead"
            return HoldRejected(hold, "pinned", text)
        metrics.HOLDS.labels("released").inc()
        return Released(hold)

    def show(self, hold: str) -> list[HoldState]:
        """Return what a hold keeps, shard by shard; nothing when there is none."""
        parts = self.holds.shards_of(hold)
        return [state for shard in parts for state in self.holds.listed(shard, [hold])]

    def holds_of(self, sku: str) -> list[HoldState]:
        """Return the holds that keep units of a SKU, the first to expire first, of the first 10,000 of its shard."""
        shard = shard_of(sku, self.runtime.store.shards)
        found = []
        for looked, state in enumerate(self.holds.listed(shard)):
            if looked >= FOUND_MAX:
                break
            if any(line.sku == sku for line in state.lines):
                found.append(state)
        return found

    def _gone(self, hold: str) -> HoldRejected:
        metrics.HOLDS.labels("gone").inc()
        return gone(hold, list(self.holds.endings(hold).values()))
