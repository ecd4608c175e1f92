"""`penstock shadow-report`."""

import orjson
import pytest

from tests.flows.cli.opening import opening
from tests.flows.shop import Shop


@pytest.fixture
def shop(shop: Shop) -> Shop:
    return opening(shop)


def settled(shop: Shop) -> None:
    done = shop.penstock("run", "--until-idle")
    assert done.returncode == 0, done.stderr


def test_the_shadow_report_tells_what_the_difference_would_have_meant(shop: Shop) -> None:
    assert shop.penstock("init").returncode == 0
    assert shop.penstock("import", "positions.csv").returncode == 0
    settled(shop)
    today = "channel,sku,quantity\nnew,A,9\nnew,B,0\nnew,C,2\nshop,A,6\n"
    (shop.folder / "today.csv").write_text(today)
    done = shop.penstock("shadow-report", "--against", "today.csv", "--json")
    assert done.returncode == 1, done.stderr
    *found, totals = map(orjson.loads, done.stdout.splitlines())
    assert [(row["sku"], row["theirs"], row["ours"], row["oversold"], row["hidden"]) for row in found] == [
        ("A", 9, 5, 3, 0), ("C", 2, 0, 2, 0), ("B", 0, 2, 0, 2),
    ]  # fmt: skip
    new = next(total for total in totals["totals"] if total["channel"] == "new")
    assert (new["oversold_units"], new["hidden_units"], new["not_in_file"]) == (5, 2, 0)
    (shop.folder / "today.csv").write_text("channel,sku,quantity\nshop,A,6\n")
    same = shop.penstock("shadow-report", "--against", "today.csv", "--csv")
    assert (same.returncode, same.stdout) == (0, "channel,sku,theirs,ours,pool,oversold,hidden\n")
    (shop.folder / "today.csv").write_text("channel,sku,quantity\nshp,A,6\nshop,A,-1\n")
    wrong = shop.penstock("shadow-report", "--against", "today.csv")
    assert wrong.returncode == 2
    assert (
        "today.csv:2: channel: expected a listed channel, got 'shp': did you mean shop?"
        in wrong.stderr
    )
