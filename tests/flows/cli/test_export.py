"""`penstock export`."""

import csv

from tests.flows.shop import Shop, event, lines, rows


def exported(shop: Shop, what: str) -> list[dict[str, str]]:
    done = shop.penstock("export", what, "--csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def test_the_pool_and_the_sales_are_exported(stocked: Shop) -> None:
    positions = exported(stocked, "positions")
    assert sorted((p["sku"], p["location"], p["on_hand"]) for p in positions) == [
        ("A", "s1", "3"),
        ("A", "wh", "10"),
        ("B", "wh", "3"),
    ]
    levels = {(each["sku"], each["channel"]): each["level"] for each in exported(stocked, "levels")}
    assert levels["A", "shopee"] == "10"
    sales = exported(stocked, "sales")
    assert [(each["type"], each["document"], each["quantity"]) for each in sales] == [
        ("pos.sale", "x", "1"),
        ("order.placed", "o1", "2"),
    ]
    assert exported(stocked, "oversold") == []
    stocked.emit(event(8, "order.placed", order="o2", channel="shop", lines=lines(B=5)))
    stocked.settle()
    assert rows(stocked.penstock("export", "oversold")) == [
        {"sku": "B", "available": -2, "unrouted": 5, "held": 0}
    ]
