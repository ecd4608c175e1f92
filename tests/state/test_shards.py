"""Where a SKU lives, and how an event is known again."""

from hypothesis import given
from hypothesis import strategies as st

from state.shards import event_hash, shard_of


def test_the_shard_of_a_sku_never_changes() -> None:
    assert [shard_of(sku, 16) for sku in ("A1", "{7}", "米", "")] == [1, 6, 8, 0]


@given(st.text(max_size=128), st.integers(1, 64))
def test_every_sku_has_a_shard(sku: str, shards: int) -> None:
    assert 0 <= shard_of(sku, shards) < shards


def test_the_hash_of_an_event_never_changes_and_holds_63_bits() -> None:
    assert event_hash("/pos/s1", "e1") == "8432225697553105799"
    assert event_hash("a", "bc") != event_hash("ab", "c")
    assert all(int(event_hash("/pos", str(n))) < 2**63 for n in range(100))
