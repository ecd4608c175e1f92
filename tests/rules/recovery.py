"""A shard that went back: it is noticed, filled again from the log, and republished under higher versions."""

from flows.publish.claimer import Claimer
from state.memory.shard import MemoryShard
from state.protocol.common import Behind
from state.protocol.control import Recover, Tick, Ticked
from tests.rules.means import InWorker, Rule, Simulated, Traced
from tests.simulation.profiles import GOING_BACK, GOING_BACK_TWICE
from tests.state import traces

NOTHING_LOST = ("guarantees.md#nothing-lost",)
NEWEST_WINS = ("guarantees.md#emitted-at-least-once-the-newest-wins",)


class NoRecovery(MemoryShard):
    def recover(self, call: Recover) -> int:
        self.server = call.server
        return self.generation


class EmptyIsNew(MemoryShard):
    def tick(self, call: Tick) -> Ticked | Behind:
        self.server = self.server or call.server
        return super().tick(call)


class RecoveryLeavesSkusAsleep(MemoryShard):
    def recover(self, call: Recover) -> int:
        due = dict(self.due)
        generation = super().recover(call)
        self.due = due
        return generation


class RecoveryWithoutGeneration(MemoryShard):
    def recover(self, call: Recover) -> int:
        super().recover(call)
        self.generation = 0
        return 0


class RecoveryWithoutFloor(MemoryShard):
    def recover(self, call: Recover) -> int:
        floor, generation = self.floor, super().recover(call)
        self.floor = floor
        return generation


class RecoversOnce(MemoryShard):
    def recover(self, call: Recover) -> int:
        generation = super().recover(call)
        self.again_ms = 0
        return generation


def _trusts_any_server(_self: Claimer) -> set[int]:
    return set()


def without_recover() -> None:
    """A shard that went back is left as it is."""
    from flows.runtime import shard_tick

    # Before the reader takes the name from there.
    shard_tick.recover = lambda *_: None


RULES = (
    Rule(
        "recover",
        "a shard that went back recovers",
        (*NOTHING_LOST, *NEWEST_WINS),
        (Simulated(NoRecovery, likely=GOING_BACK), InWorker(without_recover)),
    ),
    Rule(
        "empty",
        "a shard that knows of no server lost all it had",
        NOTHING_LOST,
        (Simulated(EmptyIsNew),),
    ),
    Rule(
        "P5",
        "what was emitted before a rollback is looked at again",
        NEWEST_WINS,
        (
            Traced(
                RecoveryLeavesSkusAsleep,
                traces=(traces.p5_what_was_emitted_before_a_rollback_is_looked_at_again,),
            ),
        ),
    ),
    Rule(
        "P6",
        "a claim from before the recovery closes nothing",
        NEWEST_WINS,
        (
            Traced(
                RecoveryWithoutGeneration,
                traces=(traces.p6_a_claim_from_before_the_recovery_closes_nothing,),
            ),
        ),
    ),
    Rule(
        "P7",
        "a recovery lifts versions above all clocks",
        NEWEST_WINS,
        (
            Simulated(RecoveryWithoutFloor, likely=GOING_BACK),
            Traced(
                RecoveryWithoutFloor,
                traces=(traces.p7_after_a_rollback_no_version_lies_below_one_of_a_clock_ahead,),
            ),
        ),
    ),
    Rule(
        "P8",
        "a recovery is repeated a minute later",
        NEWEST_WINS,
        (Simulated(RecoversOnce, likely=GOING_BACK_TWICE),),
    ),
    Rule(
        "moved",
        "what another server than before gave out is not told",
        NEWEST_WINS,
        (
            Simulated(
                patches=((Claimer, "_moved", _trusts_any_server),),
                likely=GOING_BACK_TWICE,
                patience=3,
            ),
        ),
    ),
)
