"""The command line on a cluster: what it says of it, and what it refuses. The log is on a real Kafka."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK, USAGE
from tests.flows.shop import Shop, event, lines, rows
from tests.servers.kafka import Kafka
from tests.servers.redis_servers import RedisCluster, until

pytestmark = pytest.mark.cluster

Checks = dict[str, tuple[str, str]]


@pytest.fixture
def cluster_shop(tmp_path: Path, redis_cluster: RedisCluster, kafka: Kafka) -> Iterator[Shop]:
    """A shop whose stock is on the cluster and whose log is on Kafka."""
    shop = Shop(
        tmp_path,
        PENSTOCK_REDIS=redis_cluster.url,
        PENSTOCK_KAFKA=kafka.bootstrap,
        PENSTOCK_NAMESPACE=uuid.uuid4().hex[:12],
    )
    yield shop
    shop.close()


def doctor(shop: Shop, exit_code: int) -> Checks:
    done = shop.penstock("doctor")
    assert done.returncode == exit_code, done.stdout
    found = map(orjson.loads, done.stdout.splitlines())
    return {row["check"]: (row["status"], row["detail"]) for row in found}


def test_doctor_looks_at_every_primary_and_names_the_one_at_fault(
    cluster_shop: Shop, redis_cluster: RedisCluster
) -> None:
    assert cluster_shop.penstock("init").returncode == OK
    first, second, third = redis_cluster.primaries
    sound = doctor(cluster_shop, OK)
    assert sound["shards"] == (
        "ok", ", ".join(sorted([f"{first.name} 6", f"{second.name} 5", f"{third.name} 5"])),
    )  # fmt: skip
    assert all(primary.name in sound["server"][1] for primary in (first, second, third))
    second.do("FUNCTION", "FLUSH")
    third.do("CONFIG SET", "appendonly", "no")
    try:
        found = doctor(cluster_shop, FINDING)
    finally:
        third.do("CONFIG SET", "appendonly", "yes")
    assert found["functions"] == ("fail", f"not loaded; run `penstock init` ({second.name})")
    assert found["append-only"][0] == "warn"
    assert found["append-only"][1].endswith(f"({third.name})")


def test_doctor_tells_of_slots_that_nobody_serves(
    cluster_shop: Shop, redis_cluster: RedisCluster
) -> None:
    assert cluster_shop.penstock("init").returncode == OK
    home, primaries = redis_cluster.primary_of(1), redis_cluster.primaries
    # The home first: what it told before may still arrive. Replicas, too: one that keeps the slot takes the home's
    # telling of it again for nothing new, and when it is promoted it serves the slot no more.
    for node in (home, *(node for node in redis_cluster.nodes if node is not home)):
        node.do("CLUSTER DELSLOTS", 1)
    try:
        whole = doctor(cluster_shop, FINDING)
        for primary in primaries:
            primary.do("CONFIG SET", "cluster-require-full-coverage", "no")
        holed = doctor(cluster_shop, FINDING)
    finally:
        home.do("CLUSTER ADDSLOTS", 1)
        for primary in primaries:
            primary.do("CONFIG SET", "cluster-require-full-coverage", "yes")
    assert whole["server"] == ("fail", "The cluster is down")
    status, detail = holed["shards"]
    assert (status, detail.partition(",")[0]) == ("fail", "16383 of 16384 slots are served")


def test_a_cluster_without_kafka_is_refused_with_what_to_set(cluster_shop: Shop) -> None:
    done = cluster_shop.penstock("init", PENSTOCK_KAFKA="")
    assert done.returncode == USAGE
    assert "PENSTOCK_REDIS, PENSTOCK_KAFKA: expected PENSTOCK_KAFKA beside a cluster" in done.stderr


def test_stock_is_kept_on_all_primaries_and_read_from_them(
    cluster_shop: Shop, redis_cluster: RedisCluster
) -> None:
    quantities = {f"A{n}": n + 1 for n in range(40)}
    receipt = event("r", "wms.receipt", location="wh", reference="r", lines=lines(**quantities))
    assert cluster_shop.penstock("init").returncode == OK
    cluster_shop.emit(receipt)
    cluster_shop.settle()
    found = {row["sku"]: row["available"] for row in rows(cluster_shop.penstock("stock", "--all"))}
    assert found == quantities
    assert all(primary.client.dbsize() for primary in redis_cluster.primaries)


def test_a_cluster_without_a_majority_is_away(
    cluster_shop: Shop, redis_cluster: RedisCluster
) -> None:
    assert cluster_shop.penstock("init").returncode == OK
    first, second, last = redis_cluster.primaries
    redis_cluster.kill(first)
    redis_cluster.kill(second)
    until(lambda: last.do("CLUSTER INFO")["cluster_state"] == "fail", "a cluster that is down")
    done = cluster_shop.penstock("stock", "A")
    assert (done.returncode, done.stdout) == (AWAY_EXIT, "")
    assert done.stderr.startswith("penstock stock: ")
