"""`penstock channel`."""

import pytest

from tests.flows.cli.opening import opening
from tests.flows.shop import Shop, rows


@pytest.fixture
def shop(shop: Shop) -> Shop:
    return opening(shop)


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
