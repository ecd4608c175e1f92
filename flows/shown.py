"""How many SKUs channels show anything of: what was emitted last, counted."""

from collections import Counter
from collections.abc import Collection
from functools import partial
from itertools import islice

from flows.runtime.context import Runtime
from flows.runtime.retry import insist
from state.store.shown_counts import CHUNK, count_shown


def count_all(runtime: Runtime, channels: Collection[str]) -> Counter[str]:
    """Return the same over every SKU of the store."""
    client, keys, shards = runtime.server.client, runtime.keys, runtime.store.shards
    found: Counter[str] = Counter()
    rest = iter(insist(lambda: sorted(set(runtime.store.skus()))))
    while some := list(islice(rest, CHUNK)):
        found += insist(partial(count_shown, client, keys, shards, some, channels))
    return found
