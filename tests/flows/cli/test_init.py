"""`penstock init`."""

from tests.flows.shop import Shop, event, lines, rows


def test_init_makes_everything_once_and_tells_what_is_there(shop: Shop) -> None:
    (first,) = rows(shop.penstock("init", PENSTOCK_PARTITIONS="2"))
    assert first["topics"]["pos.sales"] == 2
    assert "penstock_apply" in first["functions"]
    assert (first["shards"], first["begun"]) == (16, {})
    (second,) = rows(shop.penstock("init", PENSTOCK_PARTITIONS="3"))
    assert second == first
    mismatch = shop.penstock("init", PENSTOCK_SHARDS="8")
    assert mismatch.returncode == 2
    assert "PENSTOCK_SHARDS: expected 16" in mismatch.stderr


def test_reading_can_begin_at_the_end_of_what_is_there(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=10)))
    (printed,) = rows(shop.penstock("init", "--from", "latest"))
    assert len(printed["begun"]) == 12
    assert shop.penstock("wait", "--idle", "--timeout", "5").returncode == 0
    assert shop.penstock("stock", "A").returncode == 1
