"""Class sums that another policy made, rebuilt under the active one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flows.runtime.context import Runtime
from state.protocol.common import LocationTerms
from state.protocol.control import Rebuild

REBUILD_MAX = 50
PLACES_MAX = 500
"""Up to so many listed locations all are sent with a call: cheaper than to ask first where its SKUs are."""


def rebuild(runtime: Runtime, shard: int, skus: Sequence[str]) -> None:
    """Rebuild the sums of SKUs of a shard. They are due again at once.

    One that came to another location meanwhile is left as it is, and comes up once more. What the store raises
    is passed on; it may be repeated.
    """
    left = list(skus)
    if len(runtime.policy.compiled.locations) <= PLACES_MAX:
        left = list(_rebuilt(runtime, shard, _by_listed(runtime, skus)))
    if left:
        for _ in _rebuilt(runtime, shard, _by_known(runtime, left)):
            continue


def _rebuilt(
    runtime: Runtime, shard: int, groups: Mapping[tuple[LocationTerms, ...], Sequence[str]]
) -> Iterator[str]:
    """Rebuild SKUs by their places; yield those of calls that left one as it was."""
    revision, sums_revision = runtime.policy.revision, runtime.policy.sums_revision
    for places, members in groups.items():
        for i in range(0, len(members), REBUILD_MAX):
            chunk = tuple(members[i : i + REBUILD_MAX])
            call = Rebuild(runtime.clock.now_us(), revision, sums_revision, places, chunk)
            if runtime.store.rebuild(shard, call) != len(chunk):
                yield from chunk


def _by_listed(runtime: Runtime, skus: Iterable[str]) -> dict[tuple[LocationTerms, ...], list[str]]:
    """Group SKUs by their places at every listed location."""
    policy = runtime.policy
    kinds: dict[tuple[bool, ...], list[str]] = defaultdict(list)
    for sku in skus:
        kinds[policy.compiled.kind_of(sku)].append(sku)
    groups: dict[tuple[LocationTerms, ...], list[str]] = defaultdict(list)
    for members in kinds.values():
        listed = policy.compiled.locations
        groups[tuple(policy.locate(members[0], location) for location in listed)] += members
    return groups


def _by_known(runtime: Runtime, skus: Sequence[str]) -> dict[tuple[LocationTerms, ...], list[str]]:
    """Group SKUs by their places where they have a position; those that are gone are left out."""
    policy = runtime.policy
    groups: dict[tuple[LocationTerms, ...], list[str]] = defaultdict(list)
    for state in runtime.store.read_many(skus):
        if state is not None:
            places = tuple(policy.locate(state.sku, p.location) for p in state.positions)
            groups[places].append(state.sku)
    return groups
