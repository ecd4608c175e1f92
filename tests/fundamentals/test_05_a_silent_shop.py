"""A shop that falls silent has probably lost its line, and goes on selling: its stock can no longer be promised.

A *watchdog* compares business time with the last event of each location that has a `silent_after_s`. Once a
location is silent for longer than that while it is open, its stock is excluded from every level. Nothing is
deleted: the positions stay as they are, and the first event from the shop lets them count again. Without this,
channels would sell what the shop has already sold.
"""

import pytest

from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import at, levels, run_flows


@pytest.fixture
def quiet_since_noon(penstock: Engine) -> Engine:
    """Five pieces in the shop at noon, two in the warehouse an hour later, and one more tick."""
    penstock.send_at(at("12:00"), "wms.receipt", location="s1", reference="d1", lines=lines(A=5))
    run_flows(penstock)
    penstock.send_at(at("13:00"), "wms.receipt", location="wh", reference="d2", lines=lines(A=2))
    run_flows(penstock, seconds=2)
    return penstock


def test_stock_of_a_silent_shop_is_left_out_of_every_level(quiet_since_noon: Engine) -> None:
    assert quiet_since_noon.run.policy.silent == ("s1",)
    assert quiet_since_noon.on_hand("A") == {"s1": 5, "wh": 2}
    assert levels(quiet_since_noon, "A") == {"shop": 2, "shopee": 1}


def test_the_first_event_of_the_shop_lets_its_stock_count_again(quiet_since_noon: Engine) -> None:
    penstock = quiet_since_noon
    penstock.send_at(at("13:01"), "pos.sale", location="s1", receipt="1", lines=lines(A=1))
    run_flows(penstock)
    assert levels(penstock, "A") == {"shop": 6, "shopee": 5}
