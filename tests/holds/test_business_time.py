"""An order that a hold becomes happens at business time: with `PENSTOCK_CLOCK=event` it does not end the day."""

from pathlib import Path

import pytest

from connectors.redis.embedded import Embedded
from flows.services.holds.service import HoldService
from flows.services.holds.values import Confirmed, HoldCreated, Wanted
from state.events.timestamps import rfc3339_ms
from tests.flows.harness import engine
from tests.flows.shop import CONFIG

MONDAY = "2017-01-09T10:00:00Z"


@pytest.mark.parametrize("clock", ["event", "system"])
def test_a_confirmed_hold_does_not_move_business_time_that_events_set(
    valkey: Embedded, config: Path, clock: str
) -> None:
    config.write_text(CONFIG)
    with engine(valkey, config, clock=clock) as e:
        lines = [{"sku": "A", "quantity": 5}]
        e.send_at(MONDAY, "wms.receipt", location="wh", reference="r", lines=lines)
        e.ingest()
        holding = HoldService(e.run)
        assert isinstance(holding.create(Wanted("h", (("A", 2),), channel="shop")), HoldCreated)
        assert isinstance(holding.confirm("h", "o1"), Confirmed)
        e.ingest()
        state = e.run.store.read("A")
        assert state is not None
        assert state.unrouted == 2
        newest_ms = e.run.store.business_ms()
        assert (newest_ms == rfc3339_ms(MONDAY)) is (clock == "event")
