"""Follow the active policy: refresh what this process knows when the store has a newer one."""

from connectors.redis.server import SKEW_MAX_MS
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import CODES_AHEAD_MS, Runtime


def follow_policy(runtime: Runtime) -> None:
    """Take the policy and the code tables of the store if they are newer than those known.

    Not only when a shard answers with a newer revision: the process that activated it may have died before any shard
    heard of it. What the store raises is passed on; it may be repeated.
    """
    policies, looked_ms = runtime.shared.policy, runtime.clock.now_ms()
    if policies.stamp() > runtime.policy.stamp:
        record = policies.active()
        if record is not None:
            runtime.policy = ActivePolicy(record, policies.codes())
    if runtime.policy.goes_by_lag:
        runtime.push_lags = runtime.shared.push_lags.measured()
    # What was added after this check holds from later on, by any process's clock.
    runtime.codes_until_ms = looked_ms + CODES_AHEAD_MS - 2 * SKEW_MAX_MS
