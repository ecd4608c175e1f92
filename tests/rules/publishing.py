"""Claims, emissions, settlements, and consumers."""

from collections.abc import Iterator, Sequence
from typing import Any

from flows.publish import steps as publish_steps
from flows.publish.messages import Rendered
from state.memory.shard import MemoryShard, OutRecord
from state.protocol.claim import Claim, Due, Settle
from tests.rules.means import InWorker, Rule, Simulated, Traced
from tests.rules.source import in_library
from tests.simulation.profiles import EMITTING
from tests.state import traces

NEWEST_WINS = ("guarantees.md#emitted-at-least-once-the-newest-wins",)


class OpenIsTrusted(MemoryShard):
    def _claim_sku(self, name: str, call: Claim) -> Due:
        due = super()._claim_sku(name, call)
        return due._replace(trust=self.outs[name].generation == self.generation)


class AnyTokenSettles(MemoryShard):
    def settle(self, now_us: int, revision: int, items: tuple[Settle, ...]) -> int:
        for item in items:
            if (out := self.outs.get(item.sku)) and item.generation == self.generation:
                self._settle_sku(out, now_us, revision, item)
        return len(items)


class ClaimsKeepTheVersion(MemoryShard):
    def _claim_sku(self, name: str, call: Claim) -> Due:
        version = self.skus[name].version
        due = super()._claim_sku(name, call)
        self.skus[name].version = self.outs[name].token = version
        return due._replace(token=version)


class SettledIsAsleep(MemoryShard):
    def _settle_sku(self, out: OutRecord, now_us: int, revision: int, item: Settle) -> None:
        super()._settle_sku(out, now_us, revision, item)
        self.due[item.sku] = item.next_due_ms


def _all_confirmed(rendered: Sequence[Rendered], _results: object) -> Iterator[Rendered]:
    yield from rendered


def without_trust() -> None:
    """What was emitted last is trusted while an emission is still open."""
    in_library(("(open == 0 and generation == meta.generation)", "(generation == meta.generation)"))


def without_token() -> None:
    """A claim is settled though a later one was made, and though the shard has recovered since."""
    in_library(
        ("if latest ~= token then return nil end", ""),
        ("items[i + 2] == generation\n      and settle_sku(", "settle_sku("),
    )


def without_settle() -> None:
    """Claims are settled before the log has confirmed what was emitted."""
    emit = publish_steps.emit

    def settle_and_emit(runtime: Any, decided: Any) -> Any:
        settlements = publish_steps._settlements(runtime, decided)
        revision = decided.claims.policy.revision
        runtime.store.settle(runtime.clock.now_us(), revision, settlements)
        emit(runtime, decided)
        return publish_steps.Emitted(decided.claims, [])

    publish_steps.emit = settle_and_emit


RULES = (
    Rule(
        "trust",
        "an open claim suppresses nothing",
        NEWEST_WINS,
        (
            Simulated(OpenIsTrusted, likely=EMITTING),
            InWorker(without_trust),
            Traced(
                OpenIsTrusted,
                traces=(
                    traces.p1_nothing_is_suppressed_while_an_earlier_emission_is_under_way,
                    traces.p2_a_crash_between_emission_and_settling_ends_in_emitting_again,
                ),
            ),
        ),
        holes=("P1", "P2"),
    ),
    Rule(
        "token",
        "only the latest claim settles",
        NEWEST_WINS,
        (Simulated(AnyTokenSettles, likely=EMITTING), InWorker(without_token)),
    ),
    Rule(
        "settle",
        "only what the log has confirmed is settled",
        NEWEST_WINS,
        (
            Simulated(patches=((publish_steps, "_confirmed", _all_confirmed),), likely=EMITTING),
            InWorker(without_settle),
        ),
    ),
    Rule(
        "P3",
        "every claim takes a new version",
        NEWEST_WINS,
        (
            Simulated(ClaimsKeepTheVersion),
            Traced(ClaimsKeepTheVersion, traces=(traces.p3_every_claim_takes_a_new_version,)),
        ),
    ),
    Rule(
        "P9",
        "a consumer keeps the last version",
        NEWEST_WINS,
        (Simulated(consumer="forgets the last version", likely=EMITTING),),
    ),
    Rule(
        "P10",
        "a change under a claim makes the SKU due again",
        NEWEST_WINS,
        (
            Simulated(SettledIsAsleep, likely=EMITTING),
            Traced(
                SettledIsAsleep,
                traces=(traces.p10_a_change_under_a_claim_makes_the_sku_due_when_it_is_settled,),
            ),
        ),
    ),
    Rule(
        "P11",
        "a consumer compares whole levels",
        NEWEST_WINS,
        (Simulated(consumer="merges what changed", likely=EMITTING),),
    ),
)
