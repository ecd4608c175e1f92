"""Workers are added and lost at any time: every event counts once, every partition has one reader."""

import random
import signal

import pytest

from connectors.log.base import Partition
from tests.kafka.engine import PARTITIONS, KafkaShop, end, until
from tests.kafka.stream import Stream, stock_of

pytestmark = pytest.mark.kafka

SEED = 11
STEPS = 8
WORKERS_MAX = 4


def test_workers_come_and_go_under_load_and_every_event_counts_once(kafka_shop: KafkaShop) -> None:
    shop, chance = kafka_shop, random.Random(SEED)
    assert shop.penstock("init").returncode == 0
    publish = shop.start("run", "publish")
    workers = [shop.start("run", "ingest") for _ in range(2)]
    with Stream(shop) as stream:
        shop.until_shared(2)
        for step in range(STEPS):
            if len(workers) == 1 or (len(workers) < WORKERS_MAX and chance.random() < 0.5):
                workers.append(shop.start("run", "ingest"))
            else:
                number = (signal.SIGTERM, signal.SIGKILL)[step % 2]
                end(workers.pop(chance.randrange(len(workers))), number)
            further = stream.sent + chance.randint(50, 500)
            until(lambda: stream.sent, further.__le__)
        shop.until_shared(len(workers))
    shop.until_idle()
    assert stock_of(shop) == stream.expected()

    readers = readers_by_the_tool(shop)
    assert readers.keys() == PARTITIONS
    assert len(set(readers.values())) == len(workers)
    for process in (publish, *workers):
        end(process)


def readers_by_the_tool(shop: KafkaShop) -> dict[Partition, str]:
    """Partition -> its reader, as Kafka's own tool tells it."""
    found: dict[Partition, str] = {}
    for row in shop.group_by_the_tool():
        place = Partition(row["TOPIC"].removeprefix(shop.name("")), int(row["PARTITION"]))
        assert place not in found
        found[place] = row["CONSUMER-ID"]
    assert "-" not in found.values()
    return found
