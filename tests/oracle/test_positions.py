"""Positions and open orders on streams so small that the answer is worked out by hand."""

from pathlib import Path

from tests.oracle.world import (
    EARLY,
    LATE,
    NOON,
    Json,
    answers,
    at,
    event,
    line,
    placed,
    receipt,
)


def count(sku: str, units: int, counted_at: str) -> Json:
    return event("wms.count", at("s1", line(sku, units), counted_at=counted_at))


def test_sales_receipts_and_adjustments_move_on_hand(tmp_path: Path) -> None:
    got = answers(
        tmp_path,
        [
            receipt("A", 10),
            event("pos.sale", at("s1", line("A", 3), line("A", 1))),
            event("wms.adjustment", at("s1", line("A", -2))),
            event("wms.adjustment", at("s1", line("A", 1))),
        ],
    )
    assert got.position("A", "s1") == {"on_hand": 5, "atp": 5}


def test_a_sale_may_take_on_hand_below_zero_and_adds_nothing_to_available(tmp_path: Path) -> None:
    got = answers(tmp_path, [event("pos.sale", at("s1", line("A", 3))), receipt("A", 4, "s2")])
    assert got.position("A", "s1") == {"on_hand": -3, "atp": -3}
    assert got.available("A") == 4


def test_damaged_returns_are_unavailable(tmp_path: Path) -> None:
    sellable, damaged = line("A", 2, condition="sellable"), line("A", 1, condition="damaged")
    got = answers(
        tmp_path,
        [
            event("pos.return", at("s1", sellable, damaged)),
            event("order.returned", at("s1", damaged, order="o1")),
        ],
    )
    assert got.position("A", "s1") == {"on_hand": 4, "unavailable": 2, "atp": 2}


def test_quality_holds_releases_and_scraps(tmp_path: Path) -> None:
    stages = (("hold", 5), ("release", 1), ("scrap", 3))
    quality = [event("wms.quality", at("s1", line("A", n), stage=stage)) for stage, n in stages]
    got = answers(tmp_path, [receipt("A", 10), *quality])
    assert got.position("A", "s1") == {"on_hand": 7, "unavailable": 1, "atp": 6}


def test_a_count_absorbs_the_movements_up_to_its_moment(tmp_path: Path) -> None:
    got = answers(
        tmp_path,
        [
            receipt("A", 100, time=EARLY),
            event("pos.sale", at("s1", line("A", 1)), NOON),
            count("A", 20, NOON),
            event("pos.sale", at("s1", line("A", 2)), LATE),
        ],
    )
    assert got.position("A", "s1") == {"on_hand": 18, "atp": 18}


def test_the_newest_count_wins_and_at_one_moment_the_lower(tmp_path: Path) -> None:
    counts = [count("A", 7, NOON), count("A", 5, NOON), count("A", 9, NOON), count("A", 1, EARLY)]
    assert answers(tmp_path, counts).position("A", "s1") == {"on_hand": 5, "atp": 5}


def test_an_absorbed_damaged_return_is_unavailable_all_the_same(tmp_path: Path) -> None:
    damaged = event("pos.return", at("s1", line("A", 2, condition="damaged")), EARLY)
    got = answers(tmp_path, [count("A", 10, NOON), damaged])
    assert got.position("A", "s1") == {"on_hand": 10, "unavailable": 2, "atp": 8}


def test_a_supplier_speaks_of_its_own_shelf(tmp_path: Path) -> None:
    stock = event("supplier.stock", at("sup", line("A", 6), as_of=NOON))
    assert answers(tmp_path, [stock]).position("A", "sup") == {"on_hand": 6, "atp": 6}


def test_incoming_is_what_each_reference_still_owes(tmp_path: Path) -> None:
    got = answers(
        tmp_path,
        [
            event("wms.announced", at("dc", line("A", 10), reference="r1")),
            event("wms.announced", at("dc", line("A", 4), reference="r2")),
            receipt("A", 7, "dc", reference="r1"),
            receipt("A", 9, "dc", reference="r2"),
            receipt("A", 1, "dc", reference="never announced"),
        ],
    )
    assert got.position("A", "dc") == {"on_hand": 17, "incoming": 3, "atp": 17}


def test_a_transfer_is_incoming_until_it_is_received(tmp_path: Path) -> None:
    def transfer(stage: str, units: int) -> Json:
        data = {"transfer": "t1", "from": "dc", "to": "s1", "stage": stage}
        return event("wms.transfer", {**data, "lines": [line("A", units)]})

    got = answers(
        tmp_path, [receipt("A", 9, "dc"), transfer("shipped", 5), transfer("received", 3)]
    )
    assert got.position("A", "dc") == {"on_hand": 4, "atp": 4}
    assert got.position("A", "s1") == {"on_hand": 3, "incoming": 2, "atp": 3}


def test_an_open_order_is_unrouted_until_shipped_or_cancelled(tmp_path: Path) -> None:
    got = answers(
        tmp_path,
        [
            receipt("A", 100),
            placed("open", 1),
            placed("part shipped", 10),
            event("wms.shipment", at("s1", line("A", 4), order="part shipped")),
            placed("part cancelled", 10),
            event("order.cancelled", {"order": "part cancelled", "lines": [line("A", 7)]}),
            placed("void", 10),
            event("order.cancelled", {"order": "void"}),
            placed("shipped too much", 2),
            event("wms.shipment", at("s1", line("A", 3), order="shipped too much")),
            placed("sold at a till", 5),
            event("pos.sale", at("s1", line("A", 5), order="sold at a till", receipt="b1")),
            event("wms.shipment", at("s1", line("A", 1), order="never placed")),
        ],
    )
    assert got.unrouted("A") == 1 + 6 + 3
    assert got.position("A", "s1") == {"on_hand": 87, "atp": 87}
    assert got.available("A") == 77


def test_the_first_placing_of_an_order_wins(tmp_path: Path) -> None:
    got = answers(tmp_path, [placed("o1", 3), placed("o1", 8, time=LATE)])
    assert got.unrouted("A") == 3


def test_two_channels_may_use_one_order_number(tmp_path: Path) -> None:
    cancel = event("order.cancelled", {"order": "o1", "channel": "momo"})
    got = answers(tmp_path, [placed("o1", 3), placed("o1", 8, "momo"), cancel])
    assert got.unrouted("A") == 3


def test_a_fact_that_names_no_channel_counts_once_against_all_orders_of_its_number(
    tmp_path: Path,
) -> None:
    part = event("order.cancelled", {"order": "o1", "lines": [line("A", 4)]})
    got = answers(tmp_path, [placed("o1", 3), placed("o1", 8, "momo"), part])
    assert got.unrouted("A") == 3 + 8 - 4


def returned(order: str, units: int, time: str = NOON, condition: str = "sellable") -> Json:
    back = line("A", units, condition=condition)
    return event("order.returned", at("s1", back, order=order), time)


def shipped(order: str, units: int, location: str = "s2", time: str = NOON) -> Json:
    return event("wms.shipment", at(location, line("A", units), order=order), time)


def test_never_more_comes_back_of_an_order_than_was_shipped(tmp_path: Path) -> None:
    got = answers(
        tmp_path,
        [
            returned("o1", 2, LATE),
            returned("o1", 2, NOON, "damaged"),
            shipped("o1", 3),
            placed("o1", 9),
            returned("never placed", 5),
        ],
    )
    assert got.position("A", "s1") == {"on_hand": 8, "unavailable": 2, "atp": 6}


def test_what_was_lost_or_closed_is_not_incoming(tmp_path: Path) -> None:
    transfer = {"transfer": "t1", "from": "dc", "to": "s1", "lines": [line("A", 5)]}
    final = at("dc", line("A", 7), reference="r1", final=True)
    got = answers(
        tmp_path,
        [
            event("wms.transfer", {**transfer, "stage": "shipped"}),
            event("wms.transfer", {**transfer, "stage": "lost", "lines": [line("A", 2)]}),
            event("wms.announced", at("dc", line("A", 10), reference="r1")),
            event("wms.receipt", final),
            event("wms.announced", at("s1", line("A", 1), reference="r1")),
        ],
    )
    assert got.position("A", "dc") == {"on_hand": 2, "atp": 2}
    assert got.position("A", "s1") == {"incoming": 4}


def test_a_shipment_that_a_supplier_had_netted_changes_nothing(tmp_path: Path) -> None:
    config = "locations: [{id: sup, kind: dropship, supplier_nets_orders: true}]"
    stock = event("supplier.stock", at("sup", line("A", 6), as_of=NOON))
    events = [stock, placed("old", 2, time=EARLY), shipped("old", 2, "sup", LATE)]
    younger = [placed("new", 1, time=LATE), shipped("new", 1, "sup", LATE)]
    got = answers(tmp_path, events, config)
    assert got.position("A", "sup") == {"on_hand": 6, "atp": 6}
    got = answers(tmp_path, [*events, *younger], config)
    assert got.position("A", "sup") == {"on_hand": 5, "atp": 5}
