"""A count (stocktake) is absolute: "at 08:30 there were 8 pieces of A in the warehouse".

Most events are *movements*: they say how much came or went, and add up in any order. A count replaces the sum.
It does so as of the moment when the shelf was counted (`counted_at`), not the moment when the message arrives:
a movement from before the count is already in it and is absorbed, a movement from after the count is added to
it. So a till that uploads late is never subtracted twice. *Levels* follow from stock: what each sales channel
may show. `shopee` keeps a buffer of one piece.
"""

from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import at, levels, run_flows


def test_a_count_sets_stock_and_stock_sets_the_level_of_every_channel(penstock: Engine) -> None:
    penstock.send_at(
        at("08:45"), "wms.count", location="wh", counted_at=at("08:30"), lines=lines(A=8)
    )
    run_flows(penstock)
    assert penstock.on_hand("A") == {"wh": 8}
    assert levels(penstock, "A") == {"shop": 8, "shopee": 7}


def test_a_late_movement_from_before_the_count_is_absorbed_by_it(penstock: Engine) -> None:
    penstock.send_at(
        at("08:45"), "wms.count", location="wh", counted_at=at("08:30"), lines=lines(A=8)
    )
    penstock.send_at(at("08:10"), "pos.sale", location="wh", receipt="1", lines=lines(A=3))
    penstock.send_at(at("08:40"), "pos.sale", location="wh", receipt="2", lines=lines(A=2))
    run_flows(penstock)
    assert penstock.on_hand("A") == {"wh": 6}
