"""`penstock hold` from end to end: a checkout, a till, and the order that comes of it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.redis.embedded import EmbeddedError, embedded
from state.events.timestamps import rfc3339_ms
from tests.flows.shop import ROOT, Shop, event, lines, rows, running
from tests.patience import eventually

PAGE = ROOT / "docs" / "guides" / "holds.md"


@pytest.fixture
def shop(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[Shop]:
    """A shop with 10 of A1, 3 of them in the store, 5 of B1 and of B7."""
    made = Shop(tmp_path)
    made.config.write_text(made.config.read_text().replace("id: s1", "id: s001"))
    try:
        with embedded(tmp_path / "data"):
            made.emit(
                event(
                    "r1", "wms.receipt", location="wh", reference="r", lines=lines(A1=7, B1=5, B7=5)
                ),
                event("r2", "wms.receipt", location="s001", reference="r", lines=lines(A1=3)),
            )
            made.settle()
            yield made
    except EmbeddedError as error:
        missing(str(error))
    finally:
        made.close()


def told(shop: Shop, *args: str, code: int = 0) -> dict[str, Any]:
    done = shop.penstock("hold", *args)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_checkout_holds_confirms_and_becomes_an_order(shop: Shop) -> None:
    held = told(shop, "create", "cart-1", "A1=4", "B1", "--channel", "shop")
    assert held["state"] == "held"
    assert held["lines"] == [{"sku": "A1", "quantity": 4}, {"sku": "B1", "quantity": 1}]
    assert (shop.stock("A1")["held"], shop.stock("A1")["available"]) == (4, 6)

    assert told(shop, "create", "cart-1", "A1=4", "B1", "--channel", "shop") == held
    assert (
        told(shop, "create", "cart-1", "A1=5", "--channel", "shop", code=1)["state"] == "conflict"
    )
    short = told(shop, "create", "cart-2", "A1=7", "--channel", "shop", code=1)
    assert short["short"] == [{"sku": "A1", "wanted": 7, "available": 6}]

    assert told(shop, "show", "cart-1")["by"] == "shop"
    assert [each["hold"] for each in rows(shop.penstock("hold", "show", "--sku", "A1"))] == [
        "cart-1"
    ]

    assert told(shop, "confirm", "cart-1", "--order", "4711")["state"] == "confirmed"
    shop.settle()
    a1 = shop.stock("A1")
    assert (a1["held"], a1["unrouted"], a1["available"]) == (0, 4, 6)
    assert a1["levels"] == {"shop": 6, "shopee": 5}
    again = told(shop, "confirm", "cart-1", "--order", "4711")
    assert again["state"] == "placed before"
    assert (
        told(shop, "create", "cart-1", "A1=4", "B1", "--channel", "shop", code=1)["state"] == "gone"
    )


@pytest.mark.slow
def test_a_till_holds_at_its_shop_and_its_sale_uses_the_hold_up(shop: Shop) -> None:
    assert told(shop, "create", "t1", "A1=4", "--location", "s001", code=1)["state"] == "short"
    told(shop, "create", "t1", "A1=2", "--location", "s001")
    position = next(p for p in shop.stock("A1")["positions"] if p["location"] == "s001")
    assert (position["reserved"], position["atp"]) == (2, 1)

    sale = event("s", "pos.sale", location="s001", receipt="9", hold="t1", lines=lines(A1=2))
    shop.emit(sale, sale)
    shop.settle()
    a1 = shop.stock("A1")
    position = next(p for p in a1["positions"] if p["location"] == "s001")
    assert (position["on_hand"], position["reserved"], a1["available"]) == (1, 0, 8)


@pytest.mark.slow
def test_what_is_released_can_be_had_by_others_at_once(shop: Shop) -> None:
    told(shop, "create", "a", "A1=10", "--channel", "shop")
    assert told(shop, "create", "b", "A1=3", "--channel", "shop", code=1)["state"] == "short"
    assert told(shop, "release", "a")["state"] == "released"
    assert told(shop, "release", "a", code=1)["state"] == "gone"
    partial = told(shop, "create", "b", "A1=30", "--channel", "shopee", "--partial")
    assert partial["lines"] == [{"sku": "A1", "quantity": 9}]


@pytest.mark.slow
def test_what_cannot_be_is_told_with_what_was_expected(shop: Shop) -> None:
    for args, words in (
        (("create", "a", "A1=x", "--channel", "shop"), "expected SKU or SKU=QUANTITY"),
        (("create", "a", "A1=0", "--channel", "shop"), "lines[0].quantity: expected 1 to"),
        (("create", "a", "A1"), "channel, location: expected one of them, got none"),
        (("create", "a", "A1", "--channel", "nobody"), "channel: expected one of the policy"),
        (("create", "a", "A1", "--location", "nowhere"), "location: expected one of the policy"),
        (("create", "a", "A1", "--channel", "shop", "--ttl", "0"), "ttl_s: expected 1 to 14400"),
        (("show",), "expected a hold or --sku"),
    ):
        done = shop.penstock("hold", *args)
        assert done.returncode == 2
        assert words in done.stderr


@pytest.mark.slow
def test_the_page_goes_as_shown(shop: Shop) -> None:
    shown = re.findall(r"^\$ penstock (.+)\n(\{.+\})$", PAGE.read_text(), re.MULTILINE)
    assert len(shown) == PAGE.read_text().count("$ penstock ") == 6
    for command, answer in shown:
        if "--sku" in command:
            told(shop, "create", "cart-18", "A1", "--channel", "shop")
        found = rows(shop.penstock(*command.split()))
        # The page shows a moment in which the first cart has been sold.
        found = [each for each in found if "--sku" not in command or each["hold"] != "cart-17"]
        expected = orjson.loads(answer)
        if "expires_at" in expected:
            expected["expires_at"] = found[0]["expires_at"]
        assert found == [expected]


@pytest.mark.quiet
def test_channels_learn_of_a_lapse_within_a_fifth_of_a_second(shop: Shop) -> None:
    whole = {"A1": 10, "B1": 5, "B7": 5}
    with running(shop, ("run", "publish")):
        expiries = {
            sku: told(shop, "create", f"c-{sku}", f"{sku}=2", "--channel", "shop", "--ttl", "2")
            for sku in whole
        }

        def lapsed() -> dict[str, int]:
            """When the log took the update of each SKU that told that it is whole again."""
            done = shop.penstock("tail", "stock.updates", "--from-start", "--until-idle")
            found = [(row["timestamp_ms"], row["value"]["data"]) for row in rows(done)]
            return {
                data["sku"]: ms
                for ms, data in found
                if data["levels"]["shop"] == whole[data["sku"]]
                and ms > rfc3339_ms(expiries[data["sku"]]["expires_at"])
            }

        assert eventually(lambda: lapsed().keys() == whole.keys())
        seen = lapsed()
    late_ms = sorted(seen[sku] - rfc3339_ms(expiries[sku]["expires_at"]) for sku in whole)
    assert late_ms[1] <= 200, late_ms
