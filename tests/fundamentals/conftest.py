"""One small retailer for all ten stories, on a real embedded store with a real log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.redis.embedded import Embedded
from tests.flows.conftest import config  # noqa: F401 - a fixture, asked for by name
from tests.flows.harness import Engine, engine

POLICY = """
version: 1
locations:
  - {id: wh, kind: warehouse}
  - {id: s1, kind: store, silent_after_s: 3600}
channels:
  - {id: shop}
  - {id: shopee, buffer: {units: 1}}
ads:
  - {rule: google, channel: shop, pause_at: 2, resume_at: 6, dwell_s: 0}
"""


@pytest.fixture
def policy(config: Path) -> Path:  # noqa: F811 - the imported fixture is asked for by its name
    """The policy file: a warehouse, a store, two sales channels and one ad rule."""
    config.write_text(POLICY)
    return config


@pytest.fixture
def penstock(valkey: Embedded, policy: Path) -> Iterator[Engine]:
    """Both flows without the engine around them: a test calls their steps itself, one after the other.

    Business time is event time (`PENSTOCK_CLOCK=event`): an hour passes when an event of an hour later is applied.
    A SKU gathers changes for a millisecond before it is published (`PENSTOCK_TICK_MS`), so that no test waits for it.
    """
    with engine(valkey, policy, clock="event", tick_ms=1) as made:
        yield made
