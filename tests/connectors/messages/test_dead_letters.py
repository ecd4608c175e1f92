import orjson
import pytest
import redis

from connectors.log.base import Appended, Log, Outgoing, Partition, Record
from connectors.log.redis.log import RedisLog
from connectors.messages import dead_letters
from connectors.messages.cloudevents import Envelope, parse
from connectors.messages.dead_letters import (
    DeadLetter,
    NotADeadLetter,
    Replay,
    from_record,
    to_message,
)

NOW_MS = 1_767_225_600_000

LETTER = DeadLetter(
    reason="lines[3].quantity: expected integer >= 1, got 0",
    step="decode",
    topic="pos.sales",
    partition=1,
    offset=42,
    log_id="2f1c",
    payload=b"\x00\xff not json",
    key=b"s001",
    headers=(("ce_id", b"\xff"), ("ce_id", b"twice")),
)


@pytest.fixture
def log(redis_client: redis.Redis) -> Log:
    made = RedisLog(redis_client)
    made.create("pos.sales", 2)
    made.create("dead.letters", 2)
    return made


def as_record(message: Outgoing) -> Record:
    return Record(message.topic, 0, 1, NOW_MS, message.key, message.headers, message.value)


def rejected(log: Log, message: Outgoing) -> DeadLetter:
    place = log.append([message])[0]
    assert isinstance(place, Appended)
    partition = Partition("pos.sales", place.partition)
    record = log.read({partition: place.offset})[0]
    letter = dead_letters.from_rejected(record, log.log_id("pos.sales"), "decode", "value: bad")
    log.append([to_message(letter, NOW_MS)])
    return letter


def test_a_letter_is_an_event_under_the_place_of_its_message() -> None:
    message = to_message(LETTER, NOW_MS)
    assert (message.topic, message.key) == ("dead.letters", b"2f1c/1/42")
    envelope = parse(as_record(message))
    assert isinstance(envelope, Envelope)
    assert (envelope.id, envelope.type) == ("2f1c/1/42", "message.rejected")
    assert envelope.time_ms == NOW_MS
    assert orjson.loads(bytes(envelope.data)) == {
        "reason": "lines[3].quantity: expected integer >= 1, got 0",
        "step": "decode",
        "topic": "pos.sales",
        "partition": 1,
        "offset": 42,
        "payload_base64": "AP8gbm90IGpzb24=",
        "key_base64": "czAwMQ==",
        "headers": [["ce_id", "/w=="], ["ce_id", "dHdpY2U="]],
    }


@pytest.mark.parametrize("payload", [None, b"", b"\xff" * 10_000_000])
def test_a_letter_comes_back_as_it_was(payload: bytes | None) -> None:
    letter = DeadLetter("r", "apply", "pos.sales", 0, 7, "a/b", payload, None)
    assert from_record(as_record(to_message(letter, NOW_MS))) == letter
    assert from_record(as_record(to_message(LETTER, NOW_MS))) == LETTER


@pytest.mark.parametrize(
    "value",
    [None, b"{", b"[]", b'{"type":"other","id":"1","data":{}}', b'{"type":"message.rejected"}'],
)
def test_another_record_is_not_a_letter(value: bytes | None) -> None:
    with pytest.raises(NotADeadLetter):
        from_record(Record("dead.letters", 0, 1, NOW_MS, None, (), value))


def test_a_letter_written_twice_is_listed_once(log: Log) -> None:
    first = rejected(log, Outgoing("pos.sales", b"s1", b"one"))
    second = rejected(log, Outgoing("pos.sales", b"s2", b"two"))
    log.append([to_message(first, NOW_MS), Outgoing("dead.letters", b"x", b"no letter")])
    listed = dead_letters.listing(log)
    assert sorted(item.letter.payload or b"" for item in listed) == [b"one", b"two"]
    assert {item.letter.id for item in listed} == {first.id, second.id}
    assert not any(item.replayed for item in listed)


def test_a_replay_puts_the_same_bytes_key_and_headers_back_once(log: Log) -> None:
    bad = Outgoing("pos.sales", b"s1", b"\xff\x00", (("content-type", b"x"),))
    letter = rejected(log, bad)
    tombstone = rejected(log, Outgoing("pos.sales", b"s1", None))
    assert dead_letters.replay(log, None, NOW_MS) == Replay(replayed=2)
    records = log.read({Partition("pos.sales", n): 0 for n in range(2)})
    again = [r for r in records if r.offset > tombstone.offset]
    assert [(r.key, r.headers, r.value) for r in again] == [
        (b"s1", (("content-type", b"x"),), b"\xff\x00"),
        (b"s1", (), None),
    ]
    assert all(item.replayed for item in dead_letters.listing(log))
    assert dead_letters.replay(log, None, NOW_MS) == Replay(skipped=2)
    assert dead_letters.replay(log, [letter.id, "nowhere/0/1"], NOW_MS) == Replay(
        replayed=1, unknown=1
    )


def test_a_message_whose_topic_is_gone_stays_a_letter(log: Log) -> None:
    rejected(log, Outgoing("pos.sales", b"s1", b"one"))
    log.delete("pos.sales")
    assert dead_letters.replay(log, None, NOW_MS) == Replay(failed=1)
    assert [item.replayed for item in dead_letters.listing(log)] == [False]


def test_a_message_of_ten_megabytes_is_kept_and_replayed_whole(log: Log) -> None:
    body = bytes(range(256)) * 40_000
    rejected(log, Outgoing("pos.sales", b"s1", body))
    assert dead_letters.replay(log, None, NOW_MS) == Replay(replayed=1)
    records = log.read({Partition("pos.sales", n): 0 for n in range(2)}, max_bytes=1 << 30)
    assert [record.value for record in records] == [body, body]
