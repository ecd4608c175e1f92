"""Preflight check: whether a new policy would take too much of a channel to zero, before any level is emitted under it.

The circuit breaker counts drops as they are derived; by then drops within the share are emitted. A new policy is known
beforehand: the levels under it of a sample of the SKUs, all of them in a small store, are compared with those emitted
last. A channel that would pass its share by more than the error of the sample freezes first. What the sample does not
show is left to the count.
"""

from collections.abc import Iterator
from math import isqrt
from typing import Final

import orjson

from flows.publish.circuit_breaker import Moves, freeze, is_accepted
from flows.runtime.active_policy import PCT, ActivePolicy, zero_guards
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from flows.services.queries.current_levels import levels_now, moment
from state.protocol.figures import SkuState

SAMPLE: Final = 1_024
"""SKUs looked at: some 100 ms when each is at a few locations."""


class Preflight:
    """Checks each new policy once, for one publisher, before it claims under it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._seen = (runtime.policy_before or runtime.policy).revision

    def look(self) -> None:
        """Freeze the channels of which the active policy would take too much to zero, if it is new."""
        runtime = self._runtime
        while runtime.policy.revision != self._seen:
            policy = runtime.policy
            self._seen = policy.revision
            guarded = {
                channel: pct
                for channel, pct in zero_guards(policy).items()
                if not is_accepted(runtime, policy, channel)
            }
            if guarded:
                # Freezing activates another policy, which it has to check again.
                self._judge(policy, guarded)

    def _judge(self, policy: ActivePolicy, guarded: dict[str, int]) -> None:
        runtime = self._runtime
        moves, shown, sampled = Moves(guarded), dict.fromkeys(guarded, 0), 0
        now = retry_until_available(lambda: moment(runtime))
        for state in self._sample():
            before = orjson.loads(state.levels) if state.levels else {}
            moves.note(before, levels_now(state, policy, now))
            for channel in guarded:
                shown[channel] += before.get(channel, 0) > 0
            sampled += 1
        total = retry_until_available(runtime.store.sku_count)
        for channel, pct in guarded.items():
            fall, seen = moves.falls[channel], shown[channel]
            # As many as a sample of this size has too many once in 40 times; all SKUs are no sample.
            surplus = 2 * isqrt(fall) if sampled < total else 0
            everywhere = fall * total // max(1, sampled)
            is_enough = everywhere >= policy.compiled.policy.zero_guard_min
            if is_enough and (fall - surplus) * PCT > pct * seen:
                why = (
                    f"{fall} of {seen} SKUs shown ({fall * PCT // max(1, seen)} %) that were looked at "
                    f"would go to zero by the new policy, more than zero_guard_pct {pct}"
                )
                freeze(runtime, channel, why)

    def _sample(self) -> Iterator[SkuState]:
        store = self._runtime.store
        found = retry_until_available(lambda: store.scan(dict.fromkeys(range(store.shards), 0)))
        most = max(1, SAMPLE // store.shards)
        skus = [sku for _, names in found.values() for sku in names[:most]]
        yield from filter(None, retry_until_available(lambda: list(store.read_many(skus))))
