"""A level taken apart: each step by an example, and all of them against `derive` on thousands of random pools."""

import random

from state.policy.categories import Category
from state.policy.compiled import compiled
from state.policy.document import (
    Campaign,
    Channel,
    ChannelOverride,
    Floors,
    Location,
    Pack,
    Policy,
)
from state.rules.level_steps import Step, steps
from state.rules.levels import Figures, derive

DAY_MS = 86_400_000
POOLS = 10_000
SKUS = ("A1", "A2", "B1", "W-1")
PLACES = (
    Location("wh", "warehouse", "north"),
    Location("s1", "store", "north"),
    Location("s2", "store", "south"),
    Location("pf", "platform", channel="a"),
)


def test_each_rule_that_is_set_is_told_with_its_effect() -> None:
    policy = compiled(
        Policy(
            locations=(Location("wh", "warehouse"),),
            network_threshold=2,
            channels=(
                Channel(
                    "web", share_bp=5_000, buffer_units=3, cutoff=1, cap=4, packs=(Pack("*", 6),)
                ),
                Channel("shop"),
            ),
            campaigns=(Campaign("g1", "shop", "A1", 10, 0, 9),),
        )
    )
    sums = [100 if name.startswith("warehouse") else 0 for name in policy.classes]
    found = steps(policy, Figures(100, 5, 1, sums), "A1", "web", 5)
    assert [step[:3] for step in found] == [
        ("stock", 100, 100),
        ("unrouted", -5, 95),
        ("held", -1, 94),
        ("network_threshold", -2, 92),
        ("campaign", -10, 82),
        ("share", -41, 41),
        ("buffer", -3, 38),
        ("cutoff", 0, 38),
        ("pack", -32, 6),
        ("cap", -2, 4),
    ]
    assert found[4].said == "g1 locks 10 for shop"


def test_a_mode_that_overrules_the_figures_is_the_last_step() -> None:
    channels = (Channel("z", mode="zero"), Channel("f", mode="frozen"), Channel("s", mode="shadow"))
    policy = compiled(Policy(locations=(PLACES[0],), channels=channels))
    sums = [7 if name.startswith("warehouse") else 0 for name in policy.classes]
    last = {
        channel: steps(policy, Figures(7, 0, 0, sums), "A", channel, 0, {"f": 9})[-1]
        for channel in "zfs"
    }
    assert {channel: step[:3] for channel, step in last.items()} == {
        "z": ("zero", -7, 0),
        "f": ("frozen", 2, 9),
        "s": ("cutoff", 0, 7),
    }


def random_channel(draw: random.Random, name: str) -> Channel:
    return Channel(
        name,
        mode=draw.choice(("live", "live", "live", "zero", "frozen")),
        regions=draw.choice((None, ("north",), ())),
        exclude=draw.choice(((), ("s2",))),
        share_bp=draw.choice((10_000, 3_333, 0)),
        buffer_units=draw.choice((0, 0, 3)),
        buffer_risk_ppm=draw.choice((None, None, 10_000)),
        push_lag_ms=draw.choice((60_000, DAY_MS)),
        cutoff=draw.choice((0, 0, 2)),
        cap=draw.choice((999, 10)),
        packs=draw.choice(((), (Pack("A*", 6),))),
    )


def random_policy(draw: random.Random) -> Policy:
    overrides = tuple(
        ChannelOverride(
            draw.choice(("*", "A*", "B1")),
            draw.choice(("", "wine")),
            draw.choice(("*", "b")),
            share_bp=draw.choice((None, 5_000)),
            buffer_units=draw.choice((None, 2)),
            buffer_risk_ppm=draw.choice((None, 50_000)),
            cutoff=draw.choice((None, 1)),
            cap=draw.choice((None, 5)),
        )
        for _ in range(draw.randrange(4))
    )
    return Policy(
        locations=PLACES,
        floors=Floors(store=draw.randrange(3)),
        network_threshold=draw.choice((0, 0, 4)),
        channels=tuple(random_channel(draw, name) for name in "abc"[: draw.randrange(1, 4)]),
        channel_overrides=overrides,
        categories=(Category("wine", ("W*",), ("B1",)),),
        campaigns=tuple(
            Campaign("g", draw.choice("ab"), draw.choice(SKUS), draw.randrange(9), 0, DAY_MS)
            for _ in range(draw.randrange(3))
        ),
    )


def test_the_effects_add_up_to_the_level_of_ten_thousand_random_pools() -> None:
    draw = random.Random(20_261_123)
    for n in range(POOLS):
        if n % 20 == 0:
            policy = compiled(random_policy(draw))
        sku = draw.choice(SKUS)
        sums = [draw.choice((0, draw.randrange(40))) for _ in policy.classes]
        figures = Figures(sum(sums), draw.choice((0, 3)), draw.choice((0, 2)), sums)
        now_ms = draw.randrange(2 * DAY_MS)
        demand = ((now_ms // DAY_MS, draw.randrange(60)),)
        last = {"a": draw.randrange(9)} if draw.random() < 0.5 else None
        lags = {"b": 3_600_000}
        _, levels = derive(policy, figures, sku, now_ms, last, demand, lags)
        for channel, level in levels.items():
            told = steps(policy, figures, sku, channel, now_ms, last, demand, lags)
            assert_adds_up(told, level)


def assert_adds_up(told: tuple[Step, ...], level: int) -> None:
    left = 0
    for step in told:
        left += step.effect
        assert left == step.result, told
    assert left == level, told
