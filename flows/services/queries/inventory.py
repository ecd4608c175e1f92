"""What a store is made of."""

from typing import NamedTuple

from flows.runtime.context import Runtime
from flows.runtime.session import TOPICS
from state.store.library import LIBRARY


class Inventory(NamedTuple):
    """Topics with their partitions, the names of functions, the number of shards, the active revision."""

    topics: dict[str, int]
    functions: list[str]
    shards: int
    policy_revision: int


def inventory(run: Runtime) -> Inventory:
    """Return what is there."""
    return Inventory(
        {topic: run.log.partitions(topic) for topic in TOPICS},
        [f"penstock_{name}" for name in LIBRARY if name != "common"],
        run.store.shards,
        run.policy.revision,
    )
