"""A batch is read and understood while Redis applies the one before it, and that changes nothing else."""

from pathlib import Path
from typing import Any

import redis

from connectors.redis.embedded import Embedded
from flows.ingest.read_session import Batch
from flows.ingest.reader import TICK_S
from flows.ingest.steps import decode, guard, normalise, send, to_dead_letters
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

BATCH = 10


def sell(e: Engine, batches: int) -> None:
    for _ in range(batches * BATCH):
        e.send("pos.sale", location="s1", receipt="r", lines=lines(A=1))


def sent(e: Engine) -> Batch:
    """Read a batch and send it, without waiting for what becomes of it."""
    batch = e.reader.next_batch(e.now_s)
    assert batch is not None
    send(e.run, e.packer, to_dead_letters(e.run, guard(e.run, normalise(e.run, decode(batch)))))
    return batch


def send_all(e: Engine) -> None:
    """Send what is left to read; when nothing is, the last batch has been waited for."""
    while (batch := e.reader.next_batch(e.now_s)) is not None:
        send(e.run, e.packer, to_dead_letters(e.run, guard(e.run, normalise(e.run, decode(batch)))))


def test_a_batch_is_waited_for_when_the_next_one_is_sent(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, batch_events=BATCH) as e:
        sell(e, 2)
        e.ingest(rounds=0)
        e.now_s += TICK_S
        run = sent(e).run
        assert (run.outstanding, run.in_flight is None) == (1, False)
        assert sent(e).run is run
        assert (run.outstanding, run.in_flight is None) == (1, False)
        send_all(e)
        assert (run.outstanding, run.in_flight is None) == (0, True)
        assert e.on_hand("A") == {"s1": -2 * BATCH}


def test_a_batch_under_way_is_waited_for_before_the_shards_are_told_how_far_all_is_applied(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, batch_events=BATCH) as e:
        e.send("pos.sale", location="s1", receipt="r", lines=lines(A=1))
        e.now_s += TICK_S
        batch = sent(e)
        assert batch.run.outstanding == 1
        e.now_s += TICK_S
        assert e.reader.next_batch(e.now_s) is None
        assert batch.run.outstanding == 0
        (at,) = batch.upto.values()
        assert all(at in marks.values() for marks in e.run.store.marks())
        assert e.on_hand("A") == {"s1": -1}


def test_a_batch_whose_answers_are_cut_off_counts_once(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, batch_events=BATCH) as e:
        sell(e, 2)
        e.now_s += TICK_S
        run = sent(e).run
        with redis.Redis(unix_socket_path=valkey.socket) as other:
            other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        send_all(e)
        assert not run.behind
        assert e.on_hand("A") == {"s1": -2 * BATCH}
        counters = e.run.store.counters()
        assert (counters["applied"], counters["duplicates"]) == (2 * BATCH, 0)


def test_a_server_that_has_lost_the_functions_gets_them_again(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, batch_events=BATCH) as e:
        sell(e, 1)
        e.now_s += TICK_S
        batch = e.reader.next_batch(e.now_s)
        assert batch is not None
        client: Any = e.run.primaries.client
        client.execute_command("FUNCTION", "FLUSH")
        send(e.run, e.packer, to_dead_letters(e.run, guard(e.run, normalise(e.run, decode(batch)))))
        send_all(e)
        assert e.on_hand("A") == {"s1": -BATCH}


def test_a_shard_that_is_found_behind_drops_what_was_read_meanwhile_and_all_is_read_again(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, batch_events=BATCH) as e:
        sell(e, 1)
        e.ingest()
        sell(e, 2)
        shard = e.packer.shard("A")
        client: Any = e.run.primaries.client
        client.delete(*client.keys(e.run.store.keys.shard(shard, "*")))
        run = sent(e).run
        sent(e)
        assert run.behind
        e.ingest()
        assert e.on_hand("A") == {"s1": -3 * BATCH}
