"""Bringing a policy in force while flows run: from a file, for all processes of the store."""

from pathlib import Path

from connectors.config import policy_file as config
from flows.runtime.active_policy import PolicyInForce
from flows.runtime.context import CODES_AHEAD_MS, Runtime
from flows.services.policy.overlay import assert_policy
from state.store import policy as policy_store
from state.store.policy_history import By


def bring(run: Runtime, file: Path | None, said: By) -> bool:
    """Bring the policy of a file, and its code tables, in force; say whether anything changed.

    Every shard is told at once, so that no publisher goes on under the policy before.

    Raises:
        ConfigError: the file has problems; nothing was changed.
    """
    policy, mappings = config.load_with_codes(file)
    client, keys = run.server.client, run.keys
    before = policy_store.in_force(client, keys)
    table, rows = policy_store.add_codes(
        client, keys, mappings, lambda: run.clock.now_ms() + CODES_AHEAD_MS
    )
    brought = policy_store.bring_in_force(
        client, keys, policy, run.clock.now_ms(), anew=bool(rows), said=said
    )
    changed = before is None or brought.revision != before.revision
    run.policy = PolicyInForce(brought, table)
    if changed:
        assert_policy(run)
    return changed
