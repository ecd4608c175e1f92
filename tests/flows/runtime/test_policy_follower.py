"""Taking up a policy and code tables that another process brought, whatever became of that process."""

from pathlib import Path

import pytest

from connectors.redis.embedded import Embedded
from flows.ingest.steps import decode, normalise
from state.events.codes import Mapping
from state.policy.document import Channel, Location, Policy, Source
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

CONFIG = """
version: 1
sources: [{prefix: /test, system: till, codes: codes.csv}]
locations: [{id: s1, kind: store}]
channels: [{id: shop}]
"""
CODES = "system,code,sku,units\ntill,c1,A,1\n"


@pytest.fixture
def config(config: Path) -> Path:
    config.write_text(CONFIG)
    (config.parent / "codes.csv").write_text(CODES)
    return config


def bring_codes(e: Engine, since_ms: int) -> None:
    """As a process that dies before it brings the policy in force anew."""
    row = (Mapping("till", "c1", "B", 1),)
    e.run.shared.policy.add_codes(row, lambda: since_ms)


def test_a_policy_is_taken_up_although_no_shard_heard_of_it(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        e.ingest()
        policy = Policy(
            sources=(Source("/test", "till", has_codes=True),),
            locations=(Location("s1", "store"), Location("s2", "store")),
            channels=(Channel("shop"),),
        )
        run = e.run
        brought = run.shared.policy.activate(policy, run.clock.now_ms())
        e.ingest(1)
        assert run.policy.revision == brought.revision
        assert run.policy.compiled.knows_location("s2")


def test_codes_are_taken_up_although_the_policy_stayed(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        e.ingest()
        bring_codes(e, e.run.clock.now_ms())
        e.ingest(1)
        e.send("pos.sale", location="s1", receipt="1", lines=lines(c1=1))
        e.ingest()
        assert (e.on_hand("A"), e.on_hand("B")) == ({}, {"s1": -1})


def test_a_process_that_slept_after_its_tick_reads_no_message_by_old_codes(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.ingest()
        bring_codes(e, e.run.clock.now_ms())
        e.send("pos.sale", location="s1", receipt="1", lines=lines(c1=1))
        # As if it had looked so long ago that the message lies beyond what it may read by what it knows.
        e.run.codes_until_ms = e.run.clock.now_ms() - 1_000
        batch = e.reader.next_batch(e.now_s)
        assert batch is not None
        normal = normalise(e.run, decode(batch))
        (event,) = (event for events in normal.events.values() for event in events)
        assert event.ops[0][1] == "B"


def test_a_policy_that_the_store_lost_again_is_kept(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        run = e.run
        known = run.policy
        run.primaries.client.hset(run.store.keys.policy(), "revision", known.revision - 1)
        e.ingest(2)
        assert run.policy is known
