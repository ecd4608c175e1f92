"""Which changes of a policy make class sums void, and which leave them as they are."""

import msgspec
import pytest

from state.policy.compiled import compiled
from state.policy.document import (
    AdRule,
    Campaign,
    Channel,
    FloorOverride,
    Floors,
    Location,
    Policy,
    Unknown,
)
from state.policy.sums_digest import layout_digest

CHAIN = Policy(
    locations=(Location("wh", "warehouse", "north"), Location("s1", "store", "north")),
    floors=Floors(store=1),
    overrides=(FloorOverride("A*", "s1", 2),),
    channels=(Channel("shop"), Channel("web", exclude=("s1",))),
)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": (Channel("shop", buffer_units=3), Channel("web", exclude=("s1",)))},
        {"channels": (Channel("web", exclude=("s1",), mode="zero"), Channel("new", cap=9))},
        {"network_threshold": 4},
        {"campaigns": (Campaign("g", "shop", "A", 1, 0, 9),)},
        {"ads": (AdRule("r", "shop"),)},
        {"timezone": "Asia/Taipei"},
        {"locations": (Location("wh", "warehouse", "north", 1.0, 2.0), CHAIN.locations[1])},
    ],
)
def test_a_change_of_rules_for_channels_leaves_the_sums(change: dict[str, object]) -> None:
    changed = msgspec.structs.replace(CHAIN, **change)
    assert layout_digest(changed) == layout_digest(CHAIN)
    assert compiled(changed).classes == compiled(CHAIN).classes
    for sku in ("A1", "B"):
        assert compiled(changed).all_terms(sku) == compiled(CHAIN).all_terms(sku)


@pytest.mark.parametrize(
    "change",
    [
        {"floors": Floors(store=2)},
        {"overrides": ()},
        {"overrides": (FloorOverride("B*", "s1", 2),)},
        {"channels": (Channel("shop", exclude=("s1",)), Channel("web"))},
        {"locations": (*CHAIN.locations, Location("s2", "store"))},
        {"locations": (Location("wh", "store", "north"), CHAIN.locations[1])},
        {"unknown": Unknown(location="create")},
    ],
)
def test_a_change_of_classes_or_floors_begins_new_sums(change: dict[str, object]) -> None:
    assert layout_digest(msgspec.structs.replace(CHAIN, **change)) != layout_digest(CHAIN)
