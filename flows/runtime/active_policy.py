"""The active policy, as the hot path asks for it."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

import orjson

from state.events.codes import CodeTable, codes
from state.policy.channel_rules import goes_by_lag
from state.policy.compiled import Compiled, compiled
from state.policy.overlay import Overlay, apply_overlay, silent
from state.protocol.claim import Gate
from state.protocol.common import LocationTerms
from state.store.policy import PolicyRecord

PCT: Final = 100


class ActivePolicy:
    """The policy as this process knows it, with what the hot path asks of it."""

    def __init__(self, record: PolicyRecord, table: CodeTable) -> None:
        self.revision = record.revision
        self.sums_revision = record.sums_revision
        """The revision that class sums belong to: a change of classes or floors begins another."""
        self.stamp = (record.revision, len(table))
        """Revision and number of code rows."""
        self.of_file = record.policy
        self.overlay = record.overlay
        """What was decided at run time, applied over the policy of the file."""
        self.compiled: Compiled = compiled(apply_overlay(record.policy, record.overlay))
        self.silent: tuple[str, ...] = silent(record.policy, record.overlay)
        """Locations whose stock does not count now."""
        self.gates: tuple[tuple[str, Gate], ...] = tuple(_gates(self.compiled, record.overlay))
        """Channels that are not open for every SKU yet, and what each waits for."""
        self.codes = codes(self.compiled, table)
        self._class = {name: index for index, name in enumerate(self.compiled.classes)}
        self.goes_by_lag = goes_by_lag(self.compiled)
        self.locate: Callable[[str, str], LocationTerms]
        """The place of a SKU at a location."""
        if record.policy.overrides:
            self.locate = lru_cache(maxsize=1 << 17)(self._locate)
        else:
            # Only an override distinguishes SKUs; without any, one entry serves all SKUs of a location.
            anywhere = lru_cache(maxsize=1 << 17)(partial(self._locate, ""))
            self.locate = lambda _sku, location: anywhere(location)

    def _locate(self, sku: str, location: str) -> LocationTerms:
        where, name, floor, base = self.compiled.locate(sku, location)
        return LocationTerms(where, self._class[name], floor, base)


def _gates(rules: Compiled, overlay: Overlay) -> Iterator[tuple[str, Gate]]:
    complete = frozenset(overlay.complete)
    for channel in rules.policy.channels:
        if channel.opening == "counted" and channel.mode in {"live", "frozen"}:
            sellable = rules.sellable_from(channel.id)
            if waits_for := tuple(each for each in sellable if each not in complete):
                needle = orjson.dumps(channel.id).decode() + ":"
                yield channel.id, Gate(needle, waits_for)


def zero_guards(policy: ActivePolicy) -> dict[str, int]:
    """Return the channels that a circuit breaker guards, with the share (percent) of SKUs that may drop to 0."""
    rules = policy.compiled.policy
    found = {}
    for channel in rules.channels:
        pct = rules.zero_guard_pct if channel.zero_guard_pct is None else channel.zero_guard_pct
        if pct is not None and pct < PCT and channel.mode == "live":
            found[channel.id] = pct
    return found
