"""An ad for what is nearly sold out burns money: an ad rule pauses it, and resumes it when stock is back.

A rule follows the level of one channel, the one that its ads lead to. It has two thresholds, `pause_at` and a
higher `resume_at`. Between them nothing changes: this *hysteresis* keeps a level that swings by a piece or two
from switching the ad on and off. Each change of state is one signal on `ads.signals`, with the level and the
threshold that caused it. An ad that this rule did not pause is never resumed by it.
"""

from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import run_flows


def signals(penstock: Engine) -> list[tuple[str, int]]:
    """What the ad platform got so far: each signal with the level that caused it."""
    return [(signal["type"], signal["level"]) for signal in penstock.emitted("ads.signals")]


def receive(penstock: Engine, reference: str, units: int) -> None:
    penstock.send("wms.receipt", location="wh", reference=reference, lines=lines(A=units))
    run_flows(penstock)


def test_an_ad_pauses_at_the_low_threshold_and_resumes_at_the_high_one_only(
    penstock: Engine,
) -> None:
    receive(penstock, "delivery-1", 10)
    penstock.send("order.placed", order="o1", channel="shopee", lines=lines(A=8))
    run_flows(penstock)
    assert signals(penstock) == [("ad.pause", 2)]
    receive(penstock, "delivery-2", 3)
    assert signals(penstock) == [("ad.pause", 2)], "a level of 5 lies between the thresholds"
    receive(penstock, "delivery-3", 1)
    assert signals(penstock) == [("ad.pause", 2), ("ad.resume", 6)]
