"""Which SKUs a new policy may let fall: against the levels themselves, for random policies and stock."""

import random
from typing import Any

import msgspec
import pytest

from state.policy.categories import Category
from state.policy.compiled import compiled
from state.policy.document import (
    Campaign,
    Channel,
    ChannelOverride,
    FloorOverride,
    Location,
    Pack,
    Policy,
)
from state.rules.impact import PolicyChange
from state.rules.levels import Figures, derive
from tests.state.rules.test_level_steps import SKUS, random_policy

BEFORE = Policy(
    locations=(Location("wh", "warehouse", "north"), Location("s1", "store", "south")),
    channels=(Channel("shop", buffer_units=2, cap=50), Channel("web", cutoff=1)),
    categories=(Category("wine", ("W*",)),),
)


def change(**fields: Any) -> PolicyChange:
    return PolicyChange(compiled(BEFORE), compiled(msgspec.structs.replace(BEFORE, **fields)))


def shop(**fields: Any) -> tuple[Channel, ...]:
    return (msgspec.structs.replace(BEFORE.channels[0], **fields), BEFORE.channels[1])


@pytest.mark.parametrize(
    "fields",
    [
        {"network_threshold": 1},
        {"channels": shop(mode="zero")},
        {"channels": shop(mode="shadow")},
        {"channels": shop()[:1]},
        {"channels": shop(regions=("north",))},
        {"channels": shop(exclude=("s1",))},
        {"overrides": (FloorOverride("A", floor=1),)},
        {"channels": shop(buffer_units=3)},
        {"channels": shop(share_bp=9_999)},
        {"channels": shop(cap=49)},
        {"channels": shop(cutoff=1)},
        {"channels": shop(packs=(Pack("*", 2),))},
        {"channels": shop(buffer_risk_ppm=500_000)},
    ],
)
def test_what_takes_from_every_sku_lets_every_sku_fall(fields: dict[str, Any]) -> None:
    found = change(**fields)
    assert not found.none_may_fall
    assert found.may_fall("A")
    assert found.may_fall("W1")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timezone": "Asia/Taipei"},
        {"channels": shop(buffer_units=0, cap=60)},
        {"channels": shop(mode="frozen", cap=1)},
        {"channels": (*BEFORE.channels, Channel("new"))},
        {"channels_of": "less cut-off"},
    ],
)
def test_what_only_gives_lets_none_fall(fields: dict[str, Any]) -> None:
    if "channels_of" in fields:
        fields = {"channels": (BEFORE.channels[0], Channel("web"))}
    found = change(**fields)
    assert found.none_may_fall
    assert not found.may_fall("A")


def test_an_override_for_a_category_lets_only_that_fall() -> None:
    found = change(channel_overrides=(ChannelOverride(category="wine", buffer_units=5),))
    assert [found.may_fall(sku) for sku in ("W1", "W2", "A")] == [True, True, False]
    assert not found.none_may_fall


def test_a_campaign_lets_only_its_sku_fall() -> None:
    found = change(campaigns=(Campaign("g", "shop", "A", 1, 0, 9),))
    assert [found.may_fall(sku) for sku in ("A", "B")] == [True, False]


def test_no_level_falls_that_was_not_foreseen() -> None:
    draw = random.Random(7)
    foreseen = spared = 0
    policies = [random_policy(draw) for _ in range(150)]
    # Neighbours that differ in one field only are where the answer is not simply yes.
    for policy in list(policies):
        channel = policy.channels[0]
        field = draw.choice(("cap", "buffer_units", "cutoff", "share_bp"))
        other = msgspec.structs.replace(channel, **{field: getattr(channel, field) + 1})
        near = msgspec.structs.replace(policy, channels=(other, *policy.channels[1:]))
        was, now = (policy, near) if draw.random() < 0.5 else (near, policy)
        step = PolicyChange(compiled(was), compiled(now))
        for sku in SKUS:
            may_fall = step.may_fall(sku)
            foreseen += may_fall
            spared += not may_fall
            for _ in range(10):
                sums = [draw.randrange(60) for _ in compiled(was).classes]
                figures = Figures(sum(sums), draw.randrange(4), 0, sums)
                demand = ((0, draw.randrange(60)),)
                _, before = derive(compiled(was), figures, sku, 5, None, demand)
                _, after = derive(compiled(now), figures, sku, 5, before, demand)
                fell = [name for name in before if before[name] > after.get(name, -1)]
                assert may_fall or not fell, (was, now, sku)
    assert foreseen > 100
    assert spared > 100
