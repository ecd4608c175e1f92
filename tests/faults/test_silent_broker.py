"""A broker that is there and says nothing costs an append one time-out, however many messages it has."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.log.base import Appended, AppendFailed, LogUnavailable, Outgoing
from connectors.log.kafka.client import REQUEST_S
from connectors.log.kafka.log import KafkaLog
from tests.faults.led_kafka import led_kafka
from tests.faults.proxy import Proxy
from tests.servers.kafka import Kafka

pytestmark = pytest.mark.kafka

TOPICS = ("pos.sales", "stock.updates")


@pytest.fixture
def proxy(kafka: Kafka, tmp_path: Path) -> Iterator[Proxy]:
    """The way to a broker of this test; `kafka` says whether there can be one."""
    assert kafka.pid
    with led_kafka(tmp_path / "kafka", {"WAY": None}) as (_, proxies):
        yield proxies["WAY"]


@pytest.mark.quiet
def test_topics_are_looked_up_once_for_all_messages(proxy: Proxy) -> None:
    messages = [Outgoing(topic, b"%d" % n, b"value") for n in range(50) for topic in TOPICS]
    with closing(KafkaLog(proxy.address)) as log:
        for topic in TOPICS:
            log.create(topic, 4)
        assert all(isinstance(result, Appended) for result in log.append(messages))
        log._known.clear()
        with proxy.mended():
            proxy.freeze()
            began_s = time.monotonic()
            results = log.append(messages)
            took_s = time.monotonic() - began_s
        assert all(
            isinstance(result, AppendFailed) and isinstance(result.error, LogUnavailable)
            for result in results
        )
        assert took_s < 2 * REQUEST_S
        assert all(isinstance(result, Appended) for result in log.append(messages))
