import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors.log.base import (
    Appended,
    AppendFailed,
    LogFull,
    LogUnavailable,
    Outgoing,
    Partition,
)
from connectors.log.redis.log import Cap, RedisLog
from connectors.redis.embedded import Embedded

INPUT = Partition("pos.sales", 0)
OUTPUT = Partition("stock.updates", 0)


def log_of(client: redis.Redis, namespace: str = "", cap: Cap | None = None) -> RedisLog:
    log = RedisLog(client, namespace, cap)
    log.create("pos.sales", 1)
    log.create("stock.updates", 1)
    return log


def test_an_entry_has_the_offset_as_id_and_only_the_fields_it_needs(
    redis_client: redis.Redis,
) -> None:
    log = RedisLog(redis_client, now_ms=lambda: 1_000)
    log.create("pos.sales", 1)
    log.append([Outgoing("pos.sales", b"k", b"v"), Outgoing("pos.sales", None, None)])
    entries = redis_client.xrange("log:pos.sales:0")
    assert entries == [
        (b"1-0", {b"ts": b"1000", b"v": b"v", b"k": b"k"}),
        (b"2-0", {b"ts": b"1000"}),
    ]


def test_a_time_stamp_never_goes_below_the_one_before(redis_client: redis.Redis) -> None:
    clock = iter([2_000, 1_000, 3_000])
    log = RedisLog(redis_client, now_ms=lambda: next(clock))
    log.create("pos.sales", 1)
    for _ in range(3):
        log.append([Outgoing("pos.sales", b"k", b"v")])
    assert [record.timestamp_ms for record in log.read({INPUT: 0})] == [2_000, 2_000, 3_000]


def test_a_namespace_prefixes_every_key_and_no_topic(redis_client: redis.Redis) -> None:
    log = log_of(redis_client, "x")
    log.append([Outgoing("pos.sales", b"k", b"v")])
    log.member("readers", ["pos.sales"], "a").heartbeat(0)
    assert set(redis_client.keys()) == {
        b"x:log:topics",
        b"x:log:pos.sales:0",
        b"x:log:members:readers",
    }
    assert [record.topic for record in log.read({INPUT: 0})] == ["pos.sales"]
    other = log_of(redis_client, "y")
    assert other.log_id("pos.sales") != log.log_id("pos.sales")
    assert other.read({INPUT: 0}) == []


@pytest.mark.parametrize("cap", [Cap(records=10), Cap(bytes=10_000)])
def test_an_input_at_its_cap_refuses_and_loses_nothing(redis_client: redis.Redis, cap: Cap) -> None:
    log = log_of(redis_client, cap=cap)
    sent = [Outgoing("pos.sales", b"k", b"x" * 1_000)] * 10
    assert all(isinstance(result, Appended) for result in log.append(sent))
    (refused,) = log.append(sent[:1])
    assert isinstance(refused, AppendFailed)
    assert isinstance(refused.error, LogFull)
    assert "10 records" in refused.reason
    assert len(log.read({INPUT: 0})) == 10
    log.trim("pos.sales", 0, 8)
    assert log.append(sent[:1]) == [Appended("pos.sales", 0, 11)]


@pytest.mark.parametrize("cap", [Cap(records=1_000), Cap(bytes=1_000_000)])
def test_an_output_at_its_cap_drops_its_oldest(redis_client: redis.Redis, cap: Cap) -> None:
    log = log_of(redis_client, cap=cap)
    batch = [Outgoing("stock.updates", b"k", b"x" * 1_000)] * 100
    for _ in range(50):
        assert isinstance(log.append(batch)[-1], Appended)
    assert 800 <= redis_client.xlen("log:stock.updates:0") <= 1_300
    assert log.start_offsets("stock.updates")[0] > 3_500
    assert log.end_offsets("stock.updates") == {0: 5_001}


def held_bytes(client: redis.Redis, partition: Partition) -> int:
    return int(client.hget("log:topics", f"{partition.topic}:{partition.n}") or 0)


def test_one_large_record_among_small_ones_counts_as_what_it_is(redis_client: redis.Redis) -> None:
    log = log_of(redis_client, cap=Cap(bytes=20_000_000))
    small = [Outgoing("pos.sales", b"k", b"x" * 200)] * 500
    for _ in range(5):
        log.append(small)
    log.append([Outgoing("pos.sales", b"k", b"x" * 10_000_000)])
    for _ in range(8):
        assert isinstance(log.append(small)[-1], Appended)
    held = redis_client.memory_usage("log:pos.sales:0", samples=0)
    assert held is not None
    assert 0.8 * held < held_bytes(redis_client, INPUT) < 1.1 * held


def test_a_trim_takes_its_share_off_the_bytes_counted(redis_client: redis.Redis) -> None:
    log = log_of(redis_client)
    log.append([Outgoing("pos.sales", b"k", b"x" * 1_000)] * 100)
    full = held_bytes(redis_client, INPUT)
    assert 100_000 < full < 105_000
    assert log.trim("pos.sales", 0, 76) == 75
    assert held_bytes(redis_client, INPUT) == full // 4
    assert log.trim("pos.sales", 0, 76) == 0
    assert held_bytes(redis_client, INPUT) == full // 4


def test_a_topic_made_again_holds_no_bytes(redis_client: redis.Redis) -> None:
    log = log_of(redis_client)
    log.append([Outgoing("pos.sales", b"k", b"v")])
    log.delete("pos.sales")
    assert redis_client.hkeys("log:topics") == [b"stock.updates"]


def test_a_full_input_does_not_stop_an_output(redis_client: redis.Redis) -> None:
    log = log_of(redis_client, cap=Cap(records=1))
    sent = [Outgoing("pos.sales", b"k", b"v"), Outgoing("stock.updates", b"k", b"v")]
    log.append(sent)
    refused, appended = log.append(sent)
    assert isinstance(refused, AppendFailed)
    assert appended == Appended("stock.updates", 0, 2)


def test_a_writer_finds_a_topic_that_another_process_made_again(redis_client: redis.Redis) -> None:
    ours, theirs = log_of(redis_client), log_of(redis_client)
    ours.append([Outgoing("pos.sales", b"k", b"old")] * 3)
    theirs.delete("pos.sales")
    theirs.create("pos.sales", 1)
    assert ours.append([Outgoing("pos.sales", b"k", b"new")]) == [Appended("pos.sales", 0, 1)]


def test_functions_that_the_server_lost_are_loaded_again(redis_client: redis.Redis) -> None:
    log = log_of(redis_client)
    redis_client.function_flush()
    assert log.append([Outgoing("pos.sales", b"k", b"v")]) == [Appended("pos.sales", 0, 1)]
    redis_client.function_flush()
    assert log.end_offsets("pos.sales") == {0: 2}


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_of_redis_read_the_same(valkey: Embedded, protocol: int) -> None:
    with redis.Redis(unix_socket_path=valkey.socket, protocol=protocol) as client:
        client.flushall()
        log = log_of(client)
        log.append([Outgoing("pos.sales", b"k", b"v", (("a", b"b"),))])
        assert [record.value for record in log.read({INPUT: 0, OUTPUT: 0})] == [b"v"]
        assert log.read({INPUT: 2}) == []


def test_a_server_that_is_away_is_reported_and_not_a_crash(tmp_path: object) -> None:
    with redis.Redis(unix_socket_path=f"{tmp_path}/nobody", retry=Retry(NoBackoff(), 0)) as client:
        log = RedisLog(client)
        with pytest.raises(LogUnavailable):
            log.create("pos.sales", 1)
        with pytest.raises(LogUnavailable):
            log.read({INPUT: 0})
        (failed,) = log.append([Outgoing("pos.sales", b"k", b"v")])
        assert isinstance(failed, AppendFailed)
        assert isinstance(failed.error, LogUnavailable)


@pytest.mark.parametrize(("topic", "partitions"), [("", 1), ("a:b", 1), ("a\n", 1), ("a", 0)])
def test_a_topic_name_that_would_break_a_key_is_refused(
    redis_client: redis.Redis, topic: str, partitions: int
) -> None:
    with pytest.raises(ValueError, match="topic: expected"):
        RedisLog(redis_client).create(topic, partitions)
