"""What every log back end must do. A back end joins by a fixture that returns an empty log."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import pytest
import redis

from connectors.log.base import (
    Appended,
    AppendFailed,
    Log,
    Member,
    OffsetOutOfRange,
    Outgoing,
    Partition,
    Record,
    UnknownTopic,
    history,
    partition_of,
)
from connectors.log.kafka.log import KafkaLog
from connectors.log.redis.log import RedisLog
from tests.patience import PATIENCE_S
from tests.servers.kafka import Kafka

BACK_ENDS = ["redis_back_end", pytest.param("kafka_back_end", marks=pytest.mark.kafka)]

Shares = list[frozenset[Partition]]


@pytest.fixture
def redis_back_end(redis_client: redis.Redis) -> Log:
    return RedisLog(redis_client)


@pytest.fixture
def kafka_back_end(kafka: Kafka) -> Log:
    return KafkaLog(kafka.bootstrap, namespace=uuid.uuid4().hex)


@pytest.fixture(params=BACK_ENDS)
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    made: Log = request.getfixturevalue(request.param)
    made.create("orders", 4)
    made.create("single", 1)
    yield made
    made.close()


def placed(results: list[Appended | AppendFailed]) -> list[Appended]:
    assert all(isinstance(result, Appended) for result in results), results
    return [result for result in results if isinstance(result, Appended)]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def until(members: Sequence[Member], is_so: Callable[[Shares], bool]) -> Shares:
    """Let the members live until their shares are as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(shares := [member.heartbeat(now_ms()) for member in members]):
        assert time.monotonic() < deadline, shares
        time.sleep(0.01)
    return shares


def numbered(topic: str, count: int, key: bytes | None = b"k") -> list[Outgoing]:
    return [Outgoing(topic, key, b"%d" % i) for i in range(count)]


def read_out(log: Log, topic: str, **limits: int) -> list[Record]:
    positions = {Partition(topic, n): 0 for n in range(log.partitions(topic))}
    out: list[Record] = []
    while records := log.read(positions, **limits):
        for record in records:
            positions[Partition(record.topic, record.partition)] = record.offset + 1
        out += records
    return out


def test_creating_a_topic_again_changes_nothing(log: Log) -> None:
    log_id = log.log_id("orders")
    log.append(numbered("orders", 3))
    log.create("orders", 9)
    assert log.partitions("orders") == 4
    assert log.log_id("orders") == log_id
    assert len(read_out(log, "orders")) == 3


def test_a_topic_made_again_has_another_id_and_no_records(log: Log) -> None:
    log_id = log.log_id("orders")
    log.append(numbered("orders", 3))
    log.delete("orders")
    log.create("orders", 2)
    assert log.log_id("orders") != log_id
    assert log.partitions("orders") == 2
    assert read_out(log, "orders") == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda log: log.log_id("nowhere"),
        lambda log: log.partitions("nowhere"),
        lambda log: log.end_offsets("nowhere"),
        lambda log: log.start_offsets("nowhere"),
        lambda log: log.delete("nowhere"),
        lambda log: log.member("g", ["nowhere"], "a").heartbeat(now_ms()),
        lambda log: log.faults("nowhere"),
    ],
)
def test_a_topic_that_was_never_made_is_unknown(log: Log, ask: Callable[[Log], object]) -> None:
    with pytest.raises(UnknownTopic, match="nowhere"):
        ask(log)


def test_a_message_is_read_as_it_was_appended(log: Log) -> None:
    headers = (("ce_id", b"\xff\x00"), ("ce_id", b""), ("ü", b"1"))
    sent = [
        Outgoing("orders", b"k\x00\xff", b'{"a": 1}', headers),
        Outgoing("orders", b"k\x00\xff", b"", ()),
        Outgoing("orders", b"k\x00\xff", None, ()),
        Outgoing("orders", None, None, ()),
        Outgoing("orders", None, b"v", headers),
        Outgoing("orders", b"", b"v", ()),
    ]
    before_ms = time.time_ns() // 1_000_000 - 1_000
    places = placed(log.append(sent))
    found = {(r.partition, r.offset): r for r in read_out(log, "orders")}
    for message, place in zip(sent, places, strict=True):
        record = found[place.partition, place.offset]
        assert (record.topic, record.key, record.value, record.headers) == (
            "orders",
            message.key,
            message.value,
            message.headers,
        )
        assert before_ms <= record.timestamp_ms <= time.time_ns() // 1_000_000 + 1_000


def test_a_message_of_ten_megabytes_passes(log: Log) -> None:
    body = bytes(range(256)) * 40_000
    placed(log.append([Outgoing("single", b"k", body)] * 2))
    assert [r.value for r in log.read({Partition("single", 0): 0}, max_bytes=1)] == [body]


def test_results_come_in_the_order_of_the_messages(log: Log) -> None:
    sent = [Outgoing("orders", b"key %d" % (i % 50), b"%d" % i) for i in range(2_500)]
    places = placed(log.append(sent))
    found = {(r.partition, r.offset): r.value for r in read_out(log, "orders")}
    assert [found[p.partition, p.offset] for p in places] == [m.value for m in sent]


def test_a_key_keeps_to_its_partition_and_its_order(log: Log) -> None:
    sent = [Outgoing("orders", b"key %d" % (i % 7), b"%d" % i) for i in range(700)]
    for start in range(0, 700, 100):
        log.append(sent[start : start + 100])
    for key in {message.key for message in sent if message.key}:
        records = [r for r in read_out(log, "orders") if r.key == key]
        assert {r.partition for r in records} == {partition_of(key, 4)}
        assert [r.value for r in records] == [m.value for m in sent if m.key == key]
        assert sorted(r.offset for r in records) == [r.offset for r in records]


def test_messages_without_a_key_go_to_all_partitions(log: Log) -> None:
    places = placed(log.append(numbered("orders", 8, key=None)))
    assert sorted(place.partition for place in places) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_bad_topic_does_not_stop_the_others(log: Log) -> None:
    sent = [Outgoing("nowhere", b"k", b"1"), Outgoing("single", b"k", b"2")]
    failed, appended = log.append(sent)
    assert isinstance(failed, AppendFailed)
    assert isinstance(failed.error, UnknownTopic)
    assert "nowhere" in failed.reason
    assert isinstance(appended, Appended)
    assert log.append([]) == []


def test_nothing_is_appended_to_a_topic_deleted_by_another_process(log: Log) -> None:
    log.append(numbered("orders", 1))
    log.delete("orders")
    (failed,) = log.append(numbered("orders", 1))
    assert isinstance(failed, AppendFailed)
    log.create("orders", 4)
    assert read_out(log, "orders") == []


def test_offsets_tell_where_a_partition_starts_and_ends(log: Log) -> None:
    assert log.start_offsets("single") == log.end_offsets("single") == {0: 0}
    places = placed(log.append(numbered("single", 10)))
    assert log.start_offsets("single") == {0: 0}
    assert log.end_offsets("single") == {0: places[-1].offset + 1}
    assert log.end_offsets("orders") == {0: 0, 1: 0, 2: 0, 3: 0}


def test_reading_goes_on_from_a_position_and_can_be_repeated(log: Log) -> None:
    places = placed(log.append(numbered("single", 10)))
    position = {Partition("single", 0): places[6].offset}
    for _ in range(2):
        assert [r.value for r in log.read(position)] == [b"6", b"7", b"8", b"9"]


def test_a_read_is_bounded_in_records_and_in_bytes(log: Log) -> None:
    sent = [Outgoing("orders", b"key %d" % (i % 50), b"x" * 1_000) for i in range(400)]
    log.append(sent)
    positions = {Partition("orders", n): 0 for n in range(4)}
    assert len(log.read(positions, max_records=10)) == 10
    assert 1 <= len(log.read(positions, max_bytes=5_000)) <= 5
    assert len(log.read(positions, max_bytes=1)) == 1
    assert len(read_out(log, "orders", max_records=7)) == 400
    assert len(read_out(log, "orders", max_bytes=10_000)) == 400


def test_a_busy_partition_does_not_starve_the_others(log: Log) -> None:
    keys = {partition_of(b"%d" % i, 4): b"%d" % i for i in range(50)}
    placed(log.append([Outgoing("orders", keys[2], b"x" * 1_000)] * 3_000))
    placed(log.append([Outgoing("orders", keys[n], b"") for n in (0, 1, 3)]))
    positions = {Partition("orders", n): 0 for n in range(4)}
    seen: set[int] = set()
    read = 0
    while seen != {0, 1, 2, 3}:
        for record in log.read(positions, max_records=50):
            positions[Partition("orders", record.partition)] = record.offset + 1
            seen.add(record.partition)
            read += 1
        assert read < 2_900


def test_reading_at_the_end_waits_for_the_next_record(log: Log) -> None:
    positions = {Partition("single", 0): log.end_offsets("single")[0]}
    started = time.monotonic()
    assert log.read(positions) == []
    assert log.read(positions, wait_ms=50) == []
    assert time.monotonic() - started >= 0.04
    later = threading.Timer(0.1, log.append, [[Outgoing("single", b"k", b"v")]])
    later.start()
    asked = time.monotonic()
    records = log.read(positions, wait_ms=int(1000 * PATIENCE_S))
    later.join()
    assert [record.value for record in records] == [b"v"]
    assert time.monotonic() - asked < PATIENCE_S, "the record ends the wait, not the time"


def test_a_reader_at_the_end_has_reached_it(log: Log) -> None:
    places = placed(log.append(numbered("single", 3)))
    positions = {Partition("single", 0): places[0].offset}
    assert len(log.read(positions)) == 3
    positions = {Partition("single", 0): places[-1].offset + 1}
    while log.reached(positions) != positions:
        assert log.read(positions, wait_ms=10) == []


def test_two_threads_read_apart_from_each_other(log: Log) -> None:
    placed(log.append(numbered("single", 500)))
    partition, counts = Partition("single", 0), []

    def read_all() -> None:
        position, seen = 0, 0
        while records := log.read({partition: position}, max_records=20):
            position, seen = records[-1].offset + 1, seen + len(records)
        counts.append(seen)

    threads = [threading.Thread(target=read_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [500, 500]


def test_a_log_in_good_order_has_no_fatal_fault(log: Log) -> None:
    log.reach()
    assert not any(fault.fatal for fault in log.faults("orders"))


def test_reading_nothing_gives_nothing(log: Log) -> None:
    assert log.read({}) == []


def test_trimming_drops_the_oldest_and_a_reader_behind_it_is_told(log: Log) -> None:
    places = placed(log.append(numbered("single", 10)))
    partition = Partition("single", 0)
    assert log.trim("single", 0, places[4].offset) == 4
    assert log.start_offsets("single") == {0: places[4].offset}
    for wanted in (0, places[3].offset):
        with pytest.raises(OffsetOutOfRange, match=r"single/0") as caught:
            log.read({partition: wanted})
        assert (caught.value.partition, caught.value.start) == (partition, places[4].offset)
    assert len(log.read({partition: places[4].offset})) == 6
    assert log.trim("single", 0, places[4].offset) == 0


def test_trimming_behind_the_end_leaves_the_newest_record(log: Log) -> None:
    places = placed(log.append(numbered("single", 3)))
    log.trim("single", 0, places[-1].offset + 100)
    assert log.end_offsets("single") == {0: places[-1].offset + 1}
    assert placed(log.append(numbered("single", 1)))[0].offset == places[-1].offset + 1
    with pytest.raises(OffsetOutOfRange):
        log.read({Partition("single", 0): 0})


def test_the_history_of_a_topic_ends_where_it_ended(log: Log) -> None:
    log.append([Outgoing("orders", b"key %d" % (i % 50), b"%d" % i) for i in range(2_000)])
    seen = 0
    for _ in history(log, "orders"):
        if seen == 0:
            log.append(numbered("orders", 5))
        seen += 1
    assert seen == 2_000


def test_two_writers_at_once_lose_nothing(log: Log) -> None:
    def write(name: int) -> None:
        for i in range(20):
            placed(
                log.append(
                    [Outgoing("single", b"k", b"%d:%d" % (name, i * 10 + j)) for j in range(10)]
                )
            )

    writers = [threading.Thread(target=write, args=[name]) for name in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    values = [(r.value or b"").split(b":") for r in read_out(log, "single")]
    for name in (b"0", b"1"):
        assert [int(i) for who, i in values if who == name] == list(range(200))


def test_members_share_out_every_partition_once(log: Log) -> None:
    every = {Partition("orders", n) for n in range(4)} | {Partition("single", 0)}
    members = [log.member("readers", ["single", "orders"], name) for name in ("a", "b", "c")]
    until(members[:1], lambda shares: shares == [every])

    def is_fair(shares: Shares) -> bool:
        return all(shares) and sorted(p for share in shares for p in share) == sorted(every)

    until(members, is_fair)
    for member in members:
        member.leave()


def test_a_member_that_leaves_is_replaced(log: Log) -> None:
    first, second = members = [log.member("readers", ["orders"], name) for name in ("a", "b")]
    until(members, lambda shares: [len(share) for share in shares] == [2, 2])
    second.leave()
    until([first], lambda shares: len(shares[0]) == 4)
    first.leave()


def test_a_member_may_come_back(log: Log) -> None:
    member = log.member("readers", ["orders"], "a")
    until([member], lambda shares: len(shares[0]) == 4)
    member.leave()
    until([member], lambda shares: len(shares[0]) == 4)
    member.leave()


def test_what_a_member_commits_changes_nothing_of_what_is_read(log: Log) -> None:
    placed(log.append(numbered("single", 5)))
    member = log.member("readers", ["single"], "a")
    until([member], lambda shares: len(shares[0]) == 1)
    member.commit({Partition("single", 0): 4, Partition("orders", 3): 1})
    member.heartbeat(now_ms())
    assert len(log.read({Partition("single", 0): 0})) == 5
    member.leave()


def test_groups_do_not_see_each_other(log: Log) -> None:
    one, two = (log.member(group, ["orders"], "a") for group in ("one", "two"))
    until([one, two], lambda shares: [len(share) for share in shares] == [4, 4])
    one.leave()
    two.leave()
