"""`penstock import`."""

import orjson
import pytest

from tests.flows.cli.opening import POSITIONS, opening
from tests.flows.shop import Shop, rows, running
from tests.patience import eventually


@pytest.fixture
def shop(shop: Shop) -> Shop:
    return opening(shop)


def emitted(shop: Shop, sku: str) -> dict[str, int]:
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
        assert eventually(lambda: emitted(shop, "A") == {"shop": 6, "market": 6})
        assert emitted(shop, "B") == {"shop": 3}
        done = shop.penstock(*imported, "--complete")
        assert (done.returncode, done.stderr) == (0, "")
        assert eventually(lambda: emitted(shop, "B") == {"shop": 3, "market": 3})


def test_what_was_not_applied_is_not_declared_complete(shop: Shop) -> None:
    late = shop.penstock("import", "positions.csv", "--complete", "--timeout", "0")
    assert late.returncode == 1
    assert "no location was declared complete" in late.stderr
    assert late.stdout.splitlines()[-1] == "import: positions=3 events=3 failed=0"
