"""Levels, sums and claims under a policy that changes."""

from collections.abc import Mapping

from state.memory.shard import MemoryShard
from state.memory.sku import SkuRecord
from state.protocol.claim import Claim, Claimed, Settle
from state.protocol.common import LocationTerms, StalePolicy
from tests.rules.means import Rule, Simulated, Traced
from tests.simulation.profiles import CHANGING
from tests.state import traces

NEWEST_WINS = ("guarantees.md#emitted-at-least-once-the-newest-wins",)
ANY_ORDER = ("guarantees.md#any-order-any-number-of-processes",)


class OldPolicySettles(MemoryShard):
    def settle(self, now_us: int, _revision: int, items: tuple[Settle, ...]) -> int:
        return super().settle(now_us, self.revision, items)


class AnyPolicyClaims(OldPolicySettles):
    """Settles them for good, too: looked at again, what an old policy said would be put right."""

    def claim(self, call: Claim) -> Claimed | StalePolicy:
        return super().claim(call._replace(revision=max(call.revision, self.revision)))


class SumsOfAllFloors(MemoryShard):
    def claim(self, call: Claim) -> Claimed | StalePolicy:
        for sku in self.skus.values():
            sku.revision = call.sums_revision
        return super().claim(call)


def _rebuild_what_was_seen(
    self: SkuRecord, places: Mapping[str, LocationTerms], revision: int
) -> bool:
    self.sums, self.base, self.revision = {}, 0, revision
    for location, place in places.items():
        if position := self.positions.get(location):
            self._add(place, position.contribution(place.floor), position.contribution(0))
    return True


RULES = (
    Rule(
        "aged",
        "what was derived under an old policy is looked at again",
        NEWEST_WINS,
        (
            Simulated(OldPolicySettles, likely=CHANGING),
            Traced(
                OldPolicySettles,
                traces=(traces.p4_what_was_derived_under_an_old_policy_is_looked_at_again,),
            ),
        ),
        holes=("P4",),
    ),
    Rule(
        "P4",
        "a publisher with an old policy is refused",
        NEWEST_WINS,
        (
            Simulated(AnyPolicyClaims, likely=CHANGING),
            Traced(AnyPolicyClaims, traces=(traces.p4_a_publisher_with_an_old_policy_is_refused,)),
        ),
    ),
    Rule(
        "I12",
        "sums made under another policy are dropped",
        ANY_ORDER,
        (
            Simulated(SumsOfAllFloors, likely=CHANGING),
            Traced(
                SumsOfAllFloors,
                traces=(traces.i12_workers_with_different_floors_do_not_spoil_the_sums,),
            ),
        ),
    ),
    Rule(
        "place",
        "a SKU that came to a place after the look is not rebuilt",
        ANY_ORDER,
        (Simulated(patches=((SkuRecord, "rebuild", _rebuild_what_was_seen),), likely=CHANGING),),
    ),
)
