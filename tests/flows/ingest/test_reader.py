"""Reading: where it resumes, what it refuses, and that a shard which went back is filled again."""

from pathlib import Path
from typing import Any

import pytest

from connectors.log.base import Partition
from connectors.redis.embedded import Embedded
from flows.ingest.log_retention import DURABLE_AFTER_S, EVERY_S, LogRetention
from flows.ingest.reader import Reader
from flows.ingest.resume import LogLost, begin_at, check_resume
from flows.runtime.clock import now_us
from flows.runtime.context import Runtime
from state.protocol.apply import Part
from state.protocol.control import Tick
from tests.flows.harness import engine
from tests.flows.shop import CONFIG, lines

SALES = Partition("pos.sales", 0)


def marks_of(run: Runtime, topic: str) -> list[dict[int, int]]:
    log_id = run.log.log_id(topic)
    return [
        {int(mark.rpartition("/")[2]): at for mark, at in shard.items() if mark.startswith(log_id)}
        for shard in run.store.marks()
    ]


def test_a_shard_that_lost_its_state_is_filled_again_from_the_log(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=5, B=7, C=9))
        e.ingest()
        before = {sku: e.on_hand(sku) for sku in "ABC"}
        client, keys = e.run.primaries.client, e.run.store.keys
        shard = e.packer.shard("B")
        for key in client.scan_iter(
            f"{keys.shard(shard, '*')}".replace("{", r"\{").replace("}", r"\}")
        ):
            client.delete(key)
        assert e.on_hand("B") == {}
        e.ingest()
        assert (
            {sku: e.on_hand(sku) for sku in "ABC"}
            == before
            == {s: {"wh": n} for s, n in zip("ABC", (5, 7, 9), strict=True)}
        )


def test_reading_resumes_after_the_minimum_over_all_shards_absent_ones_included(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        for n in range(3):
            e.send("pos.sale", location="s1", receipt=str(n), lines=lines(A=1))
        e.ingest()
        run = e.run
        ((n, end),) = ((n, end) for n, end in run.log.end_offsets("pos.sales").items() if end)
        mark = f"{run.log.log_id('pos.sales')}/{n}"
        assert {shard[mark] for shard in run.store.marks()} == {end - 1}
        run.primaries.client.hdel(run.store.keys.shard(5, "mark"), mark)
        e.reader._member.leave()
        fresh = Reader(run)
        fresh.next_batch(e.now_s + 10)
        assert fresh._session.chains[Partition("pos.sales", n)].last == [-1] * run.store.shards


def test_all_shards_pass_an_event_that_concerns_one_with_the_next_tick(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send("pos.sale", location="s1", receipt="1", lines=lines(A=1))
        e.ingest()
        ends = {n: end for n, end in e.run.log.end_offsets("pos.sales").items() if end}
        assert ends
        for marks in marks_of(e.run, "pos.sales"):
            assert {n: marks[n] + 1 for n in ends} == ends


def test_a_topic_made_again_while_it_is_read_stops_the_reader(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.ingest()
        e.run.log.delete("pos.sales")
        e.run.log.create("pos.sales", 4)
        e.now_s += 120
        with pytest.raises(LogLost, match="made again"):
            e.ingest()


@pytest.mark.parametrize(
    ("marks", "start", "end", "words"),
    [
        ([9, 9], 0, 5, "lost its tail"),
        ([3, 9], 6, 20, "trimmed before every shard"),
        ([-1, -1], 6, 20, "init --from"),
    ],
)
def test_marks_that_do_not_belong_to_the_log_are_refused(
    marks: list[int], start: int, end: int, words: str
) -> None:
    with pytest.raises(LogLost, match=words):
        check_resume(SALES, marks, start, end)


@pytest.mark.parametrize(
    ("marks", "start", "end"), [([-1, -1], 0, 0), ([-1, 4], 0, 5), ([5, 6], 6, 20), ([4, 4], 0, 5)]
)
def test_marks_that_belong_to_the_log_are_read_on_from(
    marks: list[int], start: int, end: int
) -> None:
    check_resume(SALES, marks, start, end)


def test_init_says_where_to_begin_in_a_log_that_nobody_read(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        for n in range(3):
            e.send("pos.sale", location="s1", receipt=str(n), lines=lines(A=1))
        ((n, end),) = ((n, end) for n, end in e.run.log.end_offsets("pos.sales").items() if end)
        chosen = begin_at(e.run, "latest")
        assert chosen[Partition("pos.sales", n)] == end - 1
        e.ingest()
        assert e.on_hand("A") == {}
        e.send("pos.sale", location="s1", receipt="9", lines=lines(A=4))
        e.ingest()
        assert e.on_hand("A") == {"s1": -4}
        assert Partition("pos.sales", n) not in begin_at(e.run, "earliest")


def test_init_refuses_a_place_that_is_none(valkey: Embedded, config: Path) -> None:
    with (
        engine(valkey, config) as e,
        pytest.raises(ValueError, match="earliest, latest or an offset"),
    ):
        begin_at(e.run, "yesterday")


def test_the_log_is_trimmed_only_behind_a_minimum_that_is_ten_minutes_old(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, log_retention_ms="1m") as e:
        for n in range(4):
            e.send("pos.sale", location="s1", receipt=str(n), lines=lines(A=1))
        e.ingest()
        ((n, _),) = ((n, end) for n, end in e.run.log.end_offsets("pos.sales").items() if end)
        partition = Partition("pos.sales", n)
        retention = LogRetention(_Later(e.run))  # type: ignore[arg-type]  # a runtime whose records are old
        retention.trim(0.0, [partition])
        assert e.run.log.start_offsets("pos.sales")[n] == 0
        retention.trim(DURABLE_AFTER_S - EVERY_S, [partition])
        assert e.run.log.start_offsets("pos.sales")[n] == 0
        retention.trim(DURABLE_AFTER_S + EVERY_S, [partition])
        assert e.run.log.start_offsets("pos.sales")[n] > 0


class _Later:
    """A runtime as it looks long after its records were written: everything is past its retention."""

    def __init__(self, run: Runtime) -> None:
        self.store, self.log, self.clock = run.store, run.log, run.clock
        self.settings = _Kept()


class _Kept:
    log_retention_ms = -3_600_000


def test_a_tick_of_a_server_with_another_identity_makes_every_level_told_again(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(valkey, config) as e:
        e.send("wms.receipt", location="wh", reference="r1", lines=lines(A=5))
        e.ingest()
        e.publish()
        assert [update["available"] for update in e.emitted("stock.updates")] == [5]
        others = ["another server"] * e.run.store.shards
        monkeypatch.setattr(type(e.run.primaries), "identities", lambda _self, _shards: others)
        e.ingest()
        e.publish()
        updates = e.emitted("stock.updates")
        assert [update["available"] for update in updates] == [5, 5]
        assert updates[1]["version"] > updates[0]["version"]


def test_a_new_revision_reaches_a_running_reader_through_the_shards(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.ingest()
        old = e.run.policy.revision
        config.write_text(CONFIG.replace("buffer: {units: 1}", "buffer: {units: 3}"))
        with engine(valkey, config) as other:
            assert other.run.policy.revision > old
            other.ingest()
            other.publish()
        e.ingest()
        e.publish()
        assert e.run.policy.revision > old


def test_every_fact_of_an_empty_shard_is_true_at_once(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        parts = (Part("log/0", -1, 7),)
        calls: dict[int, Any] = {0: Tick(now_us(), e.run.primaries.identities(1)[0], 1, 0, parts)}
        e.run.store.tick(calls)
        assert e.run.store.marks()[0]["log/0"] == 7
