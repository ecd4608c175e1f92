"""`penstock reconcile`."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.flows.shop import Shop, event, last_fault, lines, running
from tests.patience import PATIENTLY, eventually


@pytest.mark.slow
def test_a_list_of_another_system_is_compared_and_then_made_true(stocked: Shop) -> None:
    listed = stocked.folder / "wms.csv"
    listed.write_text("location,sku,on_hand\nwh,A,9\nwh,B,3\ns1,A,5\ns1,C,1\n")
    as_of = (datetime.now(UTC) - timedelta(milliseconds=200)).isoformat()
    stocked.emit(event(9, "pos.sale", location="s1", receipt="y", lines=lines(A=1)))
    with running(stocked, ("run", "ingest")):
        assert eventually(lambda: stocked.stock("A")["positions"][0]["on_hand"] == 2)
        base = ("reconcile", str(listed), "--source", "wms", "--as-of", as_of)
        done = stocked.penstock(*base)
        assert done.returncode == 1
        found = [orjson.loads(line) for line in done.stdout.splitlines()]
        assert [(each["location"], each["sku"], each["delta"]) for each in found] == [
            ("wh", "A", -1),
            ("s1", "A", 2),
            ("s1", "C", 1),
        ]
        assert stocked.penstock(*base, "--apply").returncode == 2
        mended = stocked.penstock(
            *base, "--apply", "--reason", "correction", "--by", "y.lin", *PATIENTLY
        )
        assert mended.returncode == 0, mended.stderr
        assert last_fault(mended).endswith("differ=3 counted_since=0 events=2 applied=2")
    assert {each["location"]: each["on_hand"] for each in stocked.stock("A")["positions"]} == {
        "wh": 9,
        "s1": 4,
    }
    assert stocked.penstock(*base).returncode == 0


@pytest.mark.slow
def test_a_position_counted_since_the_list_was_made_is_left_alone(stocked: Shop) -> None:
    stocked.emit(
        event(
            9,
            "wms.count",
            location="wh",
            counted_at=datetime.now(UTC).isoformat(),
            lines=lines(A=8),
        )
    )
    stocked.settle()
    listed = stocked.folder / "wms.csv"
    listed.write_text("location,sku,on_hand\nwh,A,10\n")
    done = stocked.penstock(
        "reconcile", str(listed), "--source", "wms", "--as-of", "2026-01-01T00:00:00Z", "--apply",
        "--reason", "correction", "--by", "y",
    )  # fmt: skip
    assert done.returncode == 1
    assert orjson.loads(done.stdout)["counted_since"]
    assert "applied=0" in last_fault(done)
