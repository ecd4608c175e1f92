"""A slow store or log slows the flows: what is in hand stays bounded, and everything goes on after."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.redis.embedded import Embedded
from flows.ingest import reader as reading
from flows.ingest.read_session import Batch
from flows.ingest.steps import apply, decode, guard, normalise, to_dead_letters
from flows.runtime.claim_loop import OUTSTANDING_MAX
from tests.flows.harness import Engine, engine
from tests.flows.shop import Shop, event, lines
from tests.patience import eventually
from tests.servers.redis_servers import RedisServer

BATCH = 10
IN_FLIGHT = 100
WAITING = 30_000
TURNS_MAX = 5
NOTE = "x" * 900
PAUSED_S = 3.0
FLAT_BYTES = 8 << 20


def reads(redis: Any) -> int:
    """How often any client has read from the log of this server."""
    stats = redis.info("commandstats")
    return int(stats.get("cmdstat_xread", {}).get("calls", 0))


def read_from(e: Engine) -> int:
    """How many records the reader has read in its run."""
    return sum(chain.position for chain in e.reader._session.chains.values())


def asked_often(e: Engine) -> list[Batch]:
    """The batches that a reader hands on, asked a hundred times while nothing is applied."""
    return [batch for _ in range(100) if (batch := e.reader.next_batch(e.now_s)) is not None]


def test_a_reader_hands_on_two_batches_and_reads_no_further_until_one_is_applied(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, batch_events=BATCH) as e:
        for n in range(12 * BATCH):
            e.send("pos.sale", key=str(n), location="s1", receipt=str(n), lines=lines(A=1))
        e.ingest(rounds=0)
        e.now_s += 1
        batches = asked_often(e)
        assert len(batches) == reading.OUTSTANDING_MAX == 2
        at = read_from(e)
        assert sum(len(batch.records) for batch in batches) <= 2 * BATCH
        before = reads(e.run.primaries.client)
        assert asked_often(e) == []
        assert (reads(e.run.primaries.client), read_from(e)) == (before, at)

        for applied in range(2):
            apply(
                e.run,
                e.packer,
                to_dead_letters(e.run, guard(e.run, normalise(e.run, decode(batches[applied])))),
            )
            batches += asked_often(e)
            assert len(batches) == 3 + applied
        for batch in batches[2:]:
            apply(
                e.run,
                e.packer,
                to_dead_letters(e.run, guard(e.run, normalise(e.run, decode(batch)))),
            )
        e.ingest()
        assert e.on_hand("A") == {"s1": -12 * BATCH}


def test_a_publisher_claims_no_more_until_what_it_claimed_is_settled(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        for sku in ("A", "B"):
            e.send("pos.sale", location="s1", receipt=sku, lines=lines(**{sku: 1}))
            e.ingest()
            time.sleep(e.run.settings.tick_ms / 1000 + 0.002)
            claims = e.claimer.next_claims(e.now_s)
            assert (claims is None) == (sku == "B")
        assert e.claimer.loop._outstanding == OUTSTANDING_MAX == 1


def memory_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def emit(shop: Shop, first: int, number: int) -> None:
    text = b"\n".join(
        orjson.dumps(
            event(
                n, "wms.adjustment",
                location="s1", reason="r", actor="a", note=NOTE, lines=lines(**{f"A{n % 9}": 1}),
            )
        )
        for n in range(first, first + number)
    )  # fmt: skip
    done = shop.penstock("emit", "-", given=text)
    assert done.stdout.splitlines()[-1] == f"emit: appended={number} failed=0", done.stderr


def paused_amid(shop: Shop, redis: Any, worker: subprocess.Popen[bytes]) -> int:
    """Pause the store while the worker has much to do. Return how many events there are."""
    for turn in range(TURNS_MAX):
        there = turn * WAITING
        worker.send_signal(signal.SIGSTOP)
        emit(shop, there, WAITING)
        worker.send_signal(signal.SIGCONT)
        assert eventually(partial(has_applied, redis, there + 1))
        redis.execute_command("CLIENT PAUSE", 60_000, "WRITE")
        if offsets_applied(redis) < there + WAITING - 4 * IN_FLIGHT:
            return there + WAITING
        redis.execute_command("CLIENT UNPAUSE")
        assert eventually(partial(has_applied, redis, there + WAITING))
    raise AssertionError("the worker was done before the store was slow")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_while_the_store_is_paused_a_worker_reads_nothing_more_and_its_memory_stays_flat(
    tmp_path: Path, redis_debian: RedisServer
) -> None:
    shop = Shop(tmp_path, PENSTOCK_REDIS=redis_debian.url, PENSTOCK_BATCH_EVENTS=str(IN_FLIGHT))
    assert shop.penstock("init").returncode == 0
    redis: Any = redis_debian.client
    worker = shop.start("run", "ingest")
    try:
        there = paused_amid(shop, redis, worker)
        read, resident = reads(redis), memory_bytes(worker.pid)
        applied = offsets_applied(redis)
        time.sleep(PAUSED_S)
        assert worker.poll() is None
        assert reads(redis) - read <= reading.OUTSTANDING_MAX
        assert offsets_applied(redis) == applied
        assert abs(memory_bytes(worker.pid) - resident) < FLAT_BYTES
        redis.execute_command("CLIENT UNPAUSE")
        assert eventually(lambda: offsets_applied(redis) == there)
        assert sum(found["available"] for found in shop.end_state()) == there
    finally:
        redis.execute_command("CLIENT UNPAUSE")
        shop.close()


def offsets_applied(redis: Any) -> int:
    """The newest offset that any shard has applied, of all partitions: the first of a log on Redis is 1."""
    newest: dict[bytes, int] = {}
    for key in redis.scan_iter(match="*:mark", count=1000):
        for mark, offset in redis.hgetall(key).items():
            newest[mark] = max(newest.get(mark, -1), int(offset))
    return sum(max(0, offset) for offset in newest.values())


def has_applied(redis: Any, events: int) -> bool:
    return offsets_applied(redis) >= events
