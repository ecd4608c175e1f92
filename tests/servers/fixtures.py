"""Real servers by name: each is started once for a test run, and emptied for each test."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.redis.cluster import ClusterClient
from tests.servers.kafka import Kafka, ServerMissing, class_path, running_kafka
from tests.servers.redis_servers import RedisCluster, RedisServer, server_program

Missing = Callable[[str], None]

AT_ONCE = {"group.initial.rebalance.delay.ms": "0"}
"""The first members of a group wait for no more. What is measured is measured without it."""
SOON_AGAIN = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
"""After a kill a broker may begin again once its own controller no longer believes it alive."""


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Iterator[Kafka]:
    """A broker of this test run; a test keeps apart by a namespace of its own."""
    try:
        class_path()
    except ServerMissing as error:
        missing(str(error))
    yield from running_kafka(tmp_path_factory.mktemp("kafka"), AT_ONCE)


@pytest.fixture
def own_kafka(kafka: Kafka, tmp_path: Path) -> Iterator[Kafka]:
    """A broker of one test, which may stop and kill it; `kafka` says whether there can be one."""
    assert kafka.pid
    yield from running_kafka(tmp_path / "kafka", AT_ONCE | SOON_AGAIN)


@pytest.fixture(scope="session")
def running_redis(
    tmp_path_factory: pytest.TempPathFactory, missing: Missing
) -> Iterator[RedisServer]:
    _needed(missing)
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_debian(running_redis: RedisServer) -> RedisServer:
    """The Redis of the system, emptied."""
    if not running_redis.lives:
        running_redis.restart()
    _empty(running_redis)
    return running_redis


@pytest.fixture(scope="session")
def running_cluster(
    tmp_path_factory: pytest.TempPathFactory, missing: Missing
) -> Iterator[RedisCluster]:
    _needed(missing)
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def redis_cluster(running_cluster: RedisCluster) -> RedisCluster:
    """A cluster of three primaries with a replica each, emptied, and well whatever a test did to it."""
    running_cluster.heal()
    for primary in running_cluster.primaries:
        _empty(primary)
    return running_cluster


@pytest.fixture
def cluster_client(redis_cluster: RedisCluster) -> Iterator[ClusterClient]:
    """A client of the emptied cluster, in bytes mode."""
    with closing(client_of(redis_cluster)) as client:
        yield client


def client_of(cluster: RedisCluster, timeout_s: float = 10.0) -> ClusterClient:
    """Return a client of its own for a cluster."""
    return ClusterClient(cluster.url, timeout_s=timeout_s, connect_timeout_s=timeout_s)


def _needed(missing: Missing) -> None:
    try:
        server_program()
    except ServerMissing as error:
        missing(str(error))


def _empty(server: RedisServer) -> None:
    commands: Any = server.client
    commands.flushall()
    commands.function_flush()
