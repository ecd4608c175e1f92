"""What a server says of itself, read as values."""

from typing import Any

import pytest
import redis

from state.protocol.keys import Keys
from state.store.health import AppendOnlyFile, ClusterTopology, ServerHealth, Slots
from state.store.library import library_source


@pytest.fixture
def health(redis_client: redis.Redis) -> ServerHealth:
    return ServerHealth(redis_client, Keys("test"))


def test_one_server_is_called_by_the_empty_text(health: ServerHealth) -> None:
    assert not health.is_cluster
    assert health.versions()[""].split()[0] in {"redis", "valkey"}
    assert health.shards_by_server(16) == {"": 16}
    assert health.slots() == {}


def test_a_library_is_absent_then_another_then_the_one_of_this_process(
    health: ServerHealth, redis_client: redis.Redis
) -> None:
    assert health.libraries() == {"": "absent"}
    other = "#!lua name=penstock\nredis.register_function('penstock_x', function() end)"
    redis_client.function_load(other)
    assert health.libraries() == {"": "another"}
    redis_client.function_load(library_source(), replace=True)
    assert health.libraries() == {"": "current"}


def test_an_append_only_file_is_on_or_off(health: ServerHealth, redis_client: redis.Redis) -> None:
    before = str(redis_client.config_get("appendonly")["appendonly"])
    try:
        redis_client.config_set("appendonly", "no")
        assert health.append_only_files() == {"": AppendOnlyFile(is_on=False, is_written=True)}
        redis_client.config_set("appendonly", "yes")
        assert health.append_only_files()[""].is_on
    finally:
        redis_client.config_set("appendonly", before)


@pytest.mark.parametrize(
    ("slots", "are_whole"),
    [(Slots(16_384, "ok"), True), (Slots(16_383, "ok"), False), (Slots(16_384, "fail"), False)],
)
def test_slots_are_whole_when_all_are_served(slots: Slots, *, are_whole: bool) -> None:
    assert slots.are_whole is are_whole


def test_a_client_of_one_server_is_not_taken_for_one_of_a_cluster(redis_client: Any) -> None:
    assert not isinstance(redis_client, ClusterTopology)
