"""After a new policy: what falls first.

All SKUs come up again then, one after the other. Those of which a level may fall are found by their names, and
made due at once: they are claimed before the others, for the oldest due is claimed first. When every SKU may fall,
there is nothing to find: all come up at once.
"""

from collections.abc import Iterator
from functools import partial

from flows.runtime.active_policy import PolicyInForce
from flows.runtime.context import Runtime
from flows.runtime.retry import insist
from state.policy.impact import PolicyChange
from state.protocol.claim import Hasten


def hasten(runtime: Runtime, before: PolicyInForce, after: PolicyInForce) -> Iterator[int] | None:
    """Make those due at once that may fall from one policy to the next; None when every SKU may.

    What is returned yields, after some thousands of SKUs each, how many these were. May be given up half way, or
    done again: the other SKUs come up all the same, only later.
    """
    change = PolicyChange(before.compiled, after.compiled)
    falls_silent = not set(after.silent).issubset(before.silent)
    return None if falls_silent or change.all_may_fall else _hastened(runtime, change)


def _hastened(runtime: Runtime, change: PolicyChange) -> Iterator[int]:
    if change.none_may_fall:
        return
    store = runtime.store
    cursors: dict[int, int] = dict.fromkeys(range(store.shards), 0)
    while cursors:
        found = insist(partial(store.scan, cursors))
        now_ms = runtime.clock.now_ms() - runtime.settings.tick_ms
        calls = {
            shard: Hasten(now_ms, tuple(filter(change.may_fall, names)))
            for shard, (_, names) in found.items()
        }
        calls = {shard: call for shard, call in calls.items() if call.skus}
        if calls:
            insist(partial(store.hasten, calls))
        cursors = {shard: cursor for shard, (cursor, _) in found.items() if cursor}
        yield sum(len(call.skus) for call in calls.values())
