"""A worker that goes, in whatever way: the others read its partitions, soon, and nothing counts twice."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.log.kafka.client import SESSION_MS
from tests.flows.shop import running
from tests.kafka.engine import KafkaShop, Tell, end
from tests.kafka.stream import Stream, Updates, stock_of
from tests.patience import eventually
from tests.servers.kafka import Kafka, running_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.quiet]

INGEST, PUBLISH = ("run", "ingest"), ("run", "publish")
NORMAL_S = 1.5
READ_AGAIN_S = 10.0
READ_AGAIN_AFTER_LEAVING_S = 4.0

Process = subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def kafka(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker with the settings that a broker has by default: how soon it lets a worker go is measured."""
    assert kafka.pid
    yield from running_kafka(tmp_path_factory.mktemp("default"))


def steady(shop: KafkaShop, updates: Updates) -> None:
    """Wait until updates come fresh."""
    shop.until_moved_on(20)
    assert eventually(
        lambda: (
            updates.oldest(time.time() - 2, time.time() + 2) < NORMAL_S if updates.seen else False
        )
    )


@contextmanager
def trading(shop: KafkaShop, *flows: tuple[str, str]) -> Iterator[tuple[list[Process], Updates]]:
    """Run flows on steady events. Two workers must share them before the block, and the stock be exact after it."""
    with running(shop, *flows) as started:
        shop.until_shared(2)
        with Updates(shop) as updates, Stream(shop) as stream:
            steady(shop, updates)
            yield started, updates
        shop.until_idle()
        assert stock_of(shop) == stream.expected()


def test_a_killed_worker_is_replaced_within_ten_seconds(kafka_shop: KafkaShop, tell: Tell) -> None:
    shop = kafka_shop
    assert shop.penstock("init").returncode == 0
    victim = shop.start("run", "ingest")
    with trading(shop, INGEST, PUBLISH) as (_, updates):
        killed_s = time.time()
        end(victim, signal.SIGKILL)
        read_again_s = shop.until_moved_on(20)
        again_s = time.time()
        shop.until_moved_on(5)
        assert eventually(lambda: updates.seen[-1].cause_s > again_s)
        after_s = time.time()
        assert eventually(lambda: updates.seen[-1].cause_s > after_s + 2)
    before = updates.oldest(killed_s - 2, killed_s)
    during = updates.oldest(killed_s, after_s)
    after = max(u.age_s for u in updates.seen if u.cause_s > after_s)
    tell(f"takeover: read_again_s={read_again_s:.1f} staleness_s={during:.1f}")
    tell(f"takeover: before_s={before:.2f} after_s={after:.2f}")
    assert before < NORMAL_S
    assert after < NORMAL_S
    assert read_again_s < READ_AGAIN_S
    assert during < READ_AGAIN_S + NORMAL_S


def test_a_worker_that_leaves_is_replaced_at_once(kafka_shop: KafkaShop, tell: Tell) -> None:
    shop = kafka_shop
    assert shop.penstock("init").returncode == 0
    leaver = shop.start("run", "ingest")
    with trading(shop, INGEST, PUBLISH):
        began_s = time.monotonic()
        end(leaver)
        left_s = time.monotonic() - began_s
        read_again_s = left_s + shop.until_moved_on(20)
    tell(f"leaving: left_s={left_s:.1f} read_again_s={read_again_s:.1f}")
    assert read_again_s < READ_AGAIN_AFTER_LEAVING_S


def test_a_worker_that_froze_is_replaced_and_comes_back(kafka_shop: KafkaShop) -> None:
    shop = kafka_shop
    assert shop.penstock("init").returncode == 0
    with trading(shop, INGEST, INGEST, PUBLISH) as ((frozen, *_), _):
        frozen.send_signal(signal.SIGSTOP)
        try:
            frozen_s = time.monotonic()
            shop.until_shared(1)
            assert time.monotonic() - frozen_s < SESSION_MS / 1000 + 4
            shop.until_moved_on(20)
        finally:
            frozen.send_signal(signal.SIGCONT)
        shop.until_shared(2)
        shop.until_moved_on(20)
