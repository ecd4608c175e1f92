"""Change the overlay: a decision of run time that every shard gets at once, so that no process goes on without it."""

from collections.abc import Callable
from functools import partial

from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.runtime.retry import retry_until_available
from flows.runtime.shard_tick import recover, tick
from state.policy import overlay
from state.policy.overlay import Overlay
from state.protocol.control import RESYNC


def change_overlay(runtime: Runtime, change: Callable[[Overlay], Overlay]) -> bool:
    """Change the overlay of the store; return whether anything changed. May be done again.

    `change` gets the overlay as it is and returns it as it shall be; it may be asked more than once.
    """
    policies = runtime.shared.policy
    changed = retry_until_available(lambda: policies.change_overlay(runtime.clock.now_ms(), change))
    if changed:
        retry_until_available(partial(follow_policy, runtime))
        assert_policy(runtime)
    return changed


def resync(runtime: Runtime, channel: str, by: str, why: str) -> None:
    """Let every level be emitted once more: in a new generation nothing that was emitted before is trusted.

    An update holds the levels of all channels; of this one it says that they differ.
    """
    now_ms = runtime.clock.now_ms()
    change_overlay(runtime, lambda known: overlay.resync(known, channel, now_ms, by, why))
    for shard in range(runtime.store.shards):
        recover(runtime, shard, RESYNC)


def assert_policy(runtime: Runtime) -> None:
    """State to every shard the revision that this process knows: from then on none serves an older one."""
    tick(runtime)
