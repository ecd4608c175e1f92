"""What the log on Kafka does beyond what every log does: transactions, settings of topics, logins, brokers away."""

import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from connectors.log.base import (
    Appended,
    AppendFailed,
    LogRefused,
    LogUnavailable,
    Outgoing,
    Partition,
    Record,
    TailLost,
    history,
    partition_of,
)
from connectors.log.kafka import member as kafka_member
from connectors.log.kafka.log import KafkaLog
from connectors.log.kafka.topics import faults_of
from tests.patience import PATIENCE_S, eventually
from tests.servers.kafka import Kafka, free_ports

pytestmark = pytest.mark.kafka

SALES = Partition("pos.sales", 0)
PASSWORD = "horse-battery-staple"  # noqa: S105 - of a broker that lives for a test


@pytest.fixture
def log(kafka: Kafka) -> Iterator[KafkaLog]:
    """A log in a namespace of its own, with a topic of one partition."""
    made = KafkaLog(kafka.bootstrap, namespace=uuid.uuid4().hex)
    made.create("pos.sales", 1)
    yield made
    made.close()


def name_of(log: KafkaLog, topic: str) -> str:
    return log._topics.name(topic)


def append(log: KafkaLog, *values: bytes) -> list[Appended]:
    results = log.append([Outgoing("pos.sales", b"k", value) for value in values])
    appended = [result for result in results if isinstance(result, Appended)]
    assert len(appended) == len(values), results
    return appended


def transacting(kafka: Kafka) -> Producer:
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(PATIENCE_S)
    return producer


def test_only_committed_transactions_are_read_and_their_markers_passed(
    kafka: Kafka, log: KafkaLog
) -> None:
    producer, topic = transacting(kafka), name_of(log, "pos.sales")
    for value, end in ((b"1", "commit"), (b"2", "abort"), (b"3", "commit")):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(PATIENCE_S)
        (producer.commit_transaction if end == "commit" else producer.abort_transaction)()
    # The broker writes the last marker when it has said yes already.
    assert eventually(lambda: log.end_offsets("pos.sales") == {0: 6})
    assert [record.value for record in history(log, "pos.sales")] == [b"1", b"3"]
    position = {SALES: 0}
    while records := log.read(position):
        position = {SALES: records[-1].offset + 1}
    # The last record lies at 4, its marker at 5: nothing is left to read, and a reader may say so.
    assert (position, log.reached(position)) == ({SALES: 5}, {SALES: 6})
    append(log, b"4")
    assert [record.value for record in log.read({SALES: 6})] == [b"4"]


def test_a_transaction_that_is_open_holds_back_the_end(kafka: Kafka, log: KafkaLog) -> None:
    producer = transacting(kafka)
    producer.begin_transaction()
    producer.produce(name_of(log, "pos.sales"), b"1")
    producer.flush(PATIENCE_S)
    append(log, b"2")
    assert log.end_offsets("pos.sales") == {0: 0}
    assert log.read({SALES: 0}) == []
    producer.commit_transaction()
    assert eventually(lambda: log.end_offsets("pos.sales") == {0: 3})
    assert [record.value for record in history(log, "pos.sales")] == [b"1", b"2"]


def test_a_topic_is_made_with_the_settings_that_a_log_of_stock_needs(kafka: Kafka) -> None:
    log = KafkaLog(kafka.bootstrap, namespace=uuid.uuid4().hex, retention_ms=86_400_000)
    told = {}
    for topic in ("pos.sales", "stock.updates", "dead.letters"):
        log.create(topic, 3)
        described = kafka.tool("topics", "--describe", "--topic", name_of(log, topic))
        assert log.log_id(topic) in described
        configs = described.split("Configs: ")[1].splitlines()[0]
        told[topic] = dict(setting.split("=") for setting in configs.split(","))
    log.close()
    for settings in told.values():
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert settings["unclean.leader.election.enable"] == "false"
    assert told["pos.sales"]["retention.ms"] == "86400000"
    assert told["stock.updates"]["cleanup.policy"] == "compact"
    assert told["dead.letters"]["retention.ms"] == str(30 * 86_400_000)


SOUND = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}


@pytest.mark.parametrize(
    ("topic", "change", "words", "fatal"),
    [
        ("pos.sales", {"unclean.leader.election.enable": "true"}, "unclean", True),
        ("stock.updates", {"unclean.leader.election.enable": "true"}, "unclean", True),
        ("pos.sales", {"cleanup.policy": "compact"}, "cleanup.policy=delete, got compact", True),
        ("pos.sales", {"cleanup.policy": "compact,delete"}, "got compact,delete", True),
        ("pos.sales", {"min.insync.replicas": "1"}, "min.insync.replicas >= 2", False),
        ("pos.sales", {"message.timestamp.type": "CreateTime"}, "LogAppendTime", False),
    ],
)
def test_a_topic_that_would_lose_events_is_told(
    topic: str, change: dict[str, str], words: str, *, fatal: bool
) -> None:
    (fault,) = faults_of(topic, SOUND | change, replicas=3)
    assert words in fault.text
    assert fault.fatal is fatal


def test_a_topic_in_good_order_has_no_fault() -> None:
    assert faults_of("pos.sales", SOUND, replicas=3) == []
    assert faults_of("stock.updates", SOUND | {"cleanup.policy": "compact"}, replicas=3) == []
    assert len(faults_of("pos.sales", SOUND, replicas=1)) == 1


def test_a_topic_changed_by_hand_is_told(kafka: Kafka, log: KafkaLog) -> None:
    topic = name_of(log, "pos.sales")
    kafka.tool("configs", "--alter", "--entity-type", "topics", "--entity-name", topic,
               "--add-config", "cleanup.policy=compact")  # fmt: skip
    assert [fault.fatal for fault in log.faults("pos.sales")] == [True, False]


def test_partitions_that_were_added_are_written_and_read(kafka: Kafka, log: KafkaLog) -> None:
    append(log, b"1")
    kafka.tool("topics", "--alter", "--topic", name_of(log, "pos.sales"), "--partitions", "3")
    assert log.partitions("pos.sales") == 3
    other = KafkaLog(kafka.bootstrap, namespace=name_of(log, "pos.sales").partition(".")[0])
    keys = {partition_of(b"%d" % i, 3): b"%d" % i for i in range(30)}
    results = other.append([Outgoing("pos.sales", keys[n], b"v") for n in range(3)])
    assert [r.partition for r in results if isinstance(r, Appended)] == [0, 1, 2]
    other.close()
    assert len(list(history(log, "pos.sales"))) == 4


def test_a_position_beyond_the_end_says_that_the_tail_is_lost(log: KafkaLog) -> None:
    append(log, b"1", b"2")
    with pytest.raises(TailLost, match=r"pos.sales/0: expected the log to reach offset 9"):
        log.read({SALES: 9}, wait_ms=5_000)
    assert [record.value for record in log.read({SALES: 0})] == [b"1", b"2"]


def test_a_message_that_is_too_large_is_refused_for_good(log: KafkaLog) -> None:
    largest, too_large = b"x" * (15 << 20), b"x" * (17 << 20)
    results = log.append(
        [Outgoing("pos.sales", b"k", value) for value in (largest, too_large, b"v")]
    )
    kinds = [type(r.error) if isinstance(r, AppendFailed) else Appended for r in results]
    assert kinds == [Appended, LogRefused, Appended]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"acks": "1"}, "PENSTOCK_KAFKA_OPTIONS: expected no acks, which Penstock sets"),
        ({"enable.auto.commit": True}, "expected no enable.auto.commit"),
        ({"no.such.option": "1"}, 'No such configuration property: "no.such.option"'),
        ({"security.protocol": "magic"}, "security.protocol"),
    ],
)
def test_options_that_are_ours_or_nobody_s_are_refused(
    kafka: Kafka, options: dict[str, str | int | float | bool], words: str
) -> None:
    with pytest.raises(LogRefused, match="PENSTOCK_KAFKA_OPTIONS") as caught:
        KafkaLog(kafka.bootstrap, options).reach()
    assert words in str(caught.value)


def test_options_reach_every_client(kafka: Kafka) -> None:
    log = KafkaLog(kafka.bootstrap, {"compression.type": "zstd"}, uuid.uuid4().hex)
    log.create("pos.sales", 1)
    append(log, b"1" * 1_000)
    assert [len(record.value or b"") for record in history(log, "pos.sales")] == [1_000]
    log.close()


def test_a_broker_that_is_away_is_said_to_be_and_waited_for(own_kafka: Kafka) -> None:
    log = KafkaLog(own_kafka.bootstrap, {"delivery.timeout.ms": 3_000})
    log.create("pos.sales", 1)
    append(log, b"1")
    assert len(log.read({SALES: 0})) == 1
    own_kafka.kill()
    with pytest.raises(LogUnavailable, match="kafka"):
        log.end_offsets("pos.sales")
    (failed,) = log.append([Outgoing("pos.sales", b"k", b"2")])
    assert isinstance(failed, AppendFailed)
    assert isinstance(failed.error, LogUnavailable)
    own_kafka.start()

    def is_appended() -> bool:
        # A client that was refused connects again by and by.
        (result,) = log.append([Outgoing("pos.sales", b"k", b"3")])
        return isinstance(result, Appended)

    def read() -> list[Record]:
        try:
            return log.read({SALES: 1}, wait_ms=100)
        except LogUnavailable:
            return []

    assert eventually(is_appended)
    assert eventually(lambda: {record.value for record in read()} == {b"3"})
    log.close()


def test_a_log_is_closed_though_a_thread_reads_it(log: KafkaLog) -> None:
    told: list[str] = []

    def read_on() -> None:
        try:
            while True:
                log.read({SALES: 0}, wait_ms=60_000)
        except LogUnavailable as error:
            told.append(str(error))

    thread = threading.Thread(target=read_on)
    thread.start()
    assert eventually(lambda: bool(log._readers))
    log.close()
    thread.join(PATIENCE_S)
    assert told == ["kafka: this log was closed"]


def test_a_member_leaves_though_the_library_waits_for_a_coordinator_that_went_away(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_member, "REQUEST_S", 0.1)
    member: Any = log.member("readers", ["pos.sales"], "one")
    assert eventually(lambda: bool(member.heartbeat(0)))
    left, closes, back = threading.Event(), member._consumer.close, threading.Event()

    class Waiting:
        def close(self) -> None:
            back.wait(PATIENCE_S)
            closes()
            left.set()

    member._consumer = Waiting()
    member.leave()
    assert not left.is_set()
    back.set()
    assert left.wait(PATIENCE_S)


@pytest.mark.quiet
def test_nobody_at_the_address_is_said_in_seconds() -> None:
    log = KafkaLog(f"127.0.0.1:{free_ports(1)[0]}")
    began = time.monotonic()
    with pytest.raises(LogUnavailable, match="kafka"):
        log.reach()
    assert time.monotonic() - began < 15


@pytest.fixture(scope="module")
def secured(
    kafka: Kafka, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]
) -> Iterator[tuple[str, Path]]:
    """Address and certificate of a broker that wants TLS and a login."""
    assert kafka.pid
    if shutil.which("openssl") is None:
        missing("openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("secured")
    key, certificate, store = (folder / name for name in ("key.pem", "cert.pem", "store.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    store.write_text(key.read_text() + certificate.read_text())
    (port,) = free_ports(1)
    broker = Kafka(folder / "kafka")
    login = (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_shop="{PASSWORD}";'
    )
    broker.properties |= {
        "listeners": f"{broker.properties['listeners']},SASL_SSL://127.0.0.1:{port}",
        "advertised.listeners": f"{broker.properties['advertised.listeners']},SASL_SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
    }
    broker.start()
    yield f"127.0.0.1:{port}", certificate
    broker.stop()


def login(certificate: Path, password: str) -> dict[str, str | int | float | bool]:
    return {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(certificate),
        "sasl.mechanism": "PLAIN",
        "sasl.username": "shop",
        "sasl.password": password,
    }


def test_a_log_behind_tls_and_a_login_is_read_and_written(secured: tuple[str, Path]) -> None:
    address, certificate = secured
    log = KafkaLog(address, login(certificate, PASSWORD))
    log.create("pos.sales", 1)
    append(log, b"1")
    assert [record.value for record in history(log, "pos.sales")] == [b"1"]
    log.close()


def test_a_wrong_password_is_refused_and_not_repeated(secured: tuple[str, Path]) -> None:
    address, certificate = secured
    with pytest.raises(LogRefused, match=r"(?i)authentication") as caught:
        KafkaLog(address, login(certificate, "tr0ub4dor")).reach()
    assert "tr0ub4dor" not in str(caught.value)


def test_a_server_whose_certificate_nobody_vouches_for_is_refused(
    secured: tuple[str, Path],
) -> None:
    address, certificate = secured
    options = login(certificate, PASSWORD)
    del options["ssl.ca.location"]
    with pytest.raises(LogRefused, match=r"(?i)certificate|ssl") as caught:
        KafkaLog(address, options).reach()
    assert PASSWORD not in str(caught.value)
