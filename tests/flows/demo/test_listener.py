"""What the demo's listener hears, writes down and measures."""

from pathlib import Path

import orjson
import redis

from connectors.log.base import Outgoing
from connectors.log.redis.log import RedisLog
from flows.demo.listener import TOPICS, Listener
from state.events.timestamps import ms_rfc3339

NOW_MS = 1_767_225_600_000


def update(sku: str, cause_ms: int) -> Outgoing:
    value = orjson.dumps({"data": {"sku": sku, "cause_time": ms_rfc3339(cause_ms)}})
    return Outgoing("stock.updates", sku.encode(), value)


def signal(kind: str) -> Outgoing:
    return Outgoing("ads.signals", b"rule:A", b'{"type":"%b"}' % kind.encode())


def test_everything_said_is_written_down_as_tail_prints_it_and_measured(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    log = RedisLog(redis_client, now_ms=lambda: NOW_MS)
    for topic in TOPICS:
        log.create(topic, 2)
    heard = Listener(log, tmp_path)
    heard.since_ms = NOW_MS - 100
    log.append(
        [update(f'"{i}"', NOW_MS - i) for i in range(0, 200, 20)]
        + [signal("ad.pause"), signal("ad.resume"), signal("ad.pause")]
    )
    heard.start()
    heard.finish()
    lines = (tmp_path / "stock.updates.jsonl").read_bytes().splitlines()
    emitted = [orjson.loads(line) for line in lines]
    assert {each["key"] for each in emitted} == {f'"{i}"' for i in range(0, 200, 20)}
    assert {(each["partition"], each["offset"]) for each in emitted} == {
        (n, offset)
        for n, end in log.end_offsets("stock.updates").items()
        for offset in range(1, end)
    }
    assert list(emitted[0]) == [
        "topic", "partition", "offset", "timestamp_ms", "key", "headers", "value"
    ]  # fmt: skip
    assert all(each["value"]["data"]["sku"] == each["key"] for each in emitted)
    assert heard.counts == {"stock.updates": 10, "ads.signals": 3, "dead.letters": 0}
    assert sorted(heard.ages_ms) == [0, 20, 40, 60, 80, 100]
    assert (heard.pauses, heard.resumes, heard.paused) == (2, 1, {b"rule:A"})
