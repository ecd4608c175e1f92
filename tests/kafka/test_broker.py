"""The broker goes and comes back: the flows wait, and go on by themselves."""

import signal
import subprocess
import time
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import orjson
import pytest

from connectors.log.base import LogUnavailable
from flows.runtime.exit_codes import AWAY_EXIT, OK
from tests.kafka.engine import KafkaShop, Tell
from tests.kafka.stream import Stream, stock_of
from tests.patience import PATIENCE_S, eventually
from tests.servers.kafka import free_ports

pytestmark = pytest.mark.kafka

AWAY_S = 5.0
GROWTH_KB_MAX = 50 * 1024


def resident_kb(process: subprocess.Popen[bytes]) -> int:
    emitted = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, text=True, check=True
    )
    return int(emitted.stdout)


def answers(shop: KafkaShop) -> bool:
    try:
        shop.log.reach()
    except LogUnavailable:
        return False
    return True


def comes_back(shop: KafkaShop) -> None:
    """Start the broker, and wait until every partition has moved on."""
    shop.kafka.start()
    assert eventually(lambda: answers(shop))
    shop.until_moved_on()


def stopped(*processes: subprocess.Popen[bytes]) -> list[tuple[int, set[str]]]:
    """Ask processes to stop; return their exit codes, and which events they logged.

    One that gives up also says why, in words and not in JSON; these are "gave up" here.
    """
    for process in processes:
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
    return [
        (process.returncode, {_event(line) for line in words.splitlines()})
        for process, words in zip(processes, said, strict=True)
    ]


def _event(line: bytes) -> str:
    if line.startswith((b"penstock ingest: ", b"penstock publish: ")):
        return "gave up"
    return str(orjson.loads(line)["event"])


def test_flows_outlive_a_broker_that_is_killed_and_one_that_is_stopped(
    lone_shop: KafkaShop, tell: Tell
) -> None:
    shop = lone_shop
    assert shop.penstock("init").returncode == 0
    ingest, publish, *leavers = [shop.start("run", role) for role in ("ingest", "publish") * 2]
    shop.until_shared(2)
    with Stream(shop) as stream:
        shop.until_moved_on()
        before = [resident_kb(process) for process in (ingest, publish)]
        shop.kafka.kill()
        comes_back(shop)

        shop.kafka.stop()
        began_s = time.monotonic()
        assert [process.poll() for process in leavers] == [None, None]
        left = stopped(*leavers)
        tell(f"broker: stopped_while_away_s={time.monotonic() - began_s:.1f} codes={left}")
        for code, logged in left:
            assert code == (AWAY_EXIT if "gave up" in logged else OK)
            assert logged <= {"server away", "gave up"}
        time.sleep(max(0, began_s + AWAY_S - time.monotonic()))
        comes_back(shop)
        after = [resident_kb(process) for process in (ingest, publish)]
    shop.until_idle()
    assert stock_of(shop) == stream.expected()
    for code, logged in stopped(ingest, publish):
        assert code == OK
        assert logged <= {"server away"}
    grown_kb = [now - then for now, then in zip(after, before, strict=True)]
    tell(f"broker: resident_kb={before} grew_by_kb={grown_kb}")
    assert max(grown_kb) < GROWTH_KB_MAX


def ready(port: int) -> tuple[int, str]:
    """What `/readyz` says: the status, and what it says of the log."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE_S) as answer:
            return answer.status, orjson.loads(answer.read())["checks"]["log"]
    except HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())["checks"]["log"]
    except URLError:
        return 0, ""


def test_a_worker_is_not_ready_while_the_broker_is_away(lone_shop: KafkaShop) -> None:
    shop, (port,) = lone_shop, free_ports(1)
    shop.env["PENSTOCK_METRICS"] = f"127.0.0.1:{port}"
    worker = shop.start("run", "publish")
    assert eventually(lambda: ready(port) == (200, "ok"))
    shop.kafka.kill()
    assert eventually(lambda: ready(port)[0] == 503)
    assert ready(port)[1].startswith("log: kafka: ")
    shop.kafka.start()
    assert eventually(lambda: ready(port) == (200, "ok"))
    ((code, _),) = stopped(worker)
    assert code == OK
