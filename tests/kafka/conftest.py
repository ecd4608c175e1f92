import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kafka.engine import KafkaShop, Tell, opened
from tests.servers.kafka import Kafka


@pytest.fixture
def kafka_shop(tmp_path: Path, kafka: Kafka, missing: Callable[[str], None]) -> Iterator[KafkaShop]:
    """A shop on the broker of this test run."""
    with opened(KafkaShop(tmp_path, kafka), missing) as shop:
        yield shop


@pytest.fixture
def lone_shop(
    tmp_path: Path, own_kafka: Kafka, missing: Callable[[str], None]
) -> Iterator[KafkaShop]:
    """A shop on a broker that no other test uses."""
    with opened(KafkaShop(tmp_path, own_kafka), missing) as shop:
        yield shop


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Return what prints a figure into the report of the run."""

    def write(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write
