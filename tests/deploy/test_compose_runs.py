"""Every command of docker-compose.yml, run outside of containers, in the order of depends_on.

Grafana and the image of Penstock are not run here: they take a Docker engine.
"""

import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from tests.deploy.compose import ROOT, services
from tests.deploy.stack import MISSING, SUCCESS, Stack, needed
from tests.flows.shop import event, lines
from tests.monitoring import alerting, panels
from tests.patience import PATIENCE_S, eventually
from tests.servers.kafka import ServerMissing

pytestmark = pytest.mark.kafka

ENGINE = ("kafka", "valkey", "init", "ingest", "publish")
NOT_RUN = {"grafana"}


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]
) -> Iterator[Stack]:
    """The services, none of them started."""
    try:
        stack = Stack(tmp_path_factory.mktemp("compose"))
    except MISSING as error:
        missing(str(error))
        raise
    yield stack
    stack.stop()


@pytest.fixture
def stack(made: Stack) -> Stack:
    """The services that keep stock, running and healthy."""
    made.up(*ENGINE)
    return made


@pytest.fixture
def watched(stack: Stack, missing: Callable[[str], None]) -> Stack:
    """The same with Prometheus."""
    try:
        needed("prometheus")
        needed("wget")
    except ServerMissing as error:
        missing(str(error))
    stack.up("prometheus")
    return stack


def asked(stack: Stack, query: str) -> Any:
    """The series that Prometheus finds for a query."""
    address = f"http://127.0.0.1:{stack.port('prometheus', '9090')}/api/v1/query"
    words = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"{address}?{words}", timeout=PATIENCE_S) as answer:  # noqa: S310 - our own address
        return orjson.loads(answer.read())["data"]["result"]


def receive(stack: Stack, sku: str, quantity: int) -> None:
    """Take goods in at the warehouse, and wait until the channels know."""
    receipt = event(
        f"r-{sku}", "wms.receipt", location="wh", reference="r", lines=lines(**{sku: quantity})
    )
    sent = stack.penstock("emit", "-", given=orjson.dumps(receipt).decode())
    assert sent.stdout.splitlines()[-1] == "emit: appended=1 failed=0", sent.stderr
    waited = stack.penstock("wait", "--idle", "--timeout", f"{PATIENCE_S:g}")
    assert waited.returncode == 0, waited.stderr


def levels(stack: Stack, sku: str) -> Any:
    found = stack.penstock("stock", sku)
    assert found.returncode == 0, found.stderr
    return orjson.loads(found.stdout)["levels"]


def test_no_service_is_left_out() -> None:
    assert {*ENGINE, "prometheus"} | NOT_RUN == services().keys()


def test_an_event_from_the_host_becomes_the_levels_of_the_policy(stack: Stack) -> None:
    receive(stack, "A1", 10)
    assert levels(stack, "A1") == {"shop": 10, "shopee": 7}
    told = stack.penstock("tail", "stock.updates", "--from-start", "--until-idle").stdout
    assert [orjson.loads(line)["key"] for line in told.splitlines()].count("A1") == 1


def test_two_ingests_run_and_every_service_says_that_it_is_healthy(stack: Stack) -> None:
    labels = {"kafka-1", "valkey-1", "ingest-1", "ingest-2", "publish-1"}
    assert labels <= stack.running.keys()
    for name in ENGINE:
        for replica in stack.outside[name] if name != "init" else []:
            assert stack.healthy(replica), name


def test_a_service_that_does_not_answer_is_not_healthy(made: Stack) -> None:
    made.stop()
    for name in ("kafka", "valkey", "ingest", "publish"):
        assert not made.healthy(made.outside[name][0]), name


def test_a_stop_is_clean_within_its_time_and_what_was_kept_is_there_again(stack: Stack) -> None:
    receive(stack, "B1", 6)
    codes = stack.stop()
    assert codes == {label: SUCCESS.get(label.partition("-")[0], 0) for label in codes}
    stack.up(*ENGINE)
    assert levels(stack, "B1") == {"shop": 6, "shopee": 3}


def test_the_broker_has_what_the_environment_of_its_service_says(stack: Stack) -> None:
    told = stack.outside["kafka"][0].environment
    seen = stack.run(
        ["/opt/kafka/bin/kafka-configs.sh", "--bootstrap-server",
         told["KAFKA_ADVERTISED_LISTENERS"].partition("HOST://")[2],
         "--describe", "--all", "--entity-type", "brokers", "--entity-name", told["KAFKA_NODE_ID"]],
        {"KAFKA_HEAP_OPTS": "-Xmx64m"},
    ).stdout  # fmt: skip
    for name in ("auto.create.topics.enable", "unclean.leader.election.enable", "log.dirs",
                 "advertised.listeners", "offsets.topic.replication.factor"):  # fmt: skip
        value = told["KAFKA_" + name.upper().replace(".", "_")]
        assert f"  {name}={value} " in seen, name


def test_prometheus_itself_takes_its_file(missing: Callable[[str], None]) -> None:
    try:
        promtool = needed("promtool")
    except ServerMissing as error:
        missing(str(error))
        raise
    done = subprocess.run(
        [promtool, "check", "config", str(ROOT / "deploy" / "prometheus.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_every_flow_and_every_panel_of_the_dashboards_has_data(
    watched: Stack,
) -> None:
    def up() -> dict[str, int]:
        found = asked(watched, query="sum by (job) (up)")
        return {each["metric"]["job"]: int(each["value"][1]) for each in found}

    def silent() -> list[str]:
        return [
            f"{each.board}: {each.panel}"
            for each in panels.asked()
            if not asked(watched, query=panels.filled(each.expr, "30s", "5m"))
        ]

    for _ in ("once", "and again, as a sender on a bad line would"):
        receive(watched, "C1", 5)
    assert watched.penstock("emit", "-", "--topic", "pos.sales", given="no event").returncode == 0
    assert eventually(lambda: up() == {"ingest": 2, "publish": 1}), up()
    assert eventually(lambda: not silent()), silent()


def test_prometheus_evaluates_every_alert(watched: Stack) -> None:
    def rules() -> list[Any]:
        address = f"http://127.0.0.1:{watched.port('prometheus', '9090')}/api/v1/rules?type=alert"
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            groups = orjson.loads(answer.read())["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in rules()} == {alert.name for alert in alerting.alerts()}
    assert eventually(lambda: all(rule["health"] == "ok" for rule in rules())), rules()
