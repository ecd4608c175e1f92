"""Whether SKUs that are suspected to promise more, or less, than their orders hold really do.

A fault is proven when the SKU had the same version before the orders were gone through and after it: nothing moved
meanwhile. Or when it says less than the orders that are known to hold of it say at the same moment: others can
only add to that. A SKU that moves all the time and says more stays in doubt.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final

from state.inspection import AskPromises, Fault
from state.shards import shard_of
from state.store import Store

FIELDS: Final = 240
HEADS: Final = 8
"""SKUs read whole in one call."""
ORDERS_AT_ONCE: Final = 200
"""An atomic look goes over so many orders at most."""


class Proof:
    """Proves or leaves in doubt: `begin`, `gather` every key of an order, `end`."""

    def __init__(self, store: Store, suspects: Sequence[str]) -> None:
        self._store = store
        self._suspects: dict[int, list[str]] = defaultdict(list)
        for sku in suspects:
            self._suspects[shard_of(sku, store.shards)].append(sku)
        self._before: dict[str, int] = {}
        """The version of each suspect before the orders were gone through."""
        self._held: dict[str, dict[str, int]] = {sku: {} for sku in suspects}
        """By suspect, units by order."""

    def begin(self) -> Iterator[None]:
        """Note how the suspects stand."""
        for shard, skus in self._suspects.items():
            for i in range(0, len(skus), HEADS):
                some = tuple(skus[i : i + HEADS])
                found = self._store.promises(shard, AskPromises(FIELDS, some, (), told=1))
                self._before |= {
                    sku: version for sku, (version, _) in zip(some, found.skus, strict=True)
                }
                yield

    def gather(self, keys: Iterable[tuple[int, str, str]]) -> Iterator[None]:
        """Look at the orders among these keys (shard, kind, name)."""
        orders: dict[int, list[str]] = defaultdict(list)
        for shard, kind, name in keys:
            if kind == "order" and shard in self._suspects:
                orders[shard].append(name)
        for shard, names in orders.items():
            skus = tuple(self._suspects[shard])
            while names:
                found = self._store.promises(shard, AskPromises(FIELDS, skus, tuple(names)))
                del names[: found.done]
                for order, units in found.held:
                    for sku, number in units.items():
                        self._held[sku][order] = number
                yield

    def end(self) -> Generator[None, None, list[Fault]]:
        """Return the faults that are proven."""
        proven = []
        for shard, skus in self._suspects.items():
            for sku in skus:
                orders = tuple(self._held[sku])
                is_whole = len(orders) <= ORDERS_AT_ONCE
                call = AskPromises(FIELDS, (sku,), orders if is_whole else (), told=1)
                now = self._store.promises(shard, call)
                yield
                ((version, promised),) = now.skus
                still = version == self._before[sku]
                by_order = self._held[sku] if still else {o: units[sku] for o, units in now.held}
                held = sum(by_order.values())
                if promised < held or (still and promised != held):
                    said = (f"{held} units in orders", f"{promised} units")
                    proven.append(Fault(sku, "reserved", *said))
        return proven
