"""A store that another version made is refused with words; it must not look empty."""

from pathlib import Path

import pytest
import redis

from connectors.config.settings import Settings
from connectors.redis.embedded import Embedded
from flows.runtime.exit_codes import USAGE, verdict
from flows.runtime.session import StoreMismatch, runtime
from state.protocol.keys import LAYOUT, Keys


def test_a_store_is_made_with_its_layout(
    valkey: Embedded, config: Path, redis_client: redis.Redis
) -> None:
    settings = Settings(redis=valkey.url, config=config)
    for _ in range(2):
        with runtime(settings):
            assert redis_client.hget(Keys().store(), "layout") == LAYOUT.encode()


@pytest.mark.parametrize(("layout", "told"), [(None, "got 1"), ("3", "got 3")])
def test_a_store_of_another_layout_is_refused(
    valkey: Embedded, config: Path, redis_client: redis.Redis, layout: str | None, told: str
) -> None:
    redis_client.hset(Keys().store(), "shards", "16")
    if layout:
        redis_client.hset(Keys().store(), "layout", layout)
    with (
        pytest.raises(StoreMismatch, match=told) as caught,
        runtime(Settings(redis=valkey.url, config=config)),
    ):
        raise AssertionError("it was taken")
    assert "begin with an empty store" in str(caught.value)
    assert verdict(caught.value)[0] == USAGE
    assert redis_client.dbsize() == 1
