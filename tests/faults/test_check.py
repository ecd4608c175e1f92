"""The check finds what is wrong: each kind of harm is planted into a right outcome."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.faults.check import Figures, Found, Stock, Told, Verdict, judge, kept_of, left_open
from tests.oracle.columns import NONE

CONFIG = """
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}]
policies: {floors: {store: 1}}
channels: [{id: shop}, {id: shopee, share_bp: 5000}]
"""
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
    stock: dict[str, Stock] = field(
        default_factory=lambda: {
            "A": Stock(30, 2, open=False, positions={"wh": Figures(7, 0, 0, NONE)}),
            "B": Stock(12, 0, open=False, positions={"s1": Figures(5, 0, 0, NOON_MS)}),
        }
    )
    told: list[tuple[str, Told]] = field(
        default_factory=lambda: [
            ("A", Told(10, 10, {"shop": 10, "shopee": 5})),
            ("B", Told(12, 5, {"shop": 4, "shopee": 2})),
            ("A", Told(30, 5, {"shop": 5, "shopee": 2})),
            ("A", Told(20, 7, {"shop": 7, "shopee": 3})),
        ]
    )

    def found(self, folder: Path, **changed: Any) -> Found:
        rows = (
            {"kind": kind, "headers": [], "value": orjson.dumps(event).decode()}
            for event, kind in self.kinds
        )
        stream, policy = folder / "stream.jsonl", folder / "penstock.yaml"
        stream.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        policy.write_text(CONFIG)
        found = Found(
            stream=stream,
            policy=policy,
            missing=frozenset(),
            applied=4,
            duplicates=1,
            dead=0,
            stock=self.stock,
            consumer=kept_of(self.told),
        )
        return replace(found, **changed)


def _counts(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.lost, verdict.doubled, verdict.stale


@pytest.fixture
def right() -> Right:
    return Right()


def test_a_right_outcome_is_clean_and_a_late_update_does_no_harm(
    right: Right, tmp_path: Path
) -> None:
    found = right.found(tmp_path)
    verdict = judge(found)
    assert verdict, verdict.examples
    assert (verdict.events, verdict.copies, found.consumer.late) == (4, 1, 1)


def test_a_sale_that_took_no_effect_is_lost(right: Right, tmp_path: Path) -> None:
    right.stock["A"] = right.stock["A"]._replace(positions={"wh": Figures(10, 0, 0, NONE)})
    assert _counts(judge(right.found(tmp_path))) == (1, 0, 0)


def test_a_sale_that_took_effect_twice_is_doubled(right: Right, tmp_path: Path) -> None:
    right.stock["A"] = right.stock["A"]._replace(positions={"wh": Figures(4, 0, 0, NONE)})
    assert _counts(judge(right.found(tmp_path))) == (0, 1, 0)


def test_an_order_that_was_forgotten_is_lost(right: Right, tmp_path: Path) -> None:
    right.stock["A"] = right.stock["A"]._replace(unrouted=0)
    assert _counts(judge(right.found(tmp_path))) == (1, 0, 0)


def test_a_position_that_nobody_made_is_found(right: Right, tmp_path: Path) -> None:
    right.stock["B"].positions["wh"] = Figures(1, 0, 0, NONE)  # type: ignore[index]  # made as a dict
    assert not judge(right.found(tmp_path))


def test_a_count_of_another_time_is_found(right: Right, tmp_path: Path) -> None:
    right.stock["B"] = right.stock["B"]._replace(positions={"s1": Figures(5, 0, 0, NOON_MS - 1)})
    assert not judge(right.found(tmp_path))


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"missing": {"7"}}, (1, 0, 0)),
        ({"applied": 3}, (1, 0, 0)),
        ({"dead": 1}, (1, 0, 0)),
        ({"applied": 5, "duplicates": 0}, (0, 1, 0)),
        ({"duplicates": 3}, (0, 2, 0)),
        ({"duplicates": 0}, (0, 1, 0)),
    ],
)
def test_counts_of_events_that_do_not_add_up_are_found(
    right: Right, tmp_path: Path, changed: dict[str, Any], counts: tuple[int, int, int]
) -> None:
    assert _counts(judge(right.found(tmp_path, **changed))) == counts


def test_a_last_update_that_is_not_the_truth_is_stale(right: Right, tmp_path: Path) -> None:
    del right.told[2]
    assert _counts(judge(right.found(tmp_path))) == (0, 0, 1)


def test_a_level_of_one_channel_that_is_wrong_is_stale(right: Right, tmp_path: Path) -> None:
    right.told[2] = ("A", Told(30, 5, {"shop": 5, "shopee": 3}))
    assert _counts(judge(right.found(tmp_path))) == (0, 0, 1)


def test_a_sku_that_was_never_told_is_stale(right: Right, tmp_path: Path) -> None:
    del right.told[1]
    assert _counts(judge(right.found(tmp_path))) == (0, 0, 1)


def test_a_version_with_two_contents_is_stale(right: Right, tmp_path: Path) -> None:
    right.told.append(("A", Told(20, 6, {"shop": 6, "shopee": 3})))
    assert _counts(judge(right.found(tmp_path))) == (0, 0, 1)


def test_a_store_behind_the_versions_that_it_gave_out_is_stale(
    right: Right, tmp_path: Path
) -> None:
    right.stock["A"] = right.stock["A"]._replace(version=29)
    assert _counts(judge(right.found(tmp_path))) == (0, 0, 1)


def test_a_claim_that_is_left_open_is_stale(right: Right, tmp_path: Path) -> None:
    right.stock["B"] = right.stock["B"]._replace(open=True)
    assert _counts(judge(right.found(tmp_path))) == (0, 0, 1)


def test_a_sku_that_the_store_does_not_have_is_lost_and_stale(right: Right, tmp_path: Path) -> None:
    del right.stock["B"]
    assert _counts(judge(right.found(tmp_path))) == (1, 0, 1)


def test_work_that_is_left_over_counts() -> None:
    verdict = Verdict()
    left_open(verdict, 3, 2, "pos.sales/0: 3 to apply, 2 SKUs due")
    assert (_counts(verdict), bool(verdict)) == ((3, 0, 2), False)
