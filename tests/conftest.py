"""Servers for tests, started once and emptied for each test."""

import os
from collections.abc import Callable, Iterator

import pytest
import redis
from hypothesis import HealthCheck, settings

from connectors.redis.embedded import Embedded, EmbeddedError, embedded
from tests.servers.fixtures import (  # noqa: F401 - fixtures, asked for by name
    cluster_client,
    kafka,
    own_kafka,
    redis_cluster,
    redis_debian,
    running_cluster,
    running_redis,
)

# Both measure the machine, not the code: on a fresh one the first text that is drawn builds a table of all characters.
settings.register_profile("penstock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penstock")


@pytest.fixture(scope="session")
def missing() -> Callable[[str], None]:
    """Return what to call when a service is missing: a skip on a laptop, a failure in CI."""

    def report(what: str) -> None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing service: {what}")
        pytest.skip(f"missing service: {what}")

    return report


@pytest.fixture(scope="session")
def valkey(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]
) -> Iterator[Embedded]:
    """A server of this test run, in a folder of its own."""
    use = embedded(tmp_path_factory.mktemp("valkey"))
    try:
        store = use.__enter__()
    except EmbeddedError as error:
        missing(str(error))
        raise
    wake_often(store)
    try:
        yield store
    finally:
        use.__exit__(None, None, None)


def wake_often(store: Embedded) -> None:
    """Let reads that find nothing return in time: a server ends a blocked read at its tick, ten a second by default."""
    with redis.Redis(unix_socket_path=store.socket) as client:
        client.config_set("hz", 100)


@pytest.fixture
def redis_client(valkey: Embedded) -> Iterator[redis.Redis]:
    """A client in bytes mode of an empty server, without functions."""
    with redis.Redis(unix_socket_path=valkey.socket) as client:
        client.flushall()
        client.function_flush()
        yield client
