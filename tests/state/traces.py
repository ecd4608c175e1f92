"""Holes of the protocol as traces that end in an assertion. Named by the hole and by what must hold."""

from collections.abc import Callable
from typing import TypeAlias

from state.protocol.apply import Part
from state.protocol.claim import Claim, Due
from state.protocol.common import Behind, StalePolicy
from state.protocol.control import Tick
from tests.state.pools import (
    NOW_MS,
    PLACES,
    SHOP,
    WAREHOUSE,
    Bench,
    cancel,
    count,
    incoming,
    move,
    place_order,
)

Trace: TypeAlias = Callable[[Bench], None]


class Channel:
    """What a consumer keeps: the level of the newest version it saw."""

    def __init__(self) -> None:
        self.version = 0
        self.level = 0

    def take(self, due: Due, level: int) -> None:
        if due.token > self.version:
            self.version, self.level = due.token, level


def level_of(due: Due) -> int:
    return due.base - due.unrouted


def wants_emission(due: Due) -> bool:
    """What a publisher emits: all but what is trusted to be known already."""
    return not (due.trust and due.available == level_of(due))


def i1_a_mark_on_its_way_over_a_rollback_is_refused(bench: Bench) -> None:
    saved = bench.shard.save()
    call = bench.call(bench.event(move("A", SHOP, 1)))
    bench.shard.apply(call)
    bench.shard.roll_back(saved)
    late = bench.shard.tick(Tick(bench.now_us, "s1", 1, 0, (Part("log/0", 0, 5),)))
    assert late == Behind((("log/0", -1),))
    bench.shard.apply(call)
    assert bench.on_hand(location="shop") == 1


def i2_a_delayed_repeat_does_not_set_the_mark_back(bench: Bench) -> None:
    first = bench.call(bench.event(move("A", SHOP, 1)))
    bench.shard.apply(first)
    bench.do(move("A", SHOP, 1))
    bench.shard.apply(first)
    assert bench.shard.everything().marks == {"log/0": 1}
    assert bench.on_hand(location="shop") == 2


def i6_a_rollback_is_noticed_while_nothing_moves(bench: Bench) -> None:
    saved = bench.shard.save()
    bench.do(move("A", SHOP, 1))
    bench.shard.roll_back(saved)
    quiet = Tick(bench.now_us, "s1", 1, 0, (Part("log/0", 0, 0),))
    assert isinstance(bench.shard.tick(quiet), Behind)


def i12_workers_with_different_floors_do_not_spoil_the_sums(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.revision = bench.sums_revision = 2
    bench.places = tuple(place._replace(floor=3) for place in PLACES)
    bench.do(move("A", SHOP, 1))
    assert bench.claim().stale == ("A",)
    bench.rebuild("A")
    assert bench.claim_one().sums == (0, 3)


def d2_two_copies_in_one_call_count_once(bench: Bench) -> None:
    copies = [bench.event(move("A", SHOP, 1), event_id="7") for _ in range(2)]
    bench.send(*copies)
    assert bench.on_hand(location="shop") == 1


def d5_a_resend_in_the_neighbouring_slice_is_known(bench: Bench) -> None:
    bench.send(bench.event(move("A", SHOP, 1), event_id="7", slice_=100))
    bench.send(bench.event(move("A", SHOP, 1), event_id="7", slice_=101))
    assert bench.on_hand(location="shop") == 1


def p1_nothing_is_suppressed_while_an_earlier_emission_is_under_way(bench: Bench) -> None:
    channel = Channel()
    bench.do(move("A", WAREHOUSE, 1))
    bench.do(move("A", WAREHOUSE, -1))
    bench.settle_all()
    bench.do(move("A", WAREHOUSE, 1))
    slow = bench.claim_one()
    bench.do(move("A", WAREHOUSE, -1))
    quick = bench.claim_one()
    if wants_emission(quick):
        channel.take(quick, level_of(quick))
    bench.settle(bench.settlement(quick))
    channel.take(slow, level_of(slow))
    bench.settle(bench.settlement(slow))
    assert channel.level == 0


def p2_a_crash_between_emission_and_settling_ends_in_emitting_again(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    bench.settle_all()
    bench.do(move("A", WAREHOUSE, 1))
    channel = Channel()
    crashed = bench.claim_one()
    channel.take(crashed, level_of(crashed))
    bench.do(move("A", WAREHOUSE, -1))
    bench.now_ms += 5000
    after = bench.claim_one()
    if wants_emission(after):
        channel.take(after, level_of(after))
    assert channel.level == 1


def p3_every_claim_takes_a_new_version(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    first = bench.claim_one()
    bench.settle(bench.settlement(first, next_due_ms=NOW_MS))
    second = bench.claim_one()
    assert second.token > first.token


def p4_a_publisher_with_an_old_policy_is_refused(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    bench.settle_all()
    bench.revision = 2
    bench.now_ms += 1
    bench.tick()
    assert bench.shard.claim(Claim(bench.now_us, 5000, 1, 1, 0, 9)) == StalePolicy(2)
    assert bench.due() == {"A": bench.now_ms}


def p4_what_was_derived_under_an_old_policy_is_looked_at_again(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    due = bench.claim_one()
    old, bench.revision = bench.revision, 2
    bench.tick()
    bench.now_ms += 3
    bench.settle(bench.settlement(due, next_due_ms=NOW_MS + 60_000), revision=old)
    assert bench.due()["A"] == bench.now_ms


def p5_what_was_emitted_before_a_rollback_is_looked_at_again(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    bench.settle_all()
    saved = bench.shard.save()
    bench.do(move("A", WAREHOUSE, -1))
    bench.settle_all()
    bench.shard.roll_back(saved)
    bench.recover()
    assert not bench.claim_one().trust


def p6_a_claim_from_before_the_recovery_closes_nothing(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    claimed = bench.claim()
    bench.recover()
    item = bench.settlement(claimed.due[0], generation=claimed.generation)
    assert bench.settle(item) == 0
    assert bench.sku().open


def p7_after_a_rollback_no_version_lies_below_one_of_a_clock_ahead(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    saved = bench.shard.save()
    bench.now_ms += 1000
    ahead = bench.claim_one()
    bench.now_ms -= 1000
    bench.shard.roll_back(saved)
    bench.recover(skew_ms=1000)
    assert bench.claim_one().token > ahead.token


def p10_a_change_under_a_claim_makes_the_sku_due_when_it_is_settled(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    due = bench.claim_one()
    bench.do(move("A", WAREHOUSE, 1))
    bench.now_ms += 3
    bench.settle(bench.settlement(due, next_due_ms=NOW_MS + 60_000))
    assert bench.due()["A"] == bench.now_ms


def o1_partial_cancels_add_up_and_void_nothing(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5))
    bench.do(cancel("A", "o1", 2))
    bench.do(cancel("A", "o1", 1, "shopee"))
    assert bench.sku().unrouted == 2


def o3_a_late_count_is_laid_under_later_movements(bench: Bench) -> None:
    bench.do(move("A", SHOP, -2), time_ms=NOW_MS + 5)
    bench.do(move("A", SHOP, -1), time_ms=NOW_MS - 5)
    bench.do(count("A", SHOP, NOW_MS, 10))
    assert bench.on_hand(location="shop") == 8


def o5_a_receipt_before_its_announcement_leaves_nothing_incoming(bench: Bench) -> None:
    bench.do(incoming("A", WAREHOUSE, "r1", -5))
    bench.do(incoming("A", WAREHOUSE, "r1", 5))
    assert bench.incoming() == 0


def o9_two_shops_may_use_one_order_number(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5, "shopee"))
    bench.do(place_order("A", "o1", 3, "momo"))
    bench.do(cancel("A", "o1", 9, "momo"))
    assert bench.sku().unrouted == 5


ALL: tuple[Trace, ...] = tuple(
    trace
    for name, trace in list(globals().items())
    if name[0] in "iodp" and name[1:2].isdigit() and callable(trace)
)
