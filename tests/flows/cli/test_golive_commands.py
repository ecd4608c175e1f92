"""Going live from the command line: import, shadow report, channels."""

import orjson
import pytest

from tests.flows.shop import Shop, eventually, rows, running

CONFIG = """
version: 1
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}]
channels:
  - {id: shop}
  - {id: market, opening: counted}
  - {id: new, mode: shadow, buffer: {units: 1}}
"""
POSITIONS = "location,sku,on_hand,unavailable\nwh,A,5,1\nwh,B,3,\ns1,A,2,0\n"


@pytest.fixture
def shop(shop: Shop) -> Shop:
    shop.config.write_text(CONFIG)
    (shop.folder / "positions.csv").write_text(POSITIONS)
    return shop


def settled(shop: Shop) -> None:
    done = shop.penstock("run", "--until-idle")
    assert done.returncode == 0, done.stderr


def told(shop: Shop, sku: str) -> dict[str, int]:
    """Return the levels of a SKU that were emitted last, {} when none were."""
    done = shop.penstock("tail", "stock.updates", "--from-start", "--until-idle")
    found = [row["value"]["data"] for row in rows(done) if row["key"] == sku]
    newest: dict[str, int] = max(found, key=lambda each: each["version"], default={"levels": {}})[
        "levels"
    ]
    return newest


def test_a_file_with_a_wrong_line_sends_nothing(shop: Shop) -> None:
    (shop.folder / "positions.csv").write_text(POSITIONS + "wx,A,1,0\nwh,A,1,0\n")
    done = shop.penstock("import", "positions.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        "positions.csv:5", "positions.csv:6", "nothing was sent",
    ]  # fmt: skip
    assert not rows(shop.penstock("tail", "wms.receipts", "--from-start", "--until-idle"))


def test_a_dry_run_tells_what_would_be_sent_and_sends_nothing(shop: Shop) -> None:
    done = shop.penstock("import", "positions.csv", "--dry-run")
    assert done.returncode == 0, done.stderr
    summary, last = done.stdout.splitlines()
    assert orjson.loads(summary) == {
        "positions": 3, "locations": 2, "emptied": 0, "unavailable_changed": 1, "units": 10,
        "events": 3, "failed": 0, "dry_run": True,
    }  # fmt: skip
    assert last == "import: positions=3 events=3 failed=0"
    assert not rows(shop.penstock("tail", "wms.receipts", "--from-start", "--until-idle"))


def test_a_channel_opens_once_a_complete_import_was_applied(shop: Shop) -> None:
    imported = ("import", "positions.csv", "--as-of", "2026-05-04T06:00:00Z", "--by", "ana")
    with running(shop, ("run",)):
        assert shop.penstock(*imported).returncode == 0
        assert eventually(lambda: told(shop, "A") == {"shop": 6, "market": 6})
        assert told(shop, "B") == {"shop": 3}
        done = shop.penstock(*imported, "--complete")
        assert (done.returncode, done.stderr) == (0, "")
        assert eventually(lambda: told(shop, "B") == {"shop": 3, "market": 3})


def test_what_was_not_applied_is_not_declared_complete(shop: Shop) -> None:
    late = shop.penstock("import", "positions.csv", "--complete", "--timeout", "0")
    assert late.returncode == 1
    assert "no location was declared complete" in late.stderr
    assert late.stdout.splitlines()[-1] == "import: positions=3 events=3 failed=0"


def test_a_channel_is_steered_and_says_by_whom(shop: Shop) -> None:
    assert shop.penstock("init").returncode == 0
    done = shop.penstock("channel", "freeze", "shop", "--by", "ana", "--why", "prices are wrong")
    assert (done.returncode, done.stdout) == (0, "channel: freeze shop\n")
    again = shop.penstock("channel", "freeze", "shop")
    assert again.stdout == "channel: freeze shop (it was so already)\n"
    assert shop.penstock("channel", "zero", "market").returncode == 0
    listed = {row["channel"]: row for row in rows(shop.penstock("channel", "list"))}
    assert {name: row["mode"] for name, row in listed.items()} == {
        "shop": "frozen", "market": "zero", "new": "shadow",
    }  # fmt: skip
    assert (listed["shop"]["by"], listed["shop"]["why"]) == ("ana", "prices are wrong")
    assert shop.penstock("channel", "resume", "shop").returncode == 0
    assert shop.penstock("channel", "resync", "shop").returncode == 0


@pytest.mark.parametrize(("channel", "words"), [("nope", "expected one of"), ("new", "shadow")])
def test_what_cannot_be_steered_is_refused(shop: Shop, channel: str, words: str) -> None:
    assert shop.penstock("init").returncode == 0
    done = shop.penstock("channel", "freeze", channel)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


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
