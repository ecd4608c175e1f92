"""What there was at each moment, in the order of the log."""

from tests.oracle.case import case_of
from tests.oracle.course import Course
from tests.oracle.policy import policy_of
from tests.oracle.stream import marked
from tests.oracle.world import NOON, event, placed

RULES = {
    "locations": [
        {"id": "dc", "kind": "warehouse", "region": "north"},
        {"id": "s1", "kind": "store", "region": "south"},
    ],
    "policies": {"floors": {"store": 1}, "network_threshold": 1},
    "channels": [
        {
            "id": "shop",
            "locations": {"kinds": ["warehouse", "store"], "regions": "all"},
            "share_bp": 5_000,
            "buffer": {"units": 1},
            "cutoff": 0,
        },
        {
            "id": "south",
            "locations": {"kinds": ["store"], "regions": ["south"], "exclude": []},
            "share_bp": 10_000,
            "buffer": {"units": 0},
            "cutoff": 1,
            "cap": 4,
        },
    ],
    "campaigns": [],
}


def line(sku: str, quantity: int) -> dict[str, object]:
    return {"sku": sku, "quantity": quantity, "condition": "sellable"}


def test_the_truth_knows_what_was_there_at_each_moment() -> None:
    truth = Course({"dc": {"A": 4}, "s1": {"A": 6}}, policy_of(RULES), silent="s1")
    assert truth.levels("A") == {"shop": 8 // 2 - 1, "south": 4}
    assert truth.levels("A", without="s1") == {"shop": 0, "south": 0}
    sale = {"location": "s1", "receipt": "1", "lines": [line("A", 3)]}
    truth.apply("pos.sale", sale, 10)
    assert truth.levels("A") == {"shop": 1, "south": 0}
    order = {"order": "o", "channel": "shop", "lines": [line("A", 3)]}
    truth.apply("order.placed", order, 20)
    assert truth.levels("A") == {"shop": 0, "south": 0}
    assert truth.unrouted["A"] == 3
    truth.apply("order.cancelled", {"order": "o"}, 30)
    assert truth.levels("A") == {"shop": 1, "south": 0}
    assert not truth.oversold()
    assert truth.could_be_zero("A", "south", 5, 15)


def test_a_zero_is_false_only_if_there_was_stock_all_the_while() -> None:
    truth = Course({"dc": {"A": 9}, "s1": {}}, policy_of(RULES), silent="none")
    for at_ms, units in ((10, 9), (20, -9)):
        truth.apply("wms.receipt", {"location": "dc", "lines": [line("A", -units)]}, at_ms)
    assert truth.could_be_zero("A", "shop", 12, 15)
    assert truth.could_be_zero("A", "shop", 12, 25)
    assert not truth.could_be_zero("A", "shop", 0, 9)
    assert not truth.could_be_zero("A", "shop", 20, 30)


def test_what_is_promised_beyond_the_stock_is_oversold_though_it_is_cancelled_later() -> None:
    truth = Course({"dc": {"A": 2}, "s1": {}}, policy_of(RULES), silent="none")
    order = {"order": "o", "channel": "shop", "lines": [line("A", 5)]}
    truth.apply("order.placed", order, 10)
    truth.apply("order.cancelled", {"order": "o"}, 20)
    assert truth.oversold() == {"A": 3}


CAMPAIGN = {
    "channel": "south", "sku": "A", "lock": 5,
    "start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z",
}  # fmt: skip


def test_a_lock_counts_where_it_makes_a_level_lower_whether_it_holds_by_then_or_not() -> None:
    rules = policy_of(RULES | {"campaigns": [CAMPAIGN]})
    course = Course({"dc": {"A": 7}, "s1": {}}, rules, silent="none")
    assert course.levels("A") == {"shop": 0, "south": 0}
    assert course.could_be_zero("A", "shop", 0, 1)
    course.apply("wms.receipt", {"location": "dc", "lines": [line("A", 7)]}, 10)
    assert course.levels("A") == {"shop": (14 - 1 - 5) // 2 - 1, "south": 0}
    assert not course.could_be_zero("A", "shop", 10, 20)


def test_what_lies_at_a_silent_location_may_be_left_out_as_long_as_it_is_silent() -> None:
    course = Course({"dc": {"A": 1}, "s1": {"A": 9}}, policy_of(RULES), "s1", quiet_ms=(100, 200))
    assert not course.could_be_zero("A", "south", 10, 99)
    assert course.could_be_zero("A", "south", 10, 100)
    assert course.could_be_zero("A", "south", 200, 300)
    assert not course.could_be_zero("A", "south", 201, 300)


def test_what_is_held_may_not_be_shown_and_is_not_sold() -> None:
    course = Course({"dc": {"A": 9}, "s1": {}}, policy_of(RULES), silent="none")
    course.hold("A", 8, 10)
    assert course.levels("A")["shop"] == 0
    course.hold("A", -8, 20)
    assert course.levels("A")["shop"] == 8 // 2 - 1
    assert course.could_be_zero("A", "shop", 12, 15)
    assert not course.oversold()


def test_a_sku_that_was_never_there_could_always_be_zero() -> None:
    assert Course({}, policy_of(RULES), silent="none").could_be_zero("A", "shop", 0, 1)


def test_the_way_leads_to_the_end_that_was_worked_out() -> None:
    moved = {"transfer": "t", "from": "s1", "to": "dc", "lines": [line("A", 2)]}
    taken = [{**line("A", 1), "condition": "damaged"}, line("A", 1)]
    sent = [
        event("wms.receipt", {"location": "s1", "lines": [line("A", 20)], "reference": "r"}),
        event("wms.adjustment", {"location": "s1", "lines": [line("A", -1)]}),
        event("pos.sale", {"location": "s1", "lines": [line("A", 2)], "receipt": "b"}),
        event("pos.return", {"location": "s1", "lines": taken, "receipt": "b"}),
        *(event("wms.transfer", {**moved, "stage": stage}) for stage in ("shipped", "lost")),
        *(
            event("wms.transfer", {**moved, "transfer": "u", "stage": s})
            for s in ("shipped", "received")
        ),
        event("supplier.stock", {"location": "sup", "as_of": NOON, "lines": [line("A", 6)]}),
        *(placed(order, 2) for order in ("sent", "given up", "at a till", "waiting")),
        event("wms.shipment", {"location": "s1", "order": "sent", "lines": [line("A", 1)]}),
        event("order.cancelled", {"order": "sent", "lines": [line("A", 1)]}),
        event("order.cancelled", {"order": "given up"}),
        event("pos.sale", {"location": "s1", "order": "at a till", "lines": [line("A", 2)]}),
    ]
    policy = policy_of(RULES)
    expected = case_of(marked(sent), policy, []).expected
    course = Course({}, policy, silent="none")
    for at_ms, each in enumerate(sent):
        course.apply(each["type"], each["data"], at_ms)
    assert course.check_end(expected).examples == []
    assert course.unrouted["A"] == 2
    course.apply("pos.sale", {"location": "s1", "lines": [line("A", 3)]}, 99)
    assert course.check_end(expected).skus == {"A"}


def test_a_sku_of_which_nothing_was_worked_out_is_found() -> None:
    course = Course({"dc": {"A": 1}}, policy_of(RULES), silent="none")
    assert course.check_end(case_of([], policy_of(RULES), []).expected).differ == 1
