"""What operators do to topics while the flows run, or while they are stopped."""

import re
import shutil
import signal

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.log.base import AppendFailed, LogUnavailable, Outgoing, Partition, partition_of
from connectors.log.kafka.log import KafkaLog
from flows.runtime.session import TOPICS
from tests.flows.shop import event, lines, running
from tests.kafka.engine import PARTITIONS, KafkaShop, until
from tests.kafka.stream import as_message
from tests.patience import PATIENCE_S, eventually

pytestmark = pytest.mark.kafka


def sale(number: int | str) -> Outgoing:
    """A sale of one A at wh, on the partition that its number gives."""
    sold = event(number, "pos.sale", location="wh", receipt="x", lines=lines(A=1))
    return as_message("pos.sales", sold, str(number).encode())


def put(log: KafkaLog, *messages: Outgoing) -> None:
    assert not any(isinstance(result, AppendFailed) for result in log.append(messages))


def has_leaders(shop: KafkaShop) -> bool:
    """Say whether a broker that was started again serves the sales."""
    try:
        return sum(shop.log.end_offsets("pos.sales").values()) > 0
    except LogUnavailable:
        return False


def on_hand(shop: KafkaShop, sku: str) -> int:
    done = shop.penstock("stock", sku)
    return sum(p["on_hand"] for p in shop.stock(sku)["positions"]) if done.returncode == 0 else 0


def refused(shop: KafkaShop) -> str:
    """What ingest says that does not start."""
    done = shop.penstock("run", "ingest")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"(penstock ingest: .*\n)+", done.stderr)
    return done.stderr


def test_topics_are_made_with_the_settings_that_a_log_of_stock_needs(
    kafka_shop: KafkaShop,
) -> None:
    shop = kafka_shop
    assert shop.penstock("init", PENSTOCK_LOG_RETENTION="3d").returncode == 0
    told = shop.kafka.tool("topics", "--describe", "--topic", f"{shop.namespace}.*")
    found = {}
    for name, partitions, configs in re.findall(
        r"Topic: (\S+)\s+TopicId: \S+\s+PartitionCount: (\d+)\s.*Configs: (\S+)", told
    ):
        assert partitions == "4"
        found[name.removeprefix(shop.name(""))] = set(configs.split(","))
    assert found.keys() == set(TOPICS)
    common = {
        "message.timestamp.type=LogAppendTime",
        "unclean.leader.election.enable=false",
        "min.insync.replicas=1",
    }
    for topic, configs in found.items():
        is_compacted = topic in {"stock.updates", "ads.signals", "order.routes"}
        is_buried = topic == "dead.letters"
        days = 30 if is_buried else 3
        assert configs == common | {f"max.message.bytes={(32 if is_buried else 16) << 20}"} | (
            {"cleanup.policy=compact"}
            if is_compacted
            else {"cleanup.policy=delete", f"retention.ms={days * 86_400_000}"}
        )


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        (
            "cleanup.policy",
            "compact",
            "expected cleanup.policy=delete, got compact: events would go before they are applied",
        ),
        (
            "unclean.leader.election.enable",
            "true",
            (
                "expected unclean.leader.election.enable=false, got true: a new leader could lose the tail of the log "
                "and give its offsets out again"
            ),
        ),
    ],
)
def test_an_input_that_would_lose_events_is_refused_at_the_start(
    kafka_shop: KafkaShop, setting: str, value: str, told: str
) -> None:
    shop = kafka_shop
    admin = AdminClient({"bootstrap.servers": shop.kafka.bootstrap})
    wanted = NewTopic(shop.name("pos.sales"), 4, 1, config={setting: value})
    admin.create_topics([wanted])[wanted.topic].result(PATIENCE_S)
    assert refused(shop) == f"penstock ingest: pos.sales: {told}\n"


def test_partitions_that_are_added_are_read_without_a_restart(kafka_shop: KafkaShop) -> None:
    shop = kafka_shop
    assert shop.penstock("init").returncode == 0
    with running(shop, ("run", "ingest"), ("run", "ingest")):
        shop.until_shared(2)
        shop.kafka.tool("topics", "--alter", "--topic", shop.name("pos.sales"), "--partitions", "6")
        added = [n for n in range(100) if partition_of(b"%d" % n, 6) in {4, 5}]
        put(shop.log, *map(sale, added))
        assert shop.log.end_offsets("pos.sales")[4] > 0

        def are_applied(applied: dict[Partition, int]) -> bool:
            ends = shop.log.end_offsets("pos.sales")
            return all(applied[Partition("pos.sales", n)] == ends[n] - 1 for n in (4, 5))

        until(shop.applied, are_applied)
        assert on_hand(shop, "A") == -len(added)
        shop.until_shared(2, len(PARTITIONS) + 2)


def test_a_topic_made_again_stops_the_flow_and_the_next_one_reads_the_new_topic(
    kafka_shop: KafkaShop,
) -> None:
    shop = kafka_shop
    assert shop.penstock("init").returncode == 0
    put(shop.log, *map(sale, range(20)))
    flow = shop.start("run", "ingest")
    assert eventually(lambda: on_hand(shop, "A") == -20)
    # The flow does not see the moment in which there is none.
    flow.send_signal(signal.SIGSTOP)
    shop.log.delete("pos.sales")
    shop.log.create("pos.sales", 4)
    flow.send_signal(signal.SIGCONT)
    said = flow.communicate(timeout=PATIENCE_S)[1].decode()
    assert (flow.returncode, said.count("\n")) == (2, 1)
    assert re.match(
        r"penstock ingest: pos\.sales: expected the log \S+, got \S+: the topic was made again",
        said,
    )

    put(shop.log, *map(sale, range(10, 30)))
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: on_hand(shop, "A") == -30)
        until(shop.lag, lambda lag: lag == 0)
    assert on_hand(shop, "A") == -30


def test_events_trimmed_before_they_were_applied_stop_the_next_start(
    kafka_shop: KafkaShop,
) -> None:
    shop = kafka_shop
    assert shop.penstock("init").returncode == 0
    put(shop.log, *[sale("0")] * 3)
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: on_hand(shop, "A") == -1)
        until(shop.lag, lambda lag: lag == 0)
    put(shop.log, *[sale("0")] * 5)
    n = partition_of(b"0", 4)
    assert shop.log.trim("pos.sales", n, 6) == 6
    assert refused(shop) == (
        f"penstock ingest: pos.sales/{n}: expected the log from offset 3 on, got its start at 6: "
        "events were trimmed before every shard had applied them\n"
    )


def test_a_log_that_lost_its_tail_stops_the_next_start(lone_shop: KafkaShop) -> None:
    shop, data = lone_shop, lone_shop.kafka.folder / "data"
    assert shop.penstock("init").returncode == 0
    put(shop.log, *map(sale, range(5)))
    shop.kafka.stop()
    shutil.copytree(data, data.with_name("older"))
    shop.kafka.start()
    assert eventually(lambda: has_leaders(shop))
    put(shop.log, *map(sale, range(5, 40)))
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: on_hand(shop, "A") == -40)
    shop.kafka.stop()
    shutil.rmtree(data)
    data.with_name("older").rename(data)
    shop.kafka.start()
    assert re.fullmatch(
        r"penstock ingest: pos\.sales/\d: expected the log to reach offset \d+, which was applied, got its end "
        r"at \d+: the log lost its tail and would give offsets out again\n",
        refused(shop),
    )
