"""Activate the policy of a file for all running processes of the store."""

from pathlib import Path

from connectors.config import policy_file
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import CODES_AHEAD_MS, Runtime
from flows.services.policy.overlay import assert_policy
from state.store.policy_history import By


def activate(run: Runtime, file: Path | None, by: By) -> bool:
    """Activate the policy of a file, and its code tables; say whether anything changed.

    Every shard gets the revision at once, so that no publisher goes on under the policy before.

    Raises:
        ConfigError: the file has problems; nothing was changed.
    """
    policy, mappings = policy_file.load_with_codes(file)
    policies = run.shared.policy
    before = policies.active()
    table, rows = policies.add_codes(mappings, lambda: run.clock.now_ms() + CODES_AHEAD_MS)
    active = policies.activate(policy, run.clock.now_ms(), new_revision=bool(rows), by=by)
    changed = before is None or active.revision != before.revision
    run.policy = ActivePolicy(active, table)
    if changed:
        assert_policy(run)
    return changed
