"""Preview a policy: which levels would move under it, from live figures. Nothing is written."""

from collections.abc import Callable
from typing import NamedTuple

from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.services.policy.impact_report import Comparison, Move, compare
from state.events.codes import CodeTable
from state.policy.document import Policy
from state.policy.sums_digest import layout_digest
from state.store.policy import PolicyRecord


class Preview(NamedTuple):
    """What would move, and whether all class sums would be recomputed."""

    comparison: Comparison
    rebuilds_sums: bool


def preview(
    run: Runtime, policy: Policy, progress: Callable[[int], None], moves: Callable[[Move], None]
) -> Preview:
    """Derive all levels under the active policy and under another one, which would be its next revision.

    `progress` gets the number of SKUs done since it was last called, `moves` each level that would change.
    """
    active = run.policy
    following = PolicyRecord(active.revision + 1, policy, 0, active.overlay)
    comparison = compare(run, ActivePolicy(following, CodeTable()), progress, moves)
    return Preview(comparison, layout_digest(policy) != layout_digest(active.of_file))
