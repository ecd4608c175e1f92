"""Whether SKUs that are suspected to promise more, or less, than their orders and holds keep really do.

A fault is proven when the SKU had the same version before these were gone through and after it: nothing moved
meanwhile. Or when it says less than the records that are known to keep of it say at the same moment: others can
only add to that. A SKU that moves all the time and says more stays in doubt.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final

from state.protocol.inspect import AskPromises, Violation
from state.protocol.sharding import shard_of
from state.store.shards import Store

FIELDS: Final = 240
HEADS: Final = 8
"""SKUs read whole in one call."""
RECORDS_AT_ONCE: Final = 200
"""An atomic look goes over so many records at most."""
RECORDS: Final = ("order", "hold")
"""The kinds of keys that keep units promised."""


class Proof:
    """Proves or leaves in doubt: `begin`, `gather` every key of a record, `end`."""

    def __init__(self, store: Store, suspects: Sequence[str]) -> None:
        self._store = store
        self._suspects: dict[int, list[str]] = defaultdict(list)
        for sku in suspects:
            self._suspects[shard_of(sku, store.shards)].append(sku)
        self._before: dict[str, int] = {}
        """The version of each suspect before the records were gone through."""
        self._held: dict[str, dict[str, int]] = {sku: {} for sku in suspects}
        """By suspect, units by record."""

    def begin(self) -> Iterator[None]:
        """Note how the suspects stand."""
        for shard, skus in self._suspects.items():
            for i in range(0, len(skus), HEADS):
                some = tuple(skus[i : i + HEADS])
                found = self._store.promises(shard, AskPromises(FIELDS, some, (), with_heads=1))
                self._before |= {
                    sku: version for sku, (version, _) in zip(some, found.skus, strict=True)
                }
                yield

    def gather(self, keys: Iterable[tuple[int, str, str]]) -> Iterator[None]:
        """Look at the records among these keys (shard, kind, name)."""
        records: dict[int, list[str]] = defaultdict(list)
        for shard, kind, name in keys:
            if kind in RECORDS and shard in self._suspects:
                records[shard].append(f"{kind}:{name}")
        for shard, names in records.items():
            skus = tuple(self._suspects[shard])
            while names:
                found = self._store.promises(shard, AskPromises(FIELDS, skus, tuple(names)))
                del names[: found.done]
                for record, units in found.held:
                    for sku, number in units.items():
                        self._held[sku][record] = number
                yield

    def end(self) -> Generator[None, None, list[Violation]]:
        """Return the faults that are proven."""
        proven = []
        for shard, skus in self._suspects.items():
            for sku in skus:
                records = tuple(self._held[sku])
                is_whole = len(records) <= RECORDS_AT_ONCE
                call = AskPromises(FIELDS, (sku,), records if is_whole else (), with_heads=1)
                now = self._store.promises(shard, call)
                yield
                ((version, promised),) = now.skus
                still = version == self._before[sku]
                by_record = self._held[sku] if still else {r: units[sku] for r, units in now.held}
                held = sum(by_record.values())
                if promised < held or (still and promised != held):
                    said = (f"{held} units in orders and holds", f"{promised} units")
                    proven.append(Violation(sku, "reserved", *said))
        return proven
