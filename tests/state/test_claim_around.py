"""What a claim tells beside the figures: gates that are closed, positions at silent locations. Over both back ends."""

from state.protocol.claim import Gate
from state.protocol.control import RESYNC
from state.protocol.figures import Position
from tests.state.pools import NOW_MS, SHOP, WAREHOUSE, Bench, count, move

BOTH = Gate('"market":', ("warehouse", "shop"))
ONE = Gate('"side":', ("shop",))


def closed(bench: Bench, *gates: Gate) -> int:
    (due,) = bench.claim(gates=gates).due
    bench.settle(bench.settlement(due, levels='{"shop":1}'))
    bench.now_ms += 86_400_000
    return due.closed


def test_a_gate_is_closed_until_each_of_its_locations_was_counted(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    assert closed(bench, BOTH, ONE) == 0b11
    bench.do(count("A", SHOP, NOW_MS, 5))
    assert closed(bench, BOTH, ONE) == 0b01
    bench.do(count("A", WAREHOUSE, NOW_MS, 0))
    assert closed(bench, BOTH, ONE) == 0


def test_a_gate_is_open_once_its_channel_had_a_level_whatever_was_counted(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    due = bench.claim_one()
    bench.settle(bench.settlement(due, levels='{"market":0}')._replace(ads='{"side":["paused"]}'))
    bench.now_ms += 86_400_000
    # The rule of an ad may have the name of a channel.
    assert closed(bench, BOTH, ONE) == 0b10


def test_more_gates_than_bits_in_a_number_are_told_apart(bench: Bench) -> None:
    bench.do(count("A", SHOP, NOW_MS, 5))
    gates = tuple(BOTH if n in (3, 70) else ONE for n in range(90))
    assert closed(bench, *gates) == 1 << 3 | 1 << 70


def test_positions_at_silent_locations_come_with_the_claim(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5, unavailable=2), move("B", WAREHOUSE, 3))
    claimed = bench.claim(silent=("shop", "platform"))
    found = {due.sku: due.silent for due in claimed.due}
    assert found == {"A": (Position("shop", 5, 0, 2, 0, None),), "B": ()}


def test_a_generation_begun_afresh_ends_all_trust_and_nothing_else(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.recover(server="s1", begin=1)
    bench.tick(server="s1")
    bench.settle_all()
    before, version = bench.claim(), bench.sku().version
    assert before.due == ()
    generation = bench.recover(server="s1", begin=RESYNC)
    assert generation > before.generation
    due = bench.claim_one()
    assert (due.trust, due.first) == (False, False)
    assert version < due.token < version + 1_000_000
    bench.now_ms += 60_000
    # The recovery before it is repeated all the same.
    assert bench.tick(server="s1").recover == 2
