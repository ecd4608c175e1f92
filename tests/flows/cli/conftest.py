import pytest

from tests.flows.shop import Shop, event, lines


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """Ten of A and three of B at wh, four of A at s1, one of them sold."""
    shop.emit(
        event(1, "wms.receipt", location="wh", reference="r1", lines=lines(A=10, B=3)),
        event(2, "wms.receipt", location="s1", reference="r2", lines=lines(A=4)),
        event(3, "pos.sale", location="s1", receipt="x", lines=lines(A=1)),
        event(3, "pos.sale", location="s1", receipt="x", lines=lines(A=1)),
        event(4, "order.placed", order="o1", channel="shopee", lines=lines(A=2)),
    )
    shop.settle()
    return shop
