"""`penstock adjust`, and what else an operator sends, with the flows running."""

import orjson

from tests.flows.shop import Shop, event, last_fault, lines, rows, running
from tests.patience import PATIENTLY, eventually


def test_an_adjustment_tells_the_figures_before_and_after(stocked: Shop) -> None:
    with running(stocked, ("run", "ingest")):
        done = stocked.penstock(
            "adjust",
            "A",
            "s1",
            "-2",
            "--reason",
            "damaged",
            "--by",
            "y.lin",
            "--note",
            "fell",
            *PATIENTLY,
        )
        (found,) = rows(done)
    assert (found["before"], found["after"]) == (3, 1)
    (event_told,) = [
        each
        for each in rows(stocked.penstock("tail", "wms.receipts", "--from-start", "--until-idle"))
        if each["value"]["id"] == found["id"]
    ]
    assert event_told["value"]["source"] == "/penstock/adjust"
    assert event_told["value"]["data"]["actor"] == "y.lin"
    assert event_told["value"]["data"]["reason"] == "damaged"


def test_what_is_done_by_hand_while_events_set_the_clock_happens_then_and_not_today(
    shop: Shop,
) -> None:
    shop.env["PENSTOCK_CLOCK"] = "event"
    counted, listed = shop.folder / "positions.csv", shop.folder / "listed.csv"
    counted.write_text("location,sku,on_hand,unavailable\nwh,A,8,0\n")
    listed.write_text("location,sku,on_hand\nwh,A,8\n")

    def has(on_hand: int) -> bool:
        return [p["on_hand"] for p in shop.stock("A")["positions"]] == [on_hand]

    received = event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5))
    shop.emit(received | {"time": "2011-07-04T10:00:00+00:00"})
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
        adjusted = shop.penstock(
            "adjust", "A", "wh", "1", "--reason", "found", "--by", "y.lin", *PATIENTLY
        )
        assert (rows(adjusted)[0]["after"], has(6)) == (6, True)
        assert shop.penstock("import", str(counted)).returncode == 0
        assert eventually(lambda: has(8))
        compared = shop.penstock("reconcile", str(listed), "--source", "wms")
        assert "as_of=2011-07-04T10:00:00" in last_fault(compared)
        sold = event(2, "pos.sale", location="wh", receipt="x", lines=lines(A=2))
        shop.emit(sold | {"time": "2011-07-04T11:00:00+00:00"})
        assert eventually(lambda: has(6)), "a count of today would have seen that sale"


def test_an_adjustment_that_makes_no_sense_is_not_sent(stocked: Shop) -> None:
    nowhere = stocked.penstock("adjust", "A", "mars", "1", "--reason", "found", "--by", "y")
    assert (nowhere.returncode, last_fault(nowhere)) == (
        2,
        "penstock adjust: location: unknown location 'mars'",
    )
    nothing = stocked.penstock("adjust", "A", "s1", "0", "--reason", "found", "--by", "y")
    assert (nothing.returncode, last_fault(nothing)) == (
        2,
        "penstock adjust: lines[0].quantity: expected integer other than 0, got 0",
    )
    assert (
        stocked.penstock("adjust", "A", "s1", "1", "--reason", "fun", "--by", "y").returncode == 2
    )


def test_an_adjustment_that_nobody_applies_says_so(stocked: Shop) -> None:
    done = stocked.penstock(
        "adjust", "A", "s1", "1", "--reason", "found", "--by", "y", "--timeout", "0.1"
    )
    assert done.returncode == 3
    assert "not applied within 0.1 s" in done.stderr
    assert "before" not in orjson.loads(done.stdout)
