"""`penstock explain`."""

import pytest

from tests.flows.shop import Shop, event, lines, rows

CONFIG = """
version: 1
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}, {id: s2, kind: store}]
policies: {floors: {store: 1}}
channels:
  - {id: shop}
  - {id: side, mode: shadow}
  - {id: market, opening: counted, locations: {exclude: [s2]}, buffer: {units: 2}}
"""


@pytest.fixture
def shop(shop: Shop) -> Shop:
    shop.config.write_text(CONFIG)
    return shop


def test_who_holds_and_who_ordered_is_told_by_name(shop: Shop) -> None:
    shop.emit(
        event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=20)),
        event(2, "order.placed", order="o1", channel="shop", lines=lines(A=3)),
        event(3, "order.placed", order="o2", channel="shop", lines=lines(A=2, B=1)),
        event(4, "order.cancelled", order="o2", lines=lines(A=1)),
    )
    shop.settle()
    held = shop.penstock("hold", "create", "cart-1", "A=4", "--channel", "shop")
    assert held.returncode == 0, held.stderr
    shop.settle()
    (found,) = rows(shop.penstock("explain", "A", "--channel", "shop"))
    assert (found["level"], found["emitted"]["level"]) == (12, 12)
    assert [step["effect"] for step in found["steps"]] == [20, -4, -4, 0]
    assert [(hold["hold"], hold["units"]) for hold in found["held_by"]] == [("cart-1", 4)]
    assert {order.rpartition("/")[2]: units for order, units in found["unrouted_by"].items()} == {
        "o1": 3,
        "o2": 1,
    }
    last = found["emitted"]["last_update"]
    assert (last["level"], last["version"]) == (12, shop.stock("A")["version"])
    printed = {each["type"]: each for each in found["events"]}
    assert len(found["events"]) == 4
    assert printed.keys() == {"wms.receipt", "order.placed", "order.cancelled"}
    assert printed["wms.receipt"]["place"].startswith("wms.receipts/")
    assert printed["wms.receipt"]["does"].startswith("wh: on_hand +20")
    (short,) = rows(shop.penstock("explain", "A"))
    assert [(row["channel"], row["level"], row["apart"]) for row in short["channels"]] == [
        ("shop", 12, ""),
        ("side", 12, "shadow"),
        ("market", 10, "not_counted"),
    ]
    assert rows(shop.penstock("explain", "--all")) == [{"pairs": 6, "explained": 6}]


def test_a_sale_that_a_count_saw_did_nothing(shop: Shop) -> None:
    old = {**event(2, "pos.sale", location="s1", receipt="1", lines=lines(A=1))}
    old["time"] = "2026-01-01T00:00:00Z"
    counted_at = "2026-01-02T00:00:00Z"
    shop.emit(
        event(1, "wms.count", location="s1", counted_at=counted_at, lines=lines(A=5)), old, old
    )
    shop.settle()
    (found,) = rows(shop.penstock("explain", "A", "--channel", "shop"))
    assert [(e["absorbed"], e["repeated"]) for e in found["events"] if e["type"] == "pos.sale"] == [
        (True, False),
        (True, True),
    ]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), 2, "expected a SKU"),
        (
            ("A", "--channel", "nowhere"),
            2,
            "--channel: expected one of shop, side, market, got 'nowhere'",
        ),
        (("none",), 1, "sku: expected one that the store knows, got 'none'"),
    ],
)
def test_what_cannot_be_explained_is_told_in_words(
    shop: Shop, args: tuple[str, ...], code: int, said: str
) -> None:
    counted_at = "2026-01-01T00:00:00Z"
    shop.emit(event(1, "wms.count", location="wh", counted_at=counted_at, lines=lines(A=9)))
    shop.settle()
    done = shop.penstock("explain", *args, "--limit", "0", "--json")
    assert done.returncode == code
    assert said in done.stderr
