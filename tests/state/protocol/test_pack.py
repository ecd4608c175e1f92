"""From normalised events to one call per shard."""

from collections import Counter

from state.events.ops import CONSUME, COUNT, MOVE, ORDER, SHIP, VOID, Op
from state.protocol.apply import Apply, Part
from state.protocol.common import LocationTerms
from state.protocol.pack import CALL_OPS_MAX, Chain, NormalEvent, Packer, rounds
from state.protocol.sharding import shard_of

SHARDS = 4
FLOORS = {"shop": 1, "warehouse": 0}
SKUS = [f"sku-{i}" for i in range(40)]


def event(offset: int, *ops: Op) -> NormalEvent:
    return NormalEvent(offset, str(offset), 7, 1000 + offset, 2000 + offset, ops)


def move(sku: str, location: str = "shop", delta: int = -1) -> Op:
    return (MOVE, sku, location, delta, 0, 0)


def place(sku: str, location: str) -> LocationTerms:
    return LocationTerms(location, 0, FLOORS[location], 1)


def pack(
    packer: Packer, chain: Chain, *events: NormalEvent, position: int = 99
) -> dict[int, Apply]:
    return packer.pack([(chain, position, events)], place, 5, 1)


def sku_of(shard: int) -> str:
    return next(sku for sku in SKUS if shard_of(sku, SHARDS) == shard)


def test_every_line_goes_to_the_shard_of_its_sku() -> None:
    calls = pack(
        Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), event(0, *(move(sku) for sku in SKUS))
    )
    for shard, call in calls.items():
        (part,) = call.parts
        assert all(shard_of(op[1], SHARDS) == shard for op in part.events[0].ops)
    assert sum(len(call.parts[0].events[0].ops) for call in calls.values()) == len(SKUS)


def test_all_lines_of_an_event_for_a_shard_are_one_entry_of_one_call() -> None:
    chain, packer = Chain.starting("p", -1, SHARDS), Packer(SHARDS, 1)
    events = [event(i, *(move(sku) for sku in SKUS)) for i in range(3)]
    calls = pack(packer, chain, *events)
    for call in calls.values():
        assert [each.offset for each in call.parts[0].events] == [0, 1, 2]


def test_each_event_is_at_home_in_exactly_one_shard() -> None:
    chain, packer = Chain.starting("p", -1, SHARDS), Packer(SHARDS, 1)
    events = [event(i, *(move(sku) for sku in SKUS[i:])) for i in range(30)]
    events.append(event(30, (VOID, "", "o1", "")))
    homes: Counter[int] = Counter()
    for call in pack(packer, chain, *events).values():
        for each in call.parts[0].events:
            homes[each.offset] += each.home
    assert homes == dict.fromkeys(range(31), 1)


def test_a_cancel_without_lines_goes_to_every_shard() -> None:
    calls = pack(Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), event(0, (VOID, "", "o1", "")))
    assert sorted(calls) == list(range(SHARDS))
    assert {call.parts[0].events[0].order for call in calls.values()} == {"o1"}


def test_a_hold_is_used_up_wherever_its_event_has_lines_and_names_no_order() -> None:
    ops: list[Op] = [move(sku_of(0)), move(sku_of(2)), (CONSUME, "", "h", "")]
    calls = pack(Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), event(0, *ops))
    found = {shard: call.parts[0].events[0] for shard, call in calls.items()}
    assert {shard: each.ops[-1] for shard, each in found.items()} == dict.fromkeys((0, 2), ops[-1])
    assert {each.order for each in found.values()} == {""}


def test_an_event_names_its_order_in_every_shard_that_it_touches() -> None:
    ops: list[Op] = [(ORDER, sku_of(0), "o1", "shopee", 1), (ORDER, sku_of(1), "o1", "shopee", 1)]
    calls = pack(Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), event(0, *ops))
    assert [calls[shard].parts[0].events[0].order for shard in (0, 1)] == ["o1", "o1"]


def test_each_call_builds_on_the_one_before_it_to_that_shard() -> None:
    chain, packer = Chain.starting("p", 9, SHARDS), Packer(SHARDS, 1)
    first = pack(packer, chain, event(10, move(sku_of(0))), event(12, move(sku_of(1))), position=13)
    second = pack(packer, chain, event(20, move(sku_of(0))), position=25)
    assert [part[:3] for part in first[0].parts] == [("p", 9, 10)]
    assert [part[:3] for part in first[1].parts] == [("p", 9, 12)]
    assert [part[:3] for part in second[0].parts] == [("p", 10, 20)]
    assert sorted(second) == [0]
    assert chain.position == 25


def test_catching_up_states_that_nothing_lies_between_the_last_call_and_the_position() -> None:
    chain, packer = Chain.starting("p", 9, 2), Packer(2, 1)
    sku = next(sku for sku in SKUS if shard_of(sku, 2) == 1)
    pack(packer, chain, event(10, move(sku)), position=25)
    assert chain.catch_up() == [Part("p", 9, 25), Part("p", 10, 25)]
    assert chain.last == [25, 25]


def test_partitions_of_one_batch_share_the_call_but_not_the_chain() -> None:
    left, right = Chain.starting("p", -1, SHARDS), Chain.starting("q", 4, SHARDS)
    batch = [(left, 0, [event(0, move(sku_of(2)))]), (right, 5, [event(5, move(sku_of(2)))])]
    calls = Packer(SHARDS, 1).pack(batch, place, 5, 1)
    assert [part[:3] for part in calls[2].parts] == [("p", -1, 0), ("q", 4, 5)]


def test_an_op_names_its_place_by_the_index_in_its_own_call() -> None:
    sku = sku_of(3)
    ops: list[Op] = [
        move(sku, "warehouse"),
        (COUNT, sku, "shop", 8, 3),
        move(sku, "warehouse"),
        (SHIP, sku, "o1", "", 1, "warehouse"),
    ]
    call = pack(Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), event(0, *ops))[3]
    assert [each.location for each in call.places] == ["warehouse", "shop"]
    packed = call.parts[0].events[0].ops
    assert [op[2] for op in packed] == [0, 1, 0, "o1"]
    assert packed[3] == (SHIP, sku, "o1", "", 1, "warehouse")


def test_a_batch_of_rejected_events_moves_the_position_and_calls_nobody() -> None:
    chain = Chain.starting("p", 9, SHARDS)
    assert pack(Packer(SHARDS, 1), chain, position=30) == {}
    assert (chain.position, chain.last) == (30, [9] * SHARDS)


def cut(events: list[NormalEvent], ops_max: int) -> list[Apply]:
    """The calls of the only shard for the events of two partitions, one half each."""
    half = len(events) // 2
    chains = [Chain.starting(mark, events[i].offset - 1, 1) for mark, i in (("p", 0), ("q", half))]
    batch = [
        (chain, mine[-1].offset, mine)
        for chain, mine in zip(chains, (events[:half], events[half:]), strict=True)
    ]
    calls = Packer(1, 1).pack(batch, place, 5, 1)
    return [call for turn in rounds(calls, ops_max) for call in turn.values()]


def test_a_call_with_few_ops_is_made_as_it_is() -> None:
    calls = pack(Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), event(0, *map(move, SKUS)))
    assert list(rounds(calls)) == [calls]
    assert list(rounds({})) == []


def test_a_call_with_many_ops_is_cut_between_events() -> None:
    events = [event(n, *map(move, SKUS[: 1 + n % 4])) for n in range(40)]
    pieces = cut(events, 10)
    assert len(pieces) > 1
    for piece in pieces:
        assert 0 < sum(len(each.ops) for part in piece.parts for each in part.events) <= 10
    offsets = [each.offset for piece in pieces for part in piece.parts for each in part.events]
    assert offsets == list(range(40))


def test_the_pieces_of_a_call_build_on_each_other_without_a_gap() -> None:
    events = [event(n, *map(move, SKUS[: 1 + n % 4])) for n in range(40)]
    (whole,) = cut(events, CALL_OPS_MAX)
    reached = {part.watermark: part.after for part in whole.parts}
    for piece in cut(events, 10):
        for mark, after, upto, mine in piece.parts:
            assert after == reached[mark]
            assert [each for each in mine if not after < each.offset <= upto] == []
            reached[mark] = upto
    assert reached == {part.watermark: part.upto for part in whole.parts}


def test_an_event_with_more_ops_than_a_call_may_have_is_a_call_of_its_own() -> None:
    big = event(1, *map(move, SKUS[:30]))
    pieces = cut([event(0, move("a")), big, event(2, move("a")), event(3, move("a"))], 10)
    assert [len(part.events[0].ops) for part in pieces[1].parts] == [30]
    assert len(pieces) == 3


def test_shards_with_little_to_do_are_not_asked_again() -> None:
    hot, cold = sku_of(0), sku_of(1)
    events = [event(n, move(hot)) for n in range(25)] + [event(25, move(cold))]
    calls = pack(Packer(SHARDS, 1), Chain.starting("p", -1, SHARDS), *events)
    assert [sorted(turn) for turn in rounds(calls, 10)] == [[0, 1], [0], [0]]
