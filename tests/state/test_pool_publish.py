"""Claims, versions, looks, policies and recoveries of a shard, over both back ends."""

import pytest

from state.protocol.apply import Part
from state.protocol.claim import Claim
from state.protocol.common import StalePolicy
from state.protocol.control import Rebuild
from tests.state.pools import NOW_MS, SHOP, WAREHOUSE, Bench, move, place_order, void

POLICY_2 = 2


def test_versions_follow_the_clock_and_never_repeat_or_fall(bench: Bench) -> None:
    seen = []
    for ms in (0, 0, 5, -800, 0):
        bench.now_ms += ms
        bench.do(move("A", SHOP, 1))
        seen.append(bench.sku().version)
    start = NOW_MS * 1000
    assert seen == [start, start + 1, start + 5000, start + 5001, start + 5002]


def test_after_a_recovery_versions_lie_above_all_that_skewed_clocks_gave(bench: Bench) -> None:
    bench.do(move("A", SHOP, 1))
    bench.recover(skew_ms=1000)
    bench.do(move("A", SHOP, 1))
    assert bench.sku().version == (NOW_MS + 2000) * 1000


def test_a_claim_gives_the_figures_under_a_new_version_and_a_lease(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5, demand=1), place_order("A", "o1", 2), log_ms=NOW_MS - 40)
    version = bench.sku().version
    due = bench.claim_one()
    assert (due.token, due.trust, due.first) == (version + 1, False, True)
    assert (due.base, due.unrouted, due.held, due.sums) == (5, 2, 0, (5,))
    assert due.cause_ms == NOW_MS - 40
    assert bench.due() == {"A": NOW_MS + 5000}
    assert bench.claim().due == ()


def test_a_claim_takes_the_longest_due_first_and_no_more_than_its_limit(bench: Bench) -> None:
    for name in ("C", "B", "A"):
        bench.do(move(name, SHOP, 1))
        bench.now_ms += 1
    assert [due.sku for due in bench.claim(limit=2).due] == ["C", "B"]
    assert [due.sku for due in bench.claim(limit=2).due] == ["A"]


def test_an_expired_lease_is_claimed_again_with_the_oldest_cause(bench: Bench) -> None:
    bench.do(move("A", SHOP, 1), log_ms=NOW_MS - 900)
    first = bench.claim_one()
    bench.do(move("A", SHOP, 1), log_ms=NOW_MS - 100)
    bench.now_ms += 5000
    second = bench.claim_one()
    assert second.token > first.token
    assert (second.trust, second.first) == (False, False)
    assert second.cause_ms == NOW_MS - 900


def test_a_settled_sku_is_trusted_and_sleeps_until_its_next_look(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    due = bench.claim_one()
    item = bench.settlement(due, levels="x", next_due_ms=NOW_MS + 60_000)
    assert bench.settle(item) == 1
    assert bench.claim().due == ()
    bench.now_ms += 60_000
    again = bench.claim_one()
    assert (again.trust, again.levels, again.available, again.cause_ms) == (True, "x", 5, 0)


def test_a_change_makes_a_sleeping_sku_due_at_once(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.settle_all()
    bench.do(move("A", SHOP, -1))
    assert bench.due() == {"A": NOW_MS}


def test_a_void_makes_the_skus_of_the_order_due(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5), place_order("B", "o1", 1))
    bench.settle_all()
    bench.now_ms += 10
    bench.do(void("o1"))
    assert bench.due() == {"A": NOW_MS + 10, "B": NOW_MS + 10}


def test_a_look_falls_due_by_business_time(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.settle(bench.settlement(bench.claim_one(), next_look_ms=NOW_MS + 700))
    assert bench.claim(business_ms=NOW_MS + 699).due == ()
    assert [due.sku for due in bench.claim(business_ms=NOW_MS + 700).due] == ["A"]
    assert bench.shard.everything().look == {}


def test_settling_without_a_look_forgets_the_one_before(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.settle(bench.settlement(bench.claim_one(), next_look_ms=NOW_MS + 700))
    bench.do(move("A", SHOP, 5))
    bench.settle(bench.settlement(bench.claim_one()))
    assert bench.shard.everything().look == {}


def test_sums_of_another_policy_are_stale_until_they_are_rebuilt(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("A", SHOP, 5))
    bench.revision = bench.sums_revision = POLICY_2
    bench.places = tuple(place._replace(floor=2, klass=0) for place in bench.places)
    claimed = bench.claim()
    assert (claimed.due, claimed.stale) == ((), ("A",))
    assert bench.rebuild("A", "unknown") == 1
    due = bench.claim_one()
    assert (due.sums, due.base) == ((6,), 10)


def test_a_policy_with_the_same_classes_and_floors_leaves_sums_as_they_are(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("B", SHOP, 5))
    bench.revision = POLICY_2
    claimed = bench.claim()
    assert (claimed.stale, [due.sums for due in claimed.due]) == ((), [(5,), (0, 4)])
    bench.do(move("A", SHOP, 5))
    assert bench.claim_one().sums == (5, 4)


def test_a_sku_that_came_to_another_location_after_the_look_is_not_rebuilt(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("B", WAREHOUSE, 3))
    bench.revision = bench.sums_revision = POLICY_2
    assert bench.claim().stale == ("A", "B")
    seen = (bench.places[WAREHOUSE],)
    bench.do(move("A", SHOP, 5))
    late = Rebuild(bench.now_us, POLICY_2, POLICY_2, seen, ("A", "B"))
    assert bench.shard.rebuild(late) == 1
    claimed = bench.claim()
    assert (claimed.stale, [due.sku for due in claimed.due]) == (("A",), ["B"])
    bench.rebuild("A")
    assert bench.claim_one().sums == (5, 4)


def test_a_location_where_nothing_is_left_need_not_be_listed_for_a_rebuild(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("A", SHOP, 5))
    bench.do(move("A", SHOP, -5))
    bench.shard.rebuild(Rebuild(bench.now_us, 1, 1, (bench.places[WAREHOUSE],), ("A",)))
    assert bench.sku().sums == (5,)


def test_an_older_policy_may_neither_claim_nor_rebuild(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.revision = POLICY_2
    bench.tick()
    assert bench.shard.claim(Claim(bench.now_us, 5000, 1, 1, 0, 9)) == StalePolicy(POLICY_2)
    old = Rebuild(bench.now_us, 1, 1, bench.places, ("A",))
    assert bench.shard.rebuild(old) == StalePolicy(POLICY_2)


@pytest.mark.parametrize("skus", [3, 2000])
def test_a_newer_policy_makes_every_sku_due_and_changes_nothing_else(
    bench: Bench, skus: int
) -> None:
    bench.do(*(move(f"A{i}", SHOP, 5) for i in range(skus)))
    while (claimed := bench.claim()).due:
        bench.settle(*(bench.settlement(due) for due in claimed.due))
    before = bench.shard.everything()
    bench.now_ms += 100
    bench.tick()
    assert bench.shard.everything().due == before.due
    bench.revision = POLICY_2
    while bench.tick().touching:
        pass
    after = bench.shard.everything()
    assert set(after.due.values()) == {NOW_MS + 100}
    assert after.skus == before.skus


@pytest.mark.parametrize("skus", [3, 2000])
def test_a_recovery_makes_every_sku_due_and_trusts_nothing(bench: Bench, skus: int) -> None:
    bench.do(*(move(f"A{i}", SHOP, 5) for i in range(skus)))
    while (claimed := bench.claim()).due:
        bench.settle(*(bench.settlement(due) for due in claimed.due))
    bench.now_ms += 100
    generation = bench.recover()
    assert generation == bench.now_us
    assert set(bench.due().values()) == {NOW_MS + 100}
    claimed = bench.claim(limit=skus)
    assert (claimed.generation, claimed.recovered, len(claimed.due)) == (generation, True, skus)
    assert not any(due.trust for due in claimed.due)


def test_another_server_asks_for_a_recovery_and_a_minute_later_for_its_repetition(
    bench: Bench,
) -> None:
    assert bench.tick(server="s1").recover == 1, "a shard that knows of no server lost all it had"
    bench.recover(server="s1", begin=2)
    assert bench.tick(server="s1").recover == 0
    assert bench.tick(server="s2").recover == 1
    assert bench.tick(server="s2").recover == 1
    bench.recover(server="s2")
    assert bench.tick(server="s2").recover == 0
    bench.now_ms += 60_000
    assert bench.tick(server="s2").recover == 2
    bench.recover(server="s2", begin=2)
    bench.now_ms += 60_000
    assert bench.tick(server="s2").recover == 0


def test_going_on_with_a_recovery_that_is_done_changes_nothing(bench: Bench) -> None:
    generation = bench.recover()
    before = bench.shard.everything()
    assert bench.recover(begin=0) == generation
    assert bench.shard.everything() == before


def test_a_tick_moves_the_marks_and_tells_how_much_is_due(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.now_ms += 30
    ticked = bench.tick(parts=(Part("log/0", 0, 9), Part("log/1", -1, 4)), business_ms=77)
    assert (ticked.due, ticked.oldest_due_ms, ticked.business_ms) == (1, NOW_MS, NOW_MS)
    assert bench.shard.everything().marks == {"log/0": 9, "log/1": 4}


def test_business_time_never_goes_back(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5), time_ms=NOW_MS + 50)
    bench.do(move("A", SHOP, 5), time_ms=NOW_MS - 50)
    assert bench.tick(business_ms=NOW_MS).business_ms == NOW_MS + 50
    assert bench.tick(business_ms=NOW_MS + 60).business_ms == NOW_MS + 60
