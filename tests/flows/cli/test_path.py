"""From events to levels, by the command line alone."""

import orjson

from tests.flows.shop import CONFIG, Shop, event, lines, rows


def test_what_is_emitted_becomes_stock_and_levels(shop: Shop) -> None:
    shop.emit(
        event(1, "wms.receipt", location="wh", reference="r1", lines=lines(A=10, B=3)),
        event(2, "wms.receipt", location="s1", reference="r2", lines=lines(A=4)),
        event(3, "pos.sale", location="s1", receipt="x", lines=lines(A=1)),
        event(4, "order.placed", order="o1", channel="shopee", lines=lines(A=2)),
        event(5, "wms.count", location="wh", counted_at="2026-01-01T00:00:00Z", lines=lines(C=0)),
    )
    shop.settle()

    found = shop.stock("A")
    version, since = found.pop("version"), found["ads"][0].pop("since")
    assert version > 0
    assert since.endswith("Z")
    empty = {"reserved": 0, "unavailable": 0, "incoming": 0, "counted_at": None}
    assert found == {
        "sku": "A",
        "available": 11,
        "unrouted": 2,
        "held": 0,
        "positions": [
            {"location": "s1", "on_hand": 3, "atp": 3, **empty},
            {"location": "wh", "on_hand": 10, "atp": 10, **empty},
        ],
        "levels": {"shopee": 10, "shop": 11},
        "ads": [{"rule": "google", "state": "active"}],
    }
    assert shop.stock("C")["positions"][0]["counted_at"] == "2026-01-01T00:00:00.000Z"
    assert shop.stock("C")["ads"][0]["state"] == "paused"

    updates = rows(shop.penstock("tail", "stock.updates", "--from-start", "--until-idle"))
    (update,) = [each for each in updates if each["key"] == "A"]
    assert list(update) == [
        "topic", "partition", "offset", "timestamp_ms", "key", "headers", "value",
    ]  # fmt: skip
    assert update["value"]["data"]["levels"] == {"shopee": 10, "shop": 11}
    assert update["value"]["data"]["version"] == version

    some = shop.penstock("stock", "-", given="B\n\nnone\nA\n")
    assert some.returncode == 1
    assert [orjson.loads(line)["sku"] for line in some.stdout.splitlines()] == ["B", "A"]
    assert some.stderr == "penstock stock: sku: expected one that the store knows, got 'none'\n"
    assert [sku["sku"] for sku in rows(shop.penstock("stock", "--all"))] == ["A", "B", "C"]


def test_a_dead_letter_takes_effect_when_replayed_after_a_fix(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="new", reference="r1", lines=lines(A=10)))
    shop.settle()
    unknown = shop.penstock("stock", "A")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    (listed,) = rows(shop.penstock("dead-letters", "list"))
    assert (listed["topic"], listed["step"], listed["replayed"]) == (
        "wms.receipts", "normalise", False,
    )  # fmt: skip
    assert "location" in listed["reason"]
    (whole,) = rows(shop.penstock("dead-letters", "show", listed["id"]))
    assert orjson.loads(whole["payload"])["data"]["location"] == "new"

    shop.config.write_text(CONFIG.replace("id: s1", "id: new"))
    replayed = shop.penstock("dead-letters", "replay", "--all")
    assert replayed.stdout == "dead-letters: replayed=1 failed=0\n"
    shop.settle()
    assert shop.stock("A")["available"] == 10
    again = shop.penstock("dead-letters", "replay", "--all")
    assert again.stdout == "dead-letters: replayed=0 failed=0\n"
    assert shop.penstock("dead-letters", "replay", "no/such/1").returncode == 1
    assert shop.penstock("dead-letters", "show", "no/such/1").returncode == 1
