"""What each message does to the pool."""

import json
from typing import Any

import pytest

from state.events.messages import TYPES, Event
from state.events.normalise import AHEAD_MAX_MS, Codes, effects
from state.events.ops import (
    CANCEL,
    CLOSE,
    CONSUME,
    COUNT,
    INCOMING,
    MOVE,
    NETTED,
    ORDER,
    RETURN,
    SHIP,
    VOID,
    Op,
)
from state.events.rejection import Rejection
from state.events.timestamps import rfc3339_ms
from state.events.validation import decode
from state.policy.compiled import Compiled
from state.policy.document import Channel, Location, Policy, Source, Unknown

NOW_MS = rfc3339_ms("2026-12-01T08:00:00Z")

POLICY = Compiled(
    Policy(
        locations=(Location("wh", "warehouse"), Location("s1", "store")),
        channels=(Channel("shopee"),),
        sources=(Source("/pos/", "pos", has_codes=True),),
    )
)
OPEN_POLICY = Compiled(Policy(unknown=Unknown(location="create", channel="create")))


def done(
    type_name: str,
    data: dict[str, Any],
    *,
    codes: Codes | None = None,
    time_ms: int = NOW_MS,
    policy: Compiled = POLICY,
) -> tuple[Op, ...] | str:
    decoded = decode(type_name, json.dumps(data).encode())
    if isinstance(decoded, Rejection):
        return decoded.reason
    event = Event("e1", "/pos/s1", type_name, time_ms, decoded)
    result = effects(event, NOW_MS, policy, codes)
    return result.reason if isinstance(result, Rejection) else result


def lines(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in pairs]


def test_a_sale_takes_goods_from_the_shelf_and_counts_as_demand() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("A", 2), ("B", 1))}
    assert done("pos.sale", sale) == ((MOVE, "A", "s1", -2, 0, 2), (MOVE, "B", "s1", -1, 0, 1))


def test_a_sale_that_settles_an_order_ships_it_and_is_no_new_demand() -> None:
    sale = {"location": "s1", "receipt": "r1", "order": "o1", "lines": lines(("A", 2))}
    assert done("pos.sale", sale) == (
        (MOVE, "A", "s1", -2, 0, 0),
        (SHIP, "A", "o1", "", 2, "s1"),
    )


def test_a_sale_of_a_hold_uses_it_up_and_is_demand() -> None:
    sale = {"location": "s1", "receipt": "r1", "hold": "h1", "lines": lines(("A", 2))}
    assert done("pos.sale", sale) == ((MOVE, "A", "s1", -2, 0, 2), (CONSUME, "", "h1", ""))


def test_an_order_of_a_hold_uses_it_up() -> None:
    order = {"order": "o1", "channel": "shopee", "hold": "h1", "lines": lines(("A", 2), ("B", 1))}
    assert done("order.placed", order) == (
        (ORDER, "A", "o1", "shopee", 2),
        (ORDER, "B", "o1", "shopee", 1),
        (CONSUME, "", "h1", "shopee\x1fo1"),
    )


BACK = [
    {"sku": "A", "quantity": 2, "condition": "sellable"},
    {"sku": "A", "quantity": 3, "condition": "damaged"},
    {"sku": "B", "quantity": 1, "condition": "sellable"},
]


def test_goods_returned_to_a_shop_are_on_hand_and_the_damaged_ones_unavailable() -> None:
    assert done("pos.return", {"location": "s1", "receipt": "r1", "lines": BACK}) == (
        (MOVE, "A", "s1", 5, 3, 0),
        (MOVE, "B", "s1", 1, 0, 0),
    )


def test_goods_of_an_order_that_came_back_are_a_fact_of_the_order() -> None:
    assert done("order.returned", {"location": "s1", "order": "o1", "lines": BACK}) == (
        (RETURN, "A", "o1", 2, 3, "s1"),
        (RETURN, "B", "o1", 1, 0, "s1"),
    )


def test_an_announcement_is_incoming() -> None:
    data = {
        "location": "wh",
        "reference": "po1",
        "expected_at": "2026-12-03T00:00:00Z",
        "lines": lines(("A", 9)),
    }
    assert done("wms.announced", data) == ((INCOMING, "A", "wh", "po1", 9),)


def test_a_receipt_is_on_hand_and_no_longer_incoming() -> None:
    data = {"location": "wh", "reference": "po1", "lines": lines(("A", 9))}
    assert done("wms.receipt", data) == (
        (MOVE, "A", "wh", 9, 0, 0),
        (INCOMING, "A", "wh", "po1", -9),
    )


def test_an_adjustment_keeps_its_sign() -> None:
    data = {"location": "s1", "reason": "theft", "actor": "kim", "lines": lines(("A", -4))}
    assert done("wms.adjustment", data) == ((MOVE, "A", "s1", -4, 0, 0),)


@pytest.mark.parametrize(
    ("type_name", "moment"), [("wms.count", "counted_at"), ("supplier.stock", "as_of")]
)
def test_a_count_is_absolute_as_of_its_moment(type_name: str, moment: str) -> None:
    data = {"location": "s1", moment: "2026-12-01T09:00:00+02:00", "lines": lines(("A", 0))}
    counted_ms = rfc3339_ms("2026-12-01T07:00:00Z")
    assert done(type_name, data) == ((COUNT, "A", "s1", counted_ms, 0),)


def test_a_shipment_moves_the_stock_and_closes_the_order() -> None:
    data = {"location": "wh", "order": "o1", "channel": "shopee", "lines": lines(("A", 2))}
    assert done("wms.shipment", data) == (
        (MOVE, "A", "wh", -2, 0, 0),
        (SHIP, "A", "o1", "shopee", 2, "wh"),
    )


def test_a_transfer_is_incoming_from_shipped_to_received() -> None:
    data = {"transfer": "t1", "from": "wh", "to": "s1", "lines": lines(("A", 6))}
    assert done("wms.transfer", {**data, "stage": "shipped"}) == (
        (MOVE, "A", "wh", -6, 0, 0),
        (INCOMING, "A", "s1", "transfer:t1", 6),
    )
    assert done("wms.transfer", {**data, "stage": "received"}) == (
        (MOVE, "A", "s1", 6, 0, 0),
        (INCOMING, "A", "s1", "transfer:t1", -6),
    )


@pytest.mark.parametrize(
    ("stage", "on_hand", "unavailable"), [("hold", 0, 3), ("release", 0, -3), ("scrap", -3, -3)]
)
def test_quality_sets_goods_aside(stage: str, on_hand: int, unavailable: int) -> None:
    data = {"location": "wh", "stage": stage, "lines": lines(("A", 3))}
    assert done("wms.quality", data) == ((MOVE, "A", "wh", on_hand, unavailable, 0),)


def test_an_order_asks_for_units() -> None:
    data = {"order": "o1", "channel": "shopee", "lines": lines(("A", 1), ("B", 2))}
    assert done("order.placed", data) == (
        (ORDER, "A", "o1", "shopee", 1),
        (ORDER, "B", "o1", "shopee", 2),
    )


def test_a_cancel_with_lines_gives_up_those_and_one_without_gives_up_all() -> None:
    assert done("order.cancelled", {"order": "o1", "lines": lines(("A", 1))}) == (
        (CANCEL, "A", "o1", "", 1),
    )
    assert done("order.cancelled", {"order": "o1"}) == ((VOID, "", "o1", ""),)
    assert done("order.cancelled", {"order": "o1", "channel": "shopee"}) == (
        (VOID, "", "o1", "shopee"),
    )


def test_the_same_sku_on_two_lines_is_summed() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("A", 2), ("B", 1), ("A", 5))}
    assert done("pos.sale", sale) == ((MOVE, "A", "s1", -7, 0, 7), (MOVE, "B", "s1", -1, 0, 1))


def test_lines_that_sum_up_beyond_the_limit_are_refused() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("A", 10**9), ("A", 1))}
    assert done("pos.sale", sale) == (
        "lines[1].quantity: expected at most 1000000000 units, got 1000000001 "
        "(summed with the lines before)"
    )


def codes(source: str, code: str, timestamp_ms: int) -> tuple[str, int] | None:
    assert (source, timestamp_ms) == ("/pos/s1", NOW_MS)
    return {"single": ("A", 1), "carton": ("A", 12), "pallet": ("A", 10**9)}.get(code)


def test_codes_become_skus_and_cartons_become_units() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("carton", 2), ("single", 1))}
    assert done("pos.sale", sale, codes=codes) == ((MOVE, "A", "s1", -25, 0, 25),)


def test_a_code_that_is_not_in_the_table_is_refused_with_its_line_and_system() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("single", 1), ("X", 1))}
    assert done("pos.sale", sale, codes=codes) == "lines[1].sku: no code 'X' for system 'pos'"


def test_units_that_multiply_beyond_the_limit_are_refused() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("pallet", 2))}
    assert done("pos.sale", sale, codes=codes) == (
        "lines[0].quantity: expected at most 1000000000 units, got 2000000000 "
        "(1000000000 units each)"
    )


def test_a_count_in_which_two_codes_mean_one_sku_is_refused() -> None:
    count = {
        "location": "s1",
        "counted_at": "2026-12-01T07:00:00Z",
        "lines": lines(("single", 1), ("carton", 1)),
    }
    assert done("wms.count", count, codes=codes) == (
        "lines[1].sku: expected each sku once in an absolute message, "
        "got \"carton\", another code of 'A'"
    )


@pytest.mark.parametrize(
    ("type_name", "data", "reason"),
    [
        ("pos.sale", {"location": "s9", "receipt": "r"}, "location: unknown location 's9'"),
        (
            "wms.transfer",
            {"transfer": "t", "from": "wh", "to": "s9", "stage": "shipped"},
            "to: unknown location 's9'",
        ),
        (
            "wms.transfer",
            {"transfer": "t", "from": "s9", "to": "wh", "stage": "shipped"},
            "from: unknown location 's9'",
        ),
        ("order.placed", {"order": "o", "channel": "x\n"}, None),
        ("order.placed", {"order": "o", "channel": "x"}, "channel: unknown channel 'x'"),
        ("order.cancelled", {"order": "o", "channel": "x"}, "channel: unknown channel 'x'"),
        (
            "order.placed",
            {"order": "o", "channel": "shopee", "pickup": "s9"},
            "pickup: unknown location 's9'",
        ),
        (
            "wms.shipment",
            {"location": "wh", "order": "o", "channel": "x"},
            "channel: unknown channel 'x'",
        ),
    ],
)
def test_an_unknown_location_or_channel_is_refused_by_name(
    type_name: str, data: dict[str, Any], reason: str | None
) -> None:
    full = {**data, "lines": lines(("A", 1))}
    if reason is None:
        reason = 'channel: expected no control characters, got "x\\n"'
    else:
        assert isinstance(done(type_name, full, policy=OPEN_POLICY), tuple)
    assert done(type_name, full) == reason


def test_an_event_is_at_most_24_hours_ahead_of_its_log_timestamp() -> None:
    sale = {"location": "s1", "receipt": "r1", "lines": lines(("A", 1))}
    assert isinstance(done("pos.sale", sale, time_ms=NOW_MS + AHEAD_MAX_MS), tuple)
    assert done("pos.sale", sale, time_ms=NOW_MS + AHEAD_MAX_MS + 1) == (
        "time_in_future: expected time at most 24 h after the log timestamp "
        "2026-12-01T08:00:00.000Z, got 2026-12-02T08:00:00.001Z"
    )


@pytest.mark.parametrize(
    ("type_name", "moment"), [("wms.count", "counted_at"), ("supplier.stock", "as_of")]
)
def test_a_count_is_at_most_24_hours_ahead_of_its_log_timestamp(
    type_name: str, moment: str
) -> None:
    data = {"location": "s1", moment: "2026-12-03T00:00:00Z", "lines": lines(("A", 0))}
    assert done(type_name, data) == (
        f"time_in_future: expected {moment} at most 24 h after the log timestamp "
        "2026-12-01T08:00:00.000Z, got 2026-12-03T00:00:00.000Z"
    )


def test_every_type_that_can_be_decoded_has_a_rule() -> None:
    from state.events.normalise import _RULES

    assert set(_RULES) == set(TYPES.values())


def test_a_final_receipt_closes_its_reference_and_may_have_no_lines() -> None:
    final = {"location": "wh", "reference": "po", "final": True}
    assert done("wms.receipt", final) == ((CLOSE, "", "wh", "po"),)
    assert done("wms.receipt", {**final, "lines": lines(("A", 2))}) == (
        (MOVE, "A", "wh", 2, 0, 0),
        (CLOSE, "", "wh", "po"),
    )


def test_what_was_lost_on_its_way_is_under_way_no_more_and_nowhere_else() -> None:
    lost = {"transfer": "t", "from": "wh", "to": "s1", "stage": "lost", "lines": lines(("A", 2))}
    assert done("wms.transfer", lost) == ((INCOMING, "A", "s1", "transfer:t", -2),)


def test_a_shipment_of_a_supplier_whose_figures_are_net_of_orders_is_told_apart() -> None:
    policy = Compiled(
        Policy(
            locations=(
                Location("sup-a", "dropship", supplier_nets_orders=True),
                Location("sup-b", "dropship"),
            )
        )
    )
    shipped = {"location": "sup-a", "order": "o1", "lines": lines(("A", 2))}
    assert done("wms.shipment", shipped, policy=policy) == ((NETTED, "A", "o1", "", 2, "sup-a"),)
    assert done("wms.shipment", {**shipped, "location": "sup-b"}, policy=policy) == (
        (MOVE, "A", "sup-b", -2, 0, 0),
        (SHIP, "A", "o1", "", 2, "sup-b"),
    )
