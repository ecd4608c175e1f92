"""The flows and commands on a real Kafka do what they do on the embedded log."""

import time
from pathlib import Path

import orjson
import pytest

from connectors.log.base import Partition
from tests.flows.shop import Shop, end_state_alone, event, lines, rows, running, trading
from tests.kafka.engine import KafkaShop
from tests.servers.kafka import free_ports

pytestmark = pytest.mark.kafka


def test_two_of_each_flow_end_where_one_of_each_does_on_the_embedded_log(
    kafka_shop: KafkaShop, tmp_path: Path
) -> None:
    shop, events = kafka_shop, trading(1_500)
    shop.emit(*events)
    roles = ("ingest", "publish") * 2
    with running(shop, *(("run", role) for role in roles)):
        shop.until_idle()
    assert shop.end_state() == end_state_alone(tmp_path / "alone", events)
    assert shop.stock("A1")["unrouted"] > 0


def test_doctor_tells_the_weak_points_of_a_single_broker_and_fails_for_none(
    kafka_shop: KafkaShop,
) -> None:
    assert kafka_shop.penstock("init").returncode == 0
    found = {row["check"]: row for row in rows(kafka_shop.penstock("doctor"))}
    assert [name for name, row in found.items() if row["status"] != "ok"] == ["topics"]
    assert found["topics"]["status"] == "warn"
    emitted = "expected 2 or more replicas and min.insync.replicas >= 2, got 1 and 1: the loss of one broker's disk"
    assert emitted in found["topics"]["detail"]


def test_a_run_until_idle_ends_when_all_is_applied_and_published(kafka_shop: KafkaShop) -> None:
    shop = kafka_shop
    shop.emit(
        event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=9)),
        event(2, "pos.sale", location="s2", receipt="x", lines=lines(A=2)),
    )
    shop.settle()
    assert shop.stock("A")["levels"] == {"shopee": 8, "shop": 9}
    (update,) = rows(shop.penstock("tail", "stock.updates", "--from-start", "--until-idle"))
    assert (update["key"], update["value"]["data"]["available"]) == ("A", 9)

    (letter,) = rows(shop.penstock("dead-letters", "list"))
    assert (letter["topic"], letter["replayed"]) == ("pos.sales", False)
    assert "s2" in letter["reason"]
    before = sum(ends(shop).values())
    done = shop.penstock("dead-letters", "replay", "--all")
    assert done.stdout == "dead-letters: replayed=1 failed=0\n"
    assert sum(ends(shop).values()) == before + 1
    assert [row["replayed"] for row in rows(shop.penstock("dead-letters", "list"))] == [True]


def test_where_a_new_store_begins_in_an_old_log_is_for_its_owner_to_say(
    kafka_shop: KafkaShop,
) -> None:
    shop = kafka_shop
    sales = [event(n, "pos.sale", location="s1", receipt="x", lines=lines(A=1)) for n in range(10)]
    shop.emit(*sales)
    (partition,) = [p for p, end in ends(shop).items() if end == 10]
    assert shop.log.trim(partition.topic, partition.n, 4) == 4

    done = shop.penstock("run", "--until-idle")
    assert done.returncode == 2
    emitted = f"{partition.topic}/{partition.n}: nothing was ever applied and the log starts at 4; say where to begin"
    assert emitted in done.stderr

    place = f"{partition.topic}/{partition.n}"
    for where, left in (("earliest", 6), ("latest", 0), ("8", 2)):
        store = {"PENSTOCK_DATA": str(shop.folder / where)}
        (begun,) = rows(shop.penstock("init", "--from", where, **store))
        assert begun["begun"][place] == 10 - left
        assert shop.penstock("wait", "--idle", "--timeout", "0", **store).stdout == (
            orjson.dumps(
                {"idle": not left, "lag": {place: left} if left else {}, "due": 0}
            ).decode()
            + "\n"
        )


def ends(shop: KafkaShop) -> dict[Partition, int]:
    return {Partition("pos.sales", n): end for n, end in shop.log.end_offsets("pos.sales").items()}


@pytest.mark.quiet
@pytest.mark.parametrize("command", [("run",), ("run", "ingest"), ("tail", "pos.sales")])
def test_a_kafka_that_is_not_there_is_told_soon_and_in_words(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (port,) = free_ports(1)
    began_s = time.monotonic()
    done = Shop(tmp_path, PENSTOCK_KAFKA=f"127.0.0.1:{port}").penstock(*command)
    assert time.monotonic() - began_s < 15
    assert (done.returncode, done.stdout) == (3, "")
    reason = done.stderr.splitlines()
    assert reason
    assert all(line.startswith("penstock ") and ": kafka: " in line for line in reason), reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"acks": "s3cret"}, "expected no acks, which Penstock sets"),
        ({"no.such": "s3cret"}, 'No such configuration property: "no.such"'),
        ({"security.protocol": "s3cret"}, 'configuration property "security.protocol"'),
    ],
)
def test_an_option_that_cannot_be_used_is_told_without_its_value(
    kafka_shop: KafkaShop, options: dict[str, str], reason: str
) -> None:
    env = {"PENSTOCK_KAFKA_OPTIONS": orjson.dumps(options).decode()}
    done = kafka_shop.penstock("run", "ingest", **env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("penstock ingest: PENSTOCK_KAFKA_OPTIONS: ")
    assert reason in done.stderr
    assert "s3cret" not in done.stderr
    assert done.stderr.count("\n") == 1
