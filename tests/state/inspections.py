"""Everything that the functions which look for faults say of one shard."""

from collections import Counter
from collections.abc import Callable, Sequence

from state.protocol.common import LocationTerms
from state.protocol.inspect import AskPromises, Inspect, Violation, encode_places
from tests.state.pools import RedisPool

AHEAD_MS = 100_000
FIELDS = 1 << 30


def faults(
    pool: RedisPool, now_ms: int, table: Callable[[int], Sequence[LocationTerms]]
) -> list[Violation | str]:
    """Return what is at fault in shard 0, sums of every policy looked at under its own places."""
    store, found = pool.store, list[Violation | str]()
    states = [state for state in store.read_many(sorted(set(store.skus()))) if state is not None]
    promised: dict[str, int] = {}
    for state in states:
        # Sums of revision 0 are given up: no policy ever compares them.
        revision = state.sums_revision or -1
        call = Inspect(now_ms + AHEAD_MS, 0, revision, FIELDS, (state.sku,))
        seen = store.inspect(0, call, encode_places(table(state.sums_revision)))
        assert (seen.done, seen.known, seen.unlisted) == (1, 1, {}), seen
        found += seen.faults
        promised |= seen.promised
    begin = pool.keys.shard(0, "")
    records = tuple(
        name.decode().removeprefix(begin)
        for kind in ("order", "hold")
        for name in pool.client.scan_iter(match=f"{begin}{kind}:*", count=1000)
    )
    skus = tuple(state.sku for state in states)
    told = store.promises(0, AskPromises(FIELDS, (), records))
    held: Counter[str] = Counter()
    for _, units in told.held:
        held.update(units)
    found += [
        f"{sku}: {promised.get(sku, 0)} units promised, {held[sku]} in records"
        for sku in promised.keys() | held.keys()
        if promised.get(sku, 0) != held[sku]
    ]
    some = store.promises(0, AskPromises(FIELDS, skus, records, with_heads=1)) if skus else told
    assert some.held == told.held
    assert dict(zip(skus, (units for _, units in some.skus), strict=True)) == {
        sku: promised.get(sku, 0) for sku in skus
    }
    return found
