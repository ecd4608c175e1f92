"""A sale at a till takes pieces off the shelf, once, however often its message arrives.

Senders and logs deliver *at least once*: after a timeout a till sends again, after a crash a partition is read
again. Two fences make the effect exactly once. The *watermark* of each shard skips what the log delivers again;
the *duplicate guard* knows the event ids of the last 24 hours and drops what a sender sends again. Stock at a
till may fall below zero, because the customer has the goods: the shelf is right and the books are late. That is
an alert, not an error, and a level never goes below zero.
"""

from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import levels, run_flows


def test_a_sale_that_a_till_sends_twice_counts_once(penstock: Engine) -> None:
    penstock.send("wms.receipt", location="s1", reference="delivery-1", lines=lines(A=10))
    for _ in range(2):
        penstock.send("pos.sale", event_id="till-3/1", location="s1", receipt="1", lines=lines(A=3))
    run_flows(penstock)
    assert penstock.on_hand("A") == {"s1": 7}
    assert levels(penstock, "A") == {"shop": 7, "shopee": 6}


def test_a_sale_of_what_the_books_do_not_know_is_applied_and_raises_an_alert(
    penstock: Engine,
) -> None:
    penstock.send("pos.sale", location="s1", receipt="1", lines=lines(A=1))
    run_flows(penstock)
    assert penstock.on_hand("A") == {"s1": -1}
    assert levels(penstock, "A") == {"shop": 0, "shopee": 0}
    assert "stock.negative" in {alert["type"] for alert in penstock.emitted("stock.alerts")}
