"""Each peer on a tiny stream and a real broker: what it writes is what has to come."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.benchmarks.filling import fill, make_topic
from tests.benchmarks.peer_stock import Event, Levels, Position, Seen, Told, binary, structured
from tests.benchmarks.system import RESENT_WITHIN, Running, Site, System, Work
from tests.benchmarks.systems.faust import Faust
from tests.benchmarks.systems.items import Items
from tests.benchmarks.systems.kstreams import KStreams
from tests.benchmarks.systems.quix import Quix
from tests.benchmarks.verify import Updates, check
from tests.benchmarks.work import Expected
from tests.patience import PATIENCE_S
from tests.servers.kafka import Kafka
from tests.servers.redis_servers import RedisServer

WITHIN_S = 2 * PATIENCE_S
POLL_S = 0.2
READ_MAX = 500

SYSTEMS: dict[str, System] = {s.name: s for s in (Items(), KStreams(), Quix(), Faust())}


def test_an_event_is_read_the_same_in_both_modes() -> None:
    data = {"location": "s1", "receipt": "7", "lines": [{"sku": "A", "quantity": 2}]}
    body = {"id": "7", "source": "/pos/s1", "type": "pos.sale", "data": data}
    headers = [("ce_id", b"7"), ("ce_source", b"/pos/s1"), ("ce_type", b"pos.sale")]
    assert structured(body) == binary(headers, data) == Event("/pos/s1 7", "s1", [("A", -2)])


def test_a_position_below_zero_counts_for_nothing_that_can_be_sold() -> None:
    position = Position()
    position.move("s1", 5)
    assert position.move("s2", -3) == Told(version=2, available=5, total=2)
    assert position.move("s2", 4) == Told(version=3, available=6, total=6)
    assert Levels(2).update("A", 3, 6)["levels"] == {"c0": 6, "c1": 5}


def test_a_copy_is_known_as_long_as_one_may_come() -> None:
    seen = Seen()
    assert not any(seen.before(str(n)) for n in range(2 * RESENT_WITHIN))
    assert all(seen.before(str(n)) for n in range(RESENT_WITHIN, 2 * RESENT_WITHIN))


@pytest.mark.kafka
@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_peer_ends_with_the_stock_and_the_updates_that_have_to_come(
    name: str, mode: str, kafka: Kafka, redis_debian: RedisServer, tmp_path: Path
) -> None:
    system = SYSTEMS[name]
    if why := system.missing():
        pytest.skip(f"{name}: {why}")
    work = Work("W1", "binary" if mode == "binary" else "structured", 1, 50, 4, 3, 800, 2)
    namespace = f"peers-{name}-{mode}"
    filled = fill(kafka.bootstrap, work, namespace)
    make_topic(kafka.bootstrap, filled.updates, work.partitions)
    site = Site(
        kafka.bootstrap, redis_debian.url, namespace, filled.updates, tmp_path, f"run-{namespace}"
    )
    configuration = system.configurations[0 if mode == "structured" else -1]
    with system.running(site, work, configuration) as running:
        assert _wrong_at_last(running, site, filled.expected, work.partitions) == ""


def _wrong_at_last(running: Running, site: Site, expected: Expected, partitions: int) -> str:
    """Read updates until nothing is wrong any more; return what is after a while."""
    updates = Updates.of(partitions)
    settings = {"bootstrap.servers": site.kafka, "group.id": "peers", "log_level": 0}
    reader: Any = Consumer(settings)
    with closing(reader):
        reader.assign([TopicPartition(site.updates, n, 0) for n in range(partitions)])
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            for message in reader.consume(READ_MAX, POLL_S):
                assert not message.error()
                updates.take(message.value(), message.timestamp()[1])
            wrong = str(check(expected, updates, running.stock()))
            if not wrong or time.monotonic() > deadline_s:
                return wrong
