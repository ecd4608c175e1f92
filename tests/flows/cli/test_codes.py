"""`penstock codes`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.flows.shop import CONFIG, Shop, event, last_fault, lines, rows, running
from tests.patience import eventually

WITH_CODES = CONFIG + "sources:\n  - {prefix: /pos/, system: pos, codes: codes.csv}\n"


@pytest.mark.slow
def test_a_code_added_while_the_flows_run_is_taken_up_and_its_letters_replay(
    shop: Shop, tmp_path: Path
) -> None:
    (shop.folder / "codes.csv").write_text("system,code,sku,units\npos,1,A,1\n")
    shop.config.write_text(WITH_CODES)
    sale = {
        **event(1, "pos.sale", location="s1", receipt="x", lines=lines(six=2)),
        "source": "/pos/1",
    }
    more = tmp_path / "more.csv"
    more.write_text("system,code,sku,units\npos,1,A,1\npos,six,A,6\n")
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: shop.penstock("codes", "list").stdout != "")
        shop.emit(sale)
        assert eventually(lambda: shop.penstock("dead-letters", "list").stdout != "")
        planned = rows(shop.penstock("codes", "add", str(more), "--dry-run"))
        assert [each["code"] for each in planned] == ["six"]
        assert shop.penstock("codes", "show", "six").returncode == 1
        added = shop.penstock("codes", "add", str(more))
        assert last_fault(added) == "penstock codes add: read=2 new=1 added=1"
        (row,) = rows(shop.penstock("codes", "show", "six"))
        assert (row["sku"], row["units"]) == ("A", 6)
        assert eventually(lambda: datetime.now(UTC).isoformat() > row["valid_from"])
        assert shop.penstock("dead-letters", "replay", "--all").returncode == 0
        assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
    assert shop.stock("A")["positions"][0]["on_hand"] == -12
    assert {each["code"] for each in rows(shop.penstock("codes", "show", "A"))} == {"1", "six"}


def test_codes_of_a_system_that_the_policy_does_not_map_are_refused(shop: Shop) -> None:
    shop.settle()
    (shop.folder / "more.csv").write_text("system,code,sku,units\nmars,1,A,1\n")
    done = shop.penstock("codes", "add", "more.csv")
    assert done.returncode == 2
    assert "expected one of a source with `codes` in the policy in force, got mars" in done.stderr
