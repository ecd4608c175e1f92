"""`penstock doctor`."""

import orjson

from tests.flows.shop import Shop, event, lines, rows


def test_doctor_finds_a_sound_store_sound(shop: Shop) -> None:
    before = shop.penstock("doctor")
    assert before.returncode == 1
    assert "run `penstock init`" in before.stdout
    shop.penstock("init")
    found = {row["check"]: row["status"] for row in rows(shop.penstock("doctor"))}
    assert found == dict.fromkeys(
        ("python", "settings", "config", "server", "shards", "append-only", "clock", "functions", "topics",
         "policy", "lag", "due"),
        "ok",
    )  # fmt: skip


def test_doctor_tells_what_is_wrong(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=10)))
    shop.config.write_text("version: 2\n")
    done = shop.penstock("doctor", PENSTOCK_TICK="20", PENSTOCK_REDIS="redis://127.0.0.1:1")
    assert done.returncode == 1
    found = {row["check"]: row for row in map(orjson.loads, done.stdout.splitlines())}
    assert [name for name, row in found.items() if row["status"] == "fail"] == [
        "settings", "config", "server",
    ]  # fmt: skip
    assert "did you mean PENSTOCK_TICK_MS?" in found["settings"]["detail"]
