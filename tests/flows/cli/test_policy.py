"""`penstock policy`, from the command line alone; and a running flow that reads its file again."""

import signal
import subprocess
import time
from collections.abc import Callable

import orjson
import pytest

from tests.flows.shop import Shop, event, lines, rows
from tests.patience import PATIENCE_S

CHANGED = """
categories: [{id: a, skus: ["A*"]}]
policies: {overrides: [{category: a, channel: shop, buffer: {units: 4}}]}
"""


def stocked(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r1", lines=lines(A=10, B=3)))
    shop.settle()


def changed(shop: Shop) -> str:
    return shop.config.read_text() + CHANGED


def levels(shop: Shop, sku: str) -> dict[str, int]:
    found: dict[str, int] = shop.stock(sku)["levels"]
    return found


def test_a_dry_run_tells_which_levels_would_move_and_changes_nothing(shop: Shop) -> None:
    stocked(shop)
    other = shop.folder / "other.yaml"
    other.write_text(changed(shop))
    (printed,) = rows(shop.penstock("policy", "apply", str(other), "--dry-run"))
    shopee = {"fall": 0, "rise": 0, "to_zero": 0, "units_before": 11, "units_after": 11}
    shown = {"fall": 1, "rise": 0, "to_zero": 0, "units_before": 13, "units_after": 9}
    assert printed == {
        "skus": 2,
        "moved_skus": 1,
        "rebuilds_sums": False,
        "channels": {"shop": shown, "shopee": shopee},
        "top": [{"sku": "A", "channel": "shop", "before": 10, "after": 6}],
    }
    told_csv = shop.penstock("policy", "apply", str(other), "--dry-run", "--csv")
    assert told_csv.stdout.splitlines() == ["sku,channel,before,after", "A,shop,10,6"]
    assert levels(shop, "A") == {"shopee": 9, "shop": 10}
    assert len(rows(shop.penstock("policy", "history"))) == 1


def test_a_dry_run_sees_through_a_change_of_floors(shop: Shop) -> None:
    stocked(shop)
    other = shop.folder / "other.yaml"
    other.write_text(shop.config.read_text() + "\npolicies: {floors: {warehouse: 9}}\n")
    (printed,) = rows(shop.penstock("policy", "apply", str(other), "--dry-run"))
    assert printed["rebuilds_sums"] is True
    assert printed["channels"]["shop"] == {
        "fall": 2, "rise": 0, "to_zero": 1, "units_before": 13, "units_after": 1
    }  # fmt: skip


def test_reads_obey_a_policy_at_once_and_its_history_says_who_and_why(shop: Shop) -> None:
    stocked(shop)
    shop.config.write_text(changed(shop))
    done = shop.penstock("policy", "apply", "--by", "ann", "--why", "wine sells badly")
    (printed,) = rows(done)
    assert (printed["changed"], printed["rebuilds_sums"]) == (True, False)
    assert levels(shop, "A") == {"shopee": 9, "shop": 6}
    assert levels(shop, "B") == {"shopee": 2, "shop": 3}
    newest, first = rows(shop.penstock("policy", "history"))
    assert (newest["revision"], newest["by"], newest["why"]) == (
        printed["revision"], "ann", "wine sells badly"
    )  # fmt: skip
    assert newest["sums_revision"] == first["sums_revision"] == first["revision"]
    assert newest["digest"] != first["digest"]
    before = shop.penstock("policy", "show", "--revision", str(first["revision"]))
    now = shop.penstock("policy", "show")
    assert orjson.loads(before.stdout)["channel_overrides"] == []
    assert orjson.loads(now.stdout)["channel_overrides"][0]["buffer_units"] == 4
    again = shop.penstock("policy", "apply", "--by", "ann", "--why", "once more")
    assert orjson.loads(again.stdout)["changed"] is False


def test_a_file_with_problems_changes_nothing(shop: Shop) -> None:
    stocked(shop)
    shop.config.write_text(shop.config.read_text() + "\npolicies: {network_threshold: -1}\n")
    for more in (("--by", "ann", "--why", "x"), ("--dry-run",)):
        done = shop.penstock("policy", "apply", *more)
        assert done.returncode == 2
        assert "policies.network_threshold: expected integer" in done.stderr
    assert len(rows(shop.penstock("policy", "history"))) == 1


def test_who_and_why_are_asked_for(shop: Shop) -> None:
    for wrong in (("--by", "ann"), ("--why", "x"), ("--csv",), ()):
        done = shop.penstock("policy", "apply", *wrong)
        assert (done.returncode, done.stdout) == (2, "")
    assert shop.penstock("policy", "show", "--revision", "7").returncode == 1
    no_store = shop.penstock("policy", "apply", "--by", "ann", "--why", "x")
    assert no_store.returncode == 2
    assert "penstock init" in no_store.stderr


def await_that(process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert process.poll() is None
        assert time.monotonic() < ends_s


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "tell", "why"),
    [
        ({}, lambda process: process.send_signal(signal.SIGHUP), "SIGHUP"),
        ({"PENSTOCK_CONFIG_WATCH": "1"}, lambda _process: None, "the file changed"),
    ],
    ids=["hangup", "watch"],
)
def test_a_running_program_brings_its_file_in_force_again(
    shop: Shop, env: dict[str, str], tell: Callable[[subprocess.Popen[bytes]], None], why: str
) -> None:
    stocked(shop)
    shop.env |= env
    process = shop.start("run")
    shop.emit(event(2, "wms.receipt", location="wh", reference="r2", lines=lines(C=1)))

    def is_emitted() -> bool:
        updates = rows(shop.penstock("tail", "stock.updates", "--from-start", "--until-idle"))
        return any(update["key"] == "C" for update in updates)

    # Then both flows have read the file as it is.
    await_that(process, is_emitted)
    shop.config.write_text(changed(shop))
    tell(process)

    def history() -> list[dict[str, str]]:
        return rows(shop.penstock("policy", "history"))

    await_that(process, lambda: len(history()) == 2)
    assert (history()[0]["by"], history()[0]["why"]) == ("reload", why)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert levels(shop, "A") == {"shopee": 9, "shop": 6}
