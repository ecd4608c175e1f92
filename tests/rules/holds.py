"""Units that a checkout keeps until its hold ends or becomes an order."""

import copy

from state.memory.shard import MemoryShard
from state.protocol.holds import Keep, KeepAnswer
from tests.holds import traces
from tests.holds.traces import End
from tests.rules.means import Held, Rule

HOLDS = ("guarantees.md#holds",)


class RecordsExpireAsKeysDo(MemoryShard):
    """A record is gone when its time is over, without a sweep: what it kept stays taken."""

    def sweep(self, now_us: int, limit: int) -> int:
        records = self.holds.records
        now_ms = now_us // 1000
        self.holds.records = {
            hold: record for hold, record in records.items() if record.expiry_ms > now_ms
        }
        return super().sweep(now_us, limit)


class ConfirmationsOnlyLook(MemoryShard):
    """It is seen that the hold lives; nothing makes it live on."""

    def keep(self, call: Keep) -> KeepAnswer:
        return super().keep(call._replace(order="", expiry_ms=0))


class PinsAreRolledBack(MemoryShard):
    """A failover follows the pin at once, to a replica that did not get it."""

    def keep(self, call: Keep) -> KeepAnswer:
        before = copy.deepcopy(self.holds)
        answer = super().keep(call)
        self.holds = before
        return answer


RULES = (
    Rule(
        "H1",
        "a hold never goes without its units",
        HOLDS,
        (
            Held(
                RecordsExpireAsKeysDo,
                trace=traces.a_hold_lapses,
                ends=End(left=0, holds=0, swept=0),
            ),
        ),
    ),
    Rule(
        "H3",
        "a confirmation pins its hold beyond its time",
        HOLDS,
        (
            Held(
                ConfirmationsOnlyLook,
                trace=traces.a_hold_is_confirmed_at_the_last_moment,
                ends=End(left=-5, holds=1, swept=1),
            ),
        ),
    ),
    Rule(
        "H4",
        "a pin outlives a failover before its order goes into the log",
        HOLDS,
        (
            Held(
                PinsAreRolledBack,
                trace=traces.a_hold_is_confirmed_at_the_last_moment,
                ends=End(left=-5, holds=1, swept=1),
            ),
        ),
    ),
)
