"""Where a SKU lives, and how an event is known again."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.protocol.sharding import SLOTS, event_hash, shard_of, slot_of, tag_of


def test_the_shard_of_a_sku_never_changes() -> None:
    assert [shard_of(sku, 16) for sku in ("A1", "{7}", "米", "")] == [1, 6, 8, 0]


@given(st.text(max_size=128), st.integers(1, 64))
def test_every_sku_has_a_shard(sku: str, shards: int) -> None:
    assert 0 <= shard_of(sku, shards) < shards


def test_the_hash_of_an_event_never_changes_and_holds_63_bits() -> None:
    assert event_hash("/pos/s1", "e1") == "8432225697553105799"
    assert event_hash("a", "bc") != event_hash("ab", "c")
    assert all(int(event_hash("/pos", str(n))) < 2**63 for n in range(100))


def spread(shards: int, primaries: int) -> list[int]:
    """How many shards each of so many primaries has, when each holds an equal range of the slots."""
    bounds = [round(SLOTS * n / primaries) for n in range(1, primaries)]
    counts = [0] * primaries
    for shard in range(shards):
        counts[bisect_right(bounds, slot_of(shard))] += 1
    return counts


def test_the_tag_of_a_shard_never_changes() -> None:
    assert [tag_of(shard) for shard in (0, 1, 7, 15, 1023)] == [
        "0-552", "1-184", "7-235", "15-255", "1023-229",
    ]  # fmt: skip


def test_no_two_shards_share_a_slot() -> None:
    assert len({slot_of(shard) for shard in range(1024)}) == 1024


def test_sixteen_shards_lie_as_six_five_and_five_on_three_primaries() -> None:
    assert spread(16, 3) == [6, 5, 5]


@pytest.mark.parametrize(("shards", "apart"), [(16, 1), (32, 1), (64, 1), (256, 2), (1024, 2)])
def test_a_power_of_two_of_shards_lies_evenly_on_any_number_of_primaries(
    shards: int, apart: int
) -> None:
    for primaries in range(1, 17):
        counts = spread(shards, primaries)
        assert max(counts) - min(counts) <= apart, primaries


@given(st.integers(1, 1024), st.integers(1, 16))
def test_any_number_of_shards_lies_within_a_few_of_even(shards: int, primaries: int) -> None:
    counts = spread(shards, primaries)
    assert max(counts) - min(counts) <= 6
