"""Clients that are not ours: kcat writes events and reads levels, Kafka's own tool shows the lag."""

import shutil
import subprocess
from collections.abc import Callable

import orjson
import pytest

from connectors.log.base import INPUT_TOPICS
from tests.flows.shop import event, lines, running
from tests.kafka.engine import KafkaShop, until
from tests.patience import eventually

pytestmark = pytest.mark.kafka

BINARY = {
    "ce_specversion": "1.0",
    "ce_id": "2",
    "ce_source": "/test",
    "ce_type": "pos.sale",
    "ce_time": "2026-11-22T08:00:00Z",
    "content-type": "application/json",
}


@pytest.fixture
def kcat(missing: Callable[[str], None]) -> str:
    found = shutil.which("kcat")
    if found is None:
        missing("kcat")
    return found or ""


def lags(shop: KafkaShop) -> list[int]:
    return [int(row["LAG"]) for row in shop.group_by_the_tool()]


def test_kcat_writes_events_and_reads_levels_and_the_tool_shows_the_lag(
    kafka_shop: KafkaShop, kcat: str
) -> None:
    shop = kafka_shop

    def run(*args: str, given: bytes = b"") -> bytes:
        command = [kcat, "-b", shop.kafka.bootstrap, *args]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    def sell(*headers: str, given: object) -> None:
        args = [word for header in headers for word in ("-H", header)]
        run("-P", "-t", shop.name("pos.sales"), "-k", "s1", *args, given=orjson.dumps(given))

    def levels() -> list[dict[str, int]]:
        said = run("-C", "-t", shop.name("stock.updates"), "-o", "beginning", "-e", "-q")
        return [orjson.loads(line)["data"]["levels"] for line in said.splitlines()]

    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=12)))
    with running(shop, ("run", "publish")):
        with running(shop, ("run", "ingest")):
            assert eventually(lambda: levels() == [{"shopee": 11, "shop": 12}])
            sell(given=event("k1", "pos.return", location="s1", receipt="x",
                             lines=[{"sku": "A", "quantity": 5, "condition": "sellable"}]))  # fmt: skip
            assert eventually(lambda: levels()[-1] == {"shopee": 16, "shop": 17})
            binary = [f"{name}={value}" for name, value in BINARY.items()]
            sale = {"location": "s1", "receipt": "x", "lines": lines(A=3)}
            sell(*binary, given=sale)
            assert eventually(lambda: levels()[-1] == {"shopee": 13, "shop": 14})
            until(lambda: lags(shop), lambda found: found == [0] * 4 * len(INPUT_TOPICS))
        sell(*(h.replace("ce_id=2", "ce_id=3") for h in binary), given=sale)
        assert sum(lags(shop)) == 1
    assert shop.stock("A")["available"] == 14
