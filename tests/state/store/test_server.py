"""The store on a server that was started anew, or that is no primary any more."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from connectors.redis.embedded import EmbeddedError, server_program
from state.protocol.claim import Claim, Claimed
from state.protocol.keys import Keys
from state.store.shards import Store
from tests.servers.redis_servers import RedisServer

CLAIMS = dict.fromkeys(range(4), Claim(1, 1, 1, 1, 0, 1))


@pytest.fixture
def server(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[RedisServer]:
    """A server of one test, which may do with it what it likes."""
    try:
        made = RedisServer(tmp_path, program=server_program())
    except EmbeddedError as error:
        missing(str(error))
        raise
    made.start()
    yield made
    made.kill()


@pytest.fixture
def store(server: RedisServer) -> Store:
    client = redis.Redis(port=server.port)
    store = Store(client, Keys(), 4)
    store.load_functions()
    return store


def test_a_server_without_the_functions_gets_them_and_the_call_is_repeated(
    store: Store, server: RedisServer
) -> None:
    server.do("FUNCTION", "FLUSH")
    assert all(isinstance(reply, Claimed) for reply in store.claim(CLAIMS).values())


def test_another_error_of_a_function_is_raised_as_it_is(store: Store) -> None:
    store.client.execute_command("SET", store.keys.shard(2, "due"), "text")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        store.claim(CLAIMS)


def test_a_server_that_became_a_replica_is_left_for_the_one_that_is_now_behind_the_address(
    store: Store, server: RedisServer
) -> None:
    before = store.client.execute_command("CLIENT", "ID")
    server.do("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(redis.exceptions.ReadOnlyError):
            store.claim(CLAIMS)
    finally:
        server.do("REPLICAOF", "NO", "ONE")
    assert store.client.execute_command("CLIENT", "ID") != before
    assert store.claim(CLAIMS)
