from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from connectors.redis.embedded import EmbeddedError, embedded
from tests.conftest import wake_often
from tests.flows.shop import CONFIG, Shop


@pytest.fixture
def shop(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[Shop]:
    """A shop whose embedded store stays up between its commands."""
    made = Shop(tmp_path)
    try:
        with embedded(tmp_path / "data") as store:
            wake_often(store)
            yield made
    except EmbeddedError as error:
        missing(str(error))
    finally:
        made.close()


@pytest.fixture
def config(tmp_path: Path, redis_client: redis.Redis) -> Path:
    """The path of a small configuration, for an engine on an emptied server."""
    assert redis_client.dbsize() == 0
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    return path
