"""Steering: a change of the overlay, told to every shard at once, so that no process goes on without it."""

from collections.abc import Callable
from functools import partial

from connectors.redis.server import SKEW_MAX_MS
from flows.runtime.context import RECOVER_CHUNK, Runtime
from flows.runtime.retry import insist
from state.policy import overlay
from state.policy.overlay import Overlay
from state.protocol.control import RESYNC, Recover, Tick
from state.store import policy as policy_store


def steer(runtime: Runtime, change: Callable[[Overlay], Overlay]) -> bool:
    """Change the overlay of the store; return whether anything changed. May be done again.

    `change` gets the overlay as it is and returns it as it shall be; it may be asked more than once.
    """
    client, keys = runtime.server.client, runtime.keys
    changed = insist(
        lambda: policy_store.change_overlay(client, keys, runtime.clock.now_ms(), change)
    )
    if changed:
        insist(runtime.follow_policy)
        assert_policy(runtime)
    return changed


def resync(runtime: Runtime, channel: str, by: str, why: str) -> None:
    """Let every level be emitted once more: in a new generation nothing that was emitted before is trusted.

    An update holds the levels of all channels; of this one it says that they differ.
    """
    now_ms = runtime.clock.now_ms()
    steer(runtime, lambda known: overlay.resync(known, channel, now_ms, by, why))
    servers = insist(lambda: runtime.server.identities(runtime.store.shards))
    for shard, server in enumerate(servers):
        call = Recover(runtime.clock.now_us(), server, RESYNC, SKEW_MAX_MS, RECOVER_CHUNK)
        insist(partial(runtime.store.recover, shard, call))


def assert_policy(runtime: Runtime) -> None:
    """Tell every shard the revision that this process knows: from then on none serves an older one."""
    servers = insist(lambda: runtime.server.identities(runtime.store.shards))
    calls = {
        shard: Tick(runtime.clock.now_us(), server, runtime.policy.revision, 0)
        for shard, server in enumerate(servers)
    }
    insist(lambda: runtime.store.tick(calls))
