"""The check finds what is wrong: each kind of harm is planted into a right outcome."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.faults.check import Found, Verdict, judge, left_open
from tests.oracle.policy import policy_of
from tests.oracle.stream import Sent
from tests.oracle.topics import updates_of

POLICY = policy_of(
    {
        "locations": [{"id": "wh", "kind": "warehouse"}, {"id": "s1", "kind": "store"}],
        "policies": {"floors": {"store": 1}},
        "channels": [{"id": "shop"}, {"id": "shopee", "share_bp": 5000}],
    }
)
Json = dict[str, Any]
NOON = "2026-03-02T12:00:00Z"


def _event(name: str, kind: str, **data: Any) -> dict[str, Any]:
    return {"id": name, "source": "/faults", "type": kind, "time": NOON, "data": data}


def _line(sku: str, quantity: int) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity}]


RECEIPT = _event("1", "wms.receipt", location="wh", reference="r", lines=_line("A", 10))
SALE = _event("2", "pos.sale", location="wh", receipt="s", lines=_line("A", 3))
ORDER = _event("3", "order.placed", order="o", channel="shop", lines=_line("A", 2))
COUNT = _event("4", "wms.count", location="s1", counted_at=NOON, lines=_line("B", 5))
NOON_MS = 1_772_452_800_000


def _at(location: str, on_hand: int, counted_at: int | None = None) -> Json:
    held = {"reserved": 0, "unavailable": 0, "incoming": 0}
    figures = {"on_hand": on_hand, **held, "atp": on_hand}
    return {"location": location, **figures, "counted_at": counted_at}


def _stock(sku: str, version: int, available: int, unrouted: int, position: Json) -> Json:
    figures = {"version": version, "available": available, "unrouted": unrouted, "held": 0}
    return {
        "sku": sku, **figures, "positions": [position], "levels": {}, "ads": [], "open": False
    }  # fmt: skip


def _told(sku: str, version: int, available: int, shop: int, shopee: int) -> Json:
    levels = {"shop": shop, "shopee": shopee}
    return {"sku": sku, "version": version, "available": available, "levels": levels}


@dataclass
class Right:
    """A right outcome. A: 7 on hand, 2 ordered. B: 5 counted in a shop that keeps one."""

    kinds: list[tuple[dict[str, Any], str]] = field(
        default_factory=lambda: [
            (RECEIPT, "good"),
            (SALE, "good"),
            (SALE, "duplicate"),
            (ORDER, "good"),
            (COUNT, "good"),
        ]
    )
    stock: dict[str, Json] = field(
        default_factory=lambda: {
            "A": _stock("A", 30, 5, 2, _at("wh", 7)),
            "B": _stock("B", 12, 5, 0, _at("s1", 5, NOON_MS)),
        }
    )
    told: list[Json] = field(
        default_factory=lambda: [
            _told("A", 10, 10, 10, 5),
            _told("B", 12, 5, 4, 2),
            _told("A", 30, 5, 5, 2),
            _told("A", 20, 7, 7, 3),
        ]
    )

    def found(self, **changed: Any) -> Found:
        found = Found(
            sent=[Sent(kind, event) for event, kind in self.kinds],
            policy=POLICY,
            confirmed=frozenset(),
            applied=4,
            duplicates=1,
            dead=0,
            stock=list(self.stock.values()),
            consumer=updates_of(self.told, [channel.id for channel in POLICY.channels]),
        )
        return replace(found, **changed)


def _counts(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.lost, verdict.doubled, verdict.stale


@pytest.fixture
def right() -> Right:
    return Right()


def test_a_right_outcome_is_clean_and_a_late_update_does_no_harm(
    right: Right,
) -> None:
    found = right.found()
    verdict = judge(found)
    assert verdict, verdict.examples
    assert (verdict.events, verdict.copies, found.consumer.late) == (4, 1, 1)


def test_a_sale_that_took_no_effect_is_lost(right: Right) -> None:
    right.stock["A"]["positions"] = [_at("wh", 10)]
    assert _counts(judge(right.found())) == (1, 0, 0)


def test_a_sale_that_took_effect_twice_is_doubled(right: Right) -> None:
    right.stock["A"]["positions"] = [_at("wh", 4)]
    assert _counts(judge(right.found())) == (0, 1, 0)


def test_an_order_that_was_forgotten_is_lost(right: Right) -> None:
    right.stock["A"]["unrouted"] = 0
    assert _counts(judge(right.found())) == (1, 0, 0)


def test_a_position_that_nobody_made_is_found(right: Right) -> None:
    right.stock["B"]["positions"].append(_at("wh", 1))
    assert not judge(right.found())


def test_a_count_of_another_time_is_found(right: Right) -> None:
    right.stock["B"]["positions"] = [_at("s1", 5, NOON_MS - 1)]
    assert not judge(right.found())


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"confirmed": {"1", "7"}}, (1, 0, 0)),
        ({"applied": 3}, (1, 0, 0)),
        ({"dead": 1}, (1, 0, 0)),
        ({"applied": 5, "duplicates": 0}, (0, 1, 0)),
        ({"duplicates": 3}, (0, 2, 0)),
        ({"duplicates": 0}, (0, 1, 0)),
    ],
)
def test_counts_of_events_that_do_not_add_up_are_found(
    right: Right, changed: dict[str, Any], counts: tuple[int, int, int]
) -> None:
    assert _counts(judge(right.found(**changed))) == counts


def test_a_last_update_that_is_not_the_truth_is_stale(right: Right) -> None:
    del right.told[2]
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_a_level_of_one_channel_that_is_wrong_is_stale(right: Right) -> None:
    right.told[2] = _told("A", 30, 5, 5, 3)
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_a_sku_that_was_never_told_is_stale(right: Right) -> None:
    del right.told[1]
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_a_version_with_two_contents_is_stale(right: Right) -> None:
    right.told.append(_told("A", 20, 6, 6, 3))
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_a_store_behind_the_versions_that_it_gave_out_is_stale(
    right: Right,
) -> None:
    right.stock["A"]["version"] = 29
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_a_claim_that_is_left_open_is_stale(right: Right) -> None:
    right.stock["B"]["open"] = True
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_a_sku_that_the_store_does_not_have_is_lost_and_stale(right: Right) -> None:
    del right.stock["B"]
    assert _counts(judge(right.found())) == (1, 0, 1)


def test_a_sku_that_nobody_sold_or_received_is_stale(right: Right) -> None:
    right.stock["Z"] = {**right.stock["A"], "sku": "Z", "positions": []}
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_an_update_of_a_sku_that_is_not_is_stale(right: Right) -> None:
    right.told.append(_told("Z", 1, 0, 0, 0))
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_units_that_are_still_held_are_stale(right: Right) -> None:
    right.stock["A"]["held"] = 1
    assert _counts(judge(right.found())) == (0, 0, 1)


def test_work_that_is_left_over_counts() -> None:
    verdict = Verdict()
    left_open(verdict, 3, 2, "pos.sales/0: 3 to apply, 2 SKUs due")
    assert (_counts(verdict), bool(verdict)) == ((3, 0, 2), False)
