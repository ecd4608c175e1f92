"""A batch with more of one shard than a call may have is applied by several calls, once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.log.base import Outgoing
from connectors.messages.cloudevents import structured
from connectors.redis.embedded import Embedded
from flows.ingest.steps import apply, decode, normalise
from flows.runtime.clock import now_ms
from state.protocol.apply import Apply
from state.protocol.pack import CALL_OPS_MAX
from state.store.shards import Store
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

EVENTS = 3 * CALL_OPS_MAX


def send(e: Engine, events: int, name: str = "s") -> None:
    """Append sales of one SKU to one partition, every third of them twice."""
    data = {"location": "s1", "receipt": "r", "lines": lines(HOT=1)}
    sales = [structured(f"{name}{n}", "/test", "pos.sale", now_ms(), data) for n in range(events)]
    sales += sales[::3]
    e.run.log.append([Outgoing("pos.sales", b"s1", sale) for sale in sales])


def test_all_of_it_counts_once_copies_in_other_calls_included(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops: list[int] = []
    apply_to_store = Store.begin_apply

    def counted(store: Store, rounds: Sequence[Mapping[int, Apply]]) -> Callable[[], Any]:
        ops.extend(
            sum(len(event.ops) for part in call.parts for event in part.events)
            for calls in rounds
            for call in calls.values()
        )
        return apply_to_store(store, rounds)

    with engine(valkey, config, batch_events=2 * EVENTS) as e:
        monkeypatch.setattr(Store, "begin_apply", counted)
        send(e, EVENTS)
        outcomes = e.ingest()
        assert max(outcome.events for outcome in outcomes) > 2 * CALL_OPS_MAX
        assert sum(outcome.events for outcome in outcomes) == EVENTS + EVENTS // 3
        assert sum(outcome.duplicates for outcome in outcomes) == EVENTS // 3
        assert e.on_hand("HOT") == {"s1": -EVENTS}
    assert max(ops) == CALL_OPS_MAX
    assert sum(ops) == EVENTS + EVENTS // 3


def test_a_shard_that_is_behind_ends_the_batch_and_is_filled_again(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, batch_events=2 * EVENTS) as e:
        send(e, 30)
        e.ingest()
        send(e, EVENTS, "t")
        batch = e.reader.next_batch(e.now_s)
        assert batch is not None
        client, keys, shard = e.run.primaries.client, e.run.store.keys, e.packer.shard("HOT")
        slice_ = e.run.slice_of(now_ms())
        client.delete(*(keys.shard(shard, name) for name in ("mark", "pos:HOT", f"seen:{slice_}")))
        outcome = apply(e.run, e.packer, normalise(e.run, decode(batch)))
        assert outcome.lost
        e.ingest()
        assert e.on_hand("HOT") == {"s1": -30 - EVENTS}
