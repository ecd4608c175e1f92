"""The checks that a suite picks by itself: sold, orders, claims, contents, versions."""

from typing import Any

import pytest

from tests.oracle.case import Case, case_of
from tests.oracle.columns import InputError
from tests.oracle.compare import (
    check_claims,
    check_contents,
    check_last_messages,
    check_orders,
    check_positions,
    check_skus,
    check_sold,
    check_versions,
)
from tests.oracle.compare_ads import check_ads
from tests.oracle.policy import policy_of
from tests.oracle.stream import Sent, marked
from tests.oracle.topics import signals_of, updates_of
from tests.oracle.verdict import Check, Finding
from tests.oracle.world import Json, at, event, line, placed, receipt, signal, update

POLICY = policy_of(
    {
        "channels": [{"id": "shop"}],
        "ads": [{"rule": "ads-shop", "channel": "shop", "pause_at": 2, "resume_at": 6}],
    }
)


def stored(sku: str, on_hand: int, unrouted: int = 0, **more: Any) -> Json:
    """A SKU that lies at one location, as the store shows it."""
    position = {"location": "s1", "on_hand": on_hand, "atp": on_hand, "counted_at": None}
    position |= {"reserved": 0, "unavailable": 0, "incoming": 0}
    figures = {"available": on_hand - unrouted, "unrouted": unrouted, "held": 0, "version": 9}
    shown = {"positions": [position], "levels": {}, "ads": []}
    return {"sku": sku, **figures, **shown, **more}


def case(events: list[Json], *stock: Json) -> Case:
    return case_of(marked(events), POLICY, stock)


def sale(units: int, location: str = "s1", **more: object) -> Json:
    return event("pos.sale", at(location, line("A", units), receipt="r", **more))


def said(check: Check) -> list[str]:
    return check.examples


def test_the_first_of_an_id_takes_effect_later_ones_are_copies_and_an_empty_one_is_bad() -> None:
    one, other = receipt("A", 1), receipt("A", 2)
    assert list(marked([one, other, {}, one])) == [
        Sent("good", one), Sent("good", other), Sent("bad", {}), Sent("duplicate", one)
    ]  # fmt: skip


def test_what_is_left_over_is_counted_and_is_no_finding() -> None:
    check, oversold, left = check_sold(case([receipt("A", 5), sale(3)]).expected)
    assert (said(check), oversold, left) == ([], 0, 2)


def test_a_unit_that_was_promised_twice_is_oversold() -> None:
    check, oversold, left = check_sold(case([receipt("A", 3), placed("o", 5)]).expected)
    assert (said(check), oversold, left) == (["sold: A: oversold by 2"], 2, 0)


def test_a_unit_that_was_sold_where_it_was_not_is_found_though_there_are_enough_elsewhere() -> None:
    check, oversold, left = check_sold(case([receipt("A", 3, "dc"), sale(2)]).expected)
    assert (said(check), oversold, left) == (["sold: A at s1: oversold by 2"], 0, 1)


def test_a_damaged_unit_is_not_there_to_be_sold() -> None:
    back = event("pos.return", at("s1", line("A", 2, condition="damaged"), receipt="r"))
    check, oversold, left = check_sold(case([receipt("A", 1), back, placed("o", 2)]).expected)
    assert (said(check), oversold, left) == (["sold: A: oversold by 1"], 1, 0)


def test_open_units_are_compared_order_by_order() -> None:
    expected = case([receipt("A", 9), placed("o1", 2), placed("o2", 3)]).expected
    assert said(check_orders(expected, {("o1", "A"): 2, ("o2", "A"): 3, ("o3", "A"): 0})) == []
    assert said(check_orders(expected, {("o1", "A"): 3, ("o2", "A"): 2})) == [
        "orders: o1: A open expected 2, got 3",
        "orders: o2: A open expected 3, got 2",
    ]
    assert said(check_orders(expected, {("o1", "A"): 2})) == [
        "orders: o2: A open expected 3, got 0"
    ]


def test_an_order_that_is_done_with_but_open_in_the_store_is_found() -> None:
    void = event("order.cancelled", {"order": "o1"})
    expected = case([placed("o1", 2), void]).expected
    assert check_orders(expected, {("o1", "A"): 2}).skus == {"A"}


def test_a_claim_that_is_left_open_is_found() -> None:
    events = [receipt("A", 1), receipt("B", 1)]
    found = case(events, stored("A", 1, open=True), stored("B", 1, open=False))
    assert said(check_claims(found.snapshot)) == ["claims: A: its claim is left open"]


def test_a_version_may_come_twice_but_with_one_content() -> None:
    first, other = (update("A", 5, units, units, 0)["value"]["data"] for units in (3, 4))
    channels = ["shop", "shopee"]
    assert said(check_contents(updates_of([first, first], channels))) == []
    assert said(check_contents(updates_of([first, other], channels))) == [
        "contents: A: version 5 has two contents"
    ]
    more = {**first, "levels": {"shop": 3}}
    assert check_contents(updates_of([first, more], channels)).differ == 1


def test_versions_of_several_publishers_may_come_late_but_none_above_the_stored_one() -> None:
    found = case([receipt("A", 1)], stored("A", 1))
    late = updates_of(
        ({"sku": "A", "version": v, "available": 1, "levels": {"shop": 1}} for v in (9, 8)),
        ["shop"],
    )
    figures = found.snapshot.figures
    assert late.late == 1
    assert said(check_versions(found.expected, late, figures, one_emits=False)) == []
    assert check_versions(found.expected, late, figures).skus == {"A"}
    late.take({"sku": "A", "version": 10, "available": 1, "levels": {"shop": 1}})
    assert said(check_versions(found.expected, late, figures, one_emits=False)) == [
        "versions: A: expected at least 10 stored, got 9"
    ]


def test_nothing_is_expected_of_skus_that_are_left_out() -> None:
    expected = case([receipt("A", 1), receipt("B", 1)]).expected
    nothing = updates_of([], ["shop"])
    assert check_last_messages(expected, nothing, POLICY).skus == {"A", "B"}
    assert check_last_messages(expected.without({"B"}), nothing, POLICY).skus == {"A"}


def test_a_finding_says_where_and_by_how_many_units() -> None:
    found = case([receipt("A", 5), placed("o", 2)], stored("A", 6, unrouted=1))
    positions = check_positions(found.expected, found.snapshot.positions)
    skus = check_skus(found.expected, found.snapshot.figures)
    assert positions.findings == [Finding("A", "s1", 1)]
    assert skus.findings == [Finding("A", units=-1)]


@pytest.mark.parametrize(
    "stock", [[stored("A", 1)] * 2, [stored("A", 1, positions=stored("A", 1)["positions"] * 2)]]
)
def test_a_sku_or_a_location_that_the_store_shows_twice_is_refused(stock: list[Json]) -> None:
    with pytest.raises(InputError, match="twice"):
        case([receipt("A", 1)], *stock)


def test_between_the_marks_a_state_may_be_repeated_where_nobody_says_what_was_emitted() -> None:
    ads = [{"rule": "ads-shop", "state": "active", "since": None}]
    found = case([receipt("A", 4)], stored("A", 4, ads=ads))
    signals = signals_of(
        signal(kind, "A", v, 4)["value"] for kind, v in (("ad.pause", 1), ("ad.resume", 2))
    )
    told = updates_of([], ["shop"])
    expected, policy, snapshot = found.expected, found.policy, found.snapshot
    assert [c.differ for c in check_ads(expected, policy, snapshot, signals, told)] == [0, 1]
    assert [c.differ for c in check_ads(expected, policy, snapshot, signals, None)] == [0, 0]
    paused = signals_of([signal("ad.pause", "A", 3, 4)["value"]])
    assert [c.differ for c in check_ads(expected, policy, snapshot, paused, None)] == [1, 0]
