"""Explaining: why a channel may show what it shows, from the store and from what the log still has.

Reads only. A level that was emitted may differ from the one worked out now for a moment, or for as long as a channel
is held: each such reason has a name, and a difference without one is a finding.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

import orjson

from connectors.log.base import Partition, partition_of
from flows.runtime.context import Runtime
from flows.services.queries.sku_history import Touch, backwards
from state.events.ops import ORDER
from state.policy.channel_rules import channel_rules
from state.protocol.figures import SkuState
from state.protocol.inspect import AskPromises
from state.protocol.sharding import shard_of
from state.rules.exclusions import counted_at, uncounted
from state.rules.explain import Explainer, Explanation

Apart = Literal["", "shadow", "not_counted", "emitting", "due", "next_look", "unknown"]
"""Why the level last emitted is not the one worked out now; "" = it is."""

CHUNK: Final = 500
UPDATES_MAX: Final = 200_000
"""So far back in its partition the last update of a SKU is looked for."""
ASKED_MAX: Final = 1_000
FIELDS_MAX: Final = 100_000


class EmittedLevel(NamedTuple):
    """The level of one channel as it was emitted, beside the one worked out now."""

    level: int | None
    """None = nothing is emitted for the channel."""
    apart: Apart
    uncounted: tuple[str, ...] = ()
    """Locations that the channel waits for, where it is `not_counted`."""


class Update(NamedTuple):
    """The last stock update of a SKU that the log still has."""

    version: int
    cause_time: str
    partition: int
    offset: int
    log_ms: int
    levels: dict[str, int]


class Checked(NamedTuple):
    """What a check of many SKUs came to; `findings` are the pairs that do not add up."""

    pairs: int
    explained: int
    findings: tuple["LevelDivergence", ...]


class LevelDivergence(NamedTuple):
    """One SKU and channel that does not add up."""

    sku: str
    channel: str
    level: int
    emitted: int | None
    findings: tuple[str, ...]


class LevelExplainer:
    """Explains for one process, under the policy that it knows when this is made."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        policy = self._policy = runtime.policy
        self.compiled = policy.compiled
        self._business_ms = runtime.business_now_ms()
        self._explainer = Explainer(
            policy.compiled,
            self._business_ms,
            policy.silent,
            runtime.push_lags,
            policy.sums_revision,
        )
        self._gates = {channel: gate.locations for channel, gate in policy.gates}

    def explain(self, state: SkuState, channel: str) -> tuple[Explanation, EmittedLevel]:
        """Take a level apart and hold it against the one emitted; a difference is looked at twice."""
        found, emitted = self._explain(state, channel)
        if emitted.apart == "unknown":
            again = self._runtime.store.read(state.sku)
            if again is not None:
                found, emitted = self._explain(again, channel)
        if emitted.apart == "unknown":
            text = f"emitted: expected {found.level}, got {emitted.level}, and nothing is under way"
            found = found._replace(findings=(*found.findings, text))
        return found, emitted

    def check(self, state: SkuState) -> Iterator[LevelDivergence]:
        """Yield the channels of a SKU of which the parts do not add up, or not to what was emitted."""
        last = _levels(state)
        for channel, level, findings in self._explainer.check(state, last):
            emitted = last.get(channel)
            if findings:
                yield LevelDivergence(state.sku, channel, level, emitted, tuple(findings))
            elif emitted != level and self._emitted(state, channel, level).apart == "unknown":
                found, again = self.explain(state, channel)
                if found.findings:
                    yield LevelDivergence(
                        state.sku, channel, found.level, again.level, found.findings
                    )

    def check_all(self, skus: Sequence[str]) -> Checked:
        """Check every channel of many SKUs."""
        pairs = 0
        found: list[LevelDivergence] = []
        for at in range(0, len(skus), CHUNK):
            for state in self._runtime.store.read_many(skus[at : at + CHUNK]):
                if state is not None:
                    pairs += len(self.compiled.channels)
                    found += self.check(state)
        return Checked(pairs, pairs - len(found), tuple(found))

    def last_update(self, sku: str) -> Update | None:
        """Return the last update of a SKU, None if the log has none, or none that is new enough."""
        log = self._runtime.log
        ends = log.end_offsets("stock.updates")
        n = partition_of(sku.encode(), len(ends))
        start = max(log.start_offsets("stock.updates")[n], ends[n] - UPDATES_MAX)
        for record in backwards(log, Partition("stock.updates", n), start, ends[n]):
            if record.key == sku.encode() and record.value is not None:
                data = orjson.loads(record.value)["data"]
                return Update(
                    data["version"], data["cause_time"], n, record.offset, record.timestamp_ms,
                    data["levels"],
                )  # fmt: skip
        return None

    def orders_of(self, sku: str, touches: Sequence[Touch]) -> dict[str, int]:
        """Return the open units of a SKU by order, of the orders that these events placed."""
        named = [op[2] for touch in touches for op in touch.ops if op[0] == ORDER and op[1] == sku]
        records = tuple(f"order:{order}" for order in dict.fromkeys(named))[-ASKED_MAX:]
        shard = shard_of(sku, self._runtime.store.shards)
        if not records:
            return {}
        found = self._runtime.store.promises(shard, AskPromises(FIELDS_MAX, (sku,), records))
        units = {record.partition(":")[2]: held.get(sku, 0) for record, held in found.held}
        return {order: open_units for order, open_units in units.items() if open_units}

    def _explain(self, state: SkuState, channel: str) -> tuple[Explanation, EmittedLevel]:
        found = self._explainer.explain(state, channel, _levels(state))
        return found, self._emitted(state, channel, found.level)

    def _emitted(self, state: SkuState, channel: str, level: int) -> EmittedLevel:
        emitted = _levels(state).get(channel)
        if emitted == level:
            return EmittedLevel(emitted, "")
        if self.compiled.channels[channel].mode == "shadow":
            return EmittedLevel(emitted, "shadow")
        if emitted is None and (uncounted := self._uncounted(state, channel)):
            return EmittedLevel(emitted, "not_counted", uncounted)
        if state.open:
            return EmittedLevel(emitted, "emitting")
        if self._is_due(state.sku):
            return EmittedLevel(emitted, "due")
        # A buffer by risk follows the measured push lag, and is looked at with the next refresh.
        if channel_rules(self.compiled).of_channel(state.sku, channel).risk_ppm:
            return EmittedLevel(emitted, "next_look")
        return EmittedLevel(emitted, "unknown")

    def _uncounted(self, state: SkuState, channel: str) -> tuple[str, ...]:
        return uncounted(counted_at(state.positions), self._gates.get(channel, ()))

    def _is_due(self, sku: str) -> bool:
        runtime, store = self._runtime, self._runtime.store
        checks = store.next_checks(sku)
        soon_ms = runtime.clock.now_ms() + runtime.settings.lease_ms
        return (checks.due_ms is not None and checks.due_ms <= soon_ms) or (
            checks.look_ms is not None and checks.look_ms <= self._business_ms
        )


def _levels(state: SkuState) -> dict[str, int]:
    found: dict[str, int] = orjson.loads(state.levels) if state.levels else {}
    return found
