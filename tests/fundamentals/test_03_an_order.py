"""An order lowers every level the moment it is placed, long before anything leaves a shelf.

There is one pool and there are many channels, so a piece that one channel has sold must disappear from all
others at once; else it is sold twice (*oversell*). A placed order is *unrouted* demand: it counts against the
pool as a whole, because nobody has decided yet from which location it ships. The shipment then takes the pieces
from a shelf and closes the demand in one step, so that levels stay where they are. What is cancelled goes back
into the pool.
"""

from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import levels, run_flows


def test_an_order_lowers_all_channels_before_the_shelf_changes(penstock: Engine) -> None:
    penstock.send("wms.receipt", location="wh", reference="delivery-1", lines=lines(A=10))
    penstock.send("order.placed", order="o1", channel="shopee", lines=lines(A=4))
    run_flows(penstock)
    assert penstock.on_hand("A") == {"wh": 10}
    assert levels(penstock, "A") == {"shop": 6, "shopee": 5}


def test_a_shipment_moves_the_shelf_and_a_cancellation_gives_the_rest_back(
    penstock: Engine,
) -> None:
    penstock.send("wms.receipt", location="wh", reference="delivery-1", lines=lines(A=10))
    penstock.send("order.placed", order="o1", channel="shopee", lines=lines(A=4))
    penstock.send("wms.shipment", location="wh", order="o1", lines=lines(A=3))
    run_flows(penstock)
    assert penstock.on_hand("A") == {"wh": 7}
    assert levels(penstock, "A") == {"shop": 6, "shopee": 5}
    penstock.send("order.cancelled", order="o1")
    run_flows(penstock)
    assert levels(penstock, "A") == {"shop": 7, "shopee": 6}
