"""A level explained: each reason by an example, and the parts of ten thousand random pools added up.

What may be sold from where is worked out a second time here, from the policy alone.
"""

import random

import pytest

from state.policy.compiled import Compiled, compiled
from state.policy.document import (
    SELLING_KINDS,
    Campaign,
    Channel,
    ChannelOverride,
    FloorOverride,
    Floors,
    Location,
    Pack,
    Policy,
    Unknown,
)
from state.protocol.figures import Position, SkuState
from state.rules.explain import Contribution, Explainer, why_not
from state.rules.levels import Figures, derive

POOLS = 10_000
DAY_MS = 86_400_000
REVISION = 7
PLACES = (
    Location("wh", "warehouse", "north"),
    Location("s1", "store", "north"),
    Location("s2", "store", "south"),
    Location("d1", "dropship"),
    Location("pf", "platform", channel="a"),
)
SKUS = ("A1", "A2", "B1")


def position(location: str, on_hand: int, *, reserved: int = 0, unavailable: int = 0) -> Position:
    return Position(location, on_hand, reserved, unavailable, 0, None)


def state_of(
    rules: Compiled, *positions: Position, sku: str = "A1", unrouted: int = 0, held: int = 0
) -> SkuState:
    """A SKU with the sums that a store would keep of it."""
    sums = [0] * len(rules.classes)
    base = 0
    for each in positions:
        _, name, floor, counts = rules.locate(sku, each.location)
        sums[rules.classes.index(name)] += max(0, each.atp - floor)
        base += counts * max(0, each.atp)
    return SkuState(
        sku, 1, unrouted, held, positions, tuple(sums), base, REVISION, (), 0, "", "", open=False,
        token=0,
    )  # fmt: skip


def by_location(found: tuple[Contribution, ...]) -> dict[str, tuple[str, int]]:
    return {each.location: (each.why, each.units) for each in found}


def test_every_location_says_what_it_adds_or_why_nothing() -> None:
    policy = Policy(
        locations=(*PLACES, Location("pg", "platform", channel="b"), Location("s3", "store", "n")),
        floors=Floors(store=1),
        channels=(
            Channel("a", kinds=("warehouse", "store"), regions=("north", "n"), exclude=("s3",)),
        ),
    )
    rules = compiled(policy)
    names = ("wh", "s1", "s2", "s3", "d1", "pf", "pg", "nowhere")
    state = state_of(rules, *(position(name, 5) for name in names))
    found = Explainer(rules, 0).explain(state, "a")
    assert by_location(found.locations) == {
        "wh": ("", 5),
        "s1": ("", 4),
        "s2": ("region", 0),
        "s3": ("excluded", 0),
        "d1": ("kind", 0),
        "pf": ("", 5),
        "pg": ("platform", 0),
        "nowhere": ("unlisted", 0),
    }
    assert (found.steps[0].result, found.level, found.findings) == (14, 14, ())


def test_a_floor_names_the_field_that_sets_it() -> None:
    policy = Policy(
        locations=PLACES[:2],
        floors=Floors(store=2),
        overrides=(FloorOverride("A*", "s1", floor=4),),
        channels=(Channel("a"),),
    )
    rules = compiled(policy)
    explainer = Explainer(rules, 0)
    told = {}
    for sku in ("A1", "B1"):
        state = state_of(rules, position("wh", 9), position("s1", 9), sku=sku)
        found = explainer.explain(state, "a").locations
        told[sku] = [(each.floor, each.floor_by, each.units) for each in found]
    assert told == {
        "A1": [(0, "", 9), (4, "overrides", 5)],
        "B1": [(0, "", 9), (2, "floors.store", 7)],
    }


def test_a_silent_location_adds_nothing_and_the_level_says_so() -> None:
    rules = compiled(Policy(locations=PLACES[:2], channels=(Channel("a"),)))
    state = state_of(rules, position("wh", 3), position("s1", 8))
    found = Explainer(rules, 0, silent=("s1",), sums_revision=REVISION).explain(state, "a")
    assert by_location(found.locations) == {"wh": ("", 3), "s1": ("silent", 0)}
    assert (found.level, found.findings) == (3, ())


def test_a_channel_in_the_shadow_is_explained_as_if_it_were_live() -> None:
    rules = compiled(Policy(locations=PLACES[:1], channels=(Channel("a", mode="shadow", cap=5),)))
    found = Explainer(rules, 0).explain(state_of(rules, position("wh", 9)), "a")
    assert (found.level, found.findings) == (5, ())


def test_sums_that_are_not_those_of_the_positions_are_a_finding() -> None:
    rules = compiled(Policy(locations=PLACES[:1], channels=(Channel("a"),)))
    right = state_of(rules, position("wh", 9))
    wrong = right._replace(sums=(8,) * len(right.sums), base=10)
    explainer = Explainer(rules, 0, sums_revision=REVISION)
    assert explainer.explain(right, "a").findings == ()
    assert explainer.explain(wrong, "a").findings == (
        "sums: expected 9, what the locations add, got 8 kept with the SKU",
        "available: expected 9 at all locations, got 10 kept with the SKU",
    )
    other = wrong._replace(sums_revision=REVISION + 1)
    assert explainer.explain(other, "a").findings == ()


def test_a_bill_that_does_not_add_up_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = compiled(Policy(locations=PLACES[:1], network_threshold=2, channels=(Channel("a"),)))
    state = state_of(rules, position("wh", 9))
    explainer = Explainer(rules, 0)
    right = explainer.explain(state, "a").steps
    for spoilt, told in (
        ((right[0]._replace(effect=8), *right[1:]), "stock: expected 0 +8 to leave 8, got 9"),
        ((right[0]._replace(effect=8, result=8),), "stock: expected 9, what the locations add, got 8"),
        (right[:1], "level: expected 9, what the rules leave, got 7"),
    ):  # fmt: skip
        monkeypatch.setattr("state.rules.explain.steps", lambda *_args, spoilt=spoilt: spoilt)
        assert told in explainer.explain(state, "a").findings
        assert told in [text for _, _, texts in explainer.check(state) for text in texts]


def random_channel(draw: random.Random, name: str) -> Channel:
    kinds = tuple(kind for kind in SELLING_KINDS if draw.random() < 0.7)
    return Channel(
        name,
        mode=draw.choice(("live", "live", "live", "shadow", "zero", "frozen")),
        kinds=kinds,
        regions=draw.choice((None, ("north",), ("north", ""), ())),
        exclude=draw.choice(((), (), ("s2",), ("nowhere", "pf"))),
        share_bp=draw.choice((10_000, 3_333, 0)),
        buffer_units=draw.choice((0, 0, 3)),
        buffer_risk_ppm=draw.choice((None, None, 10_000)),
        cutoff=draw.choice((0, 0, 2)),
        cap=draw.choice((999, 10)),
        packs=draw.choice(((), (Pack("A*", 6),))),
    )


def random_policy(draw: random.Random) -> Policy:
    return Policy(
        unknown=Unknown(location=draw.choice(("reject", "create"))),
        locations=PLACES,
        floors=Floors(store=draw.randrange(3), platform=draw.randrange(2)),
        network_threshold=draw.choice((0, 0, 4)),
        overrides=tuple(
            FloorOverride(
                draw.choice(("*", "A*", "B1")), draw.choice(("*", "s?", "wh")), draw.randrange(6)
            )
            for _ in range(draw.randrange(3))
        ),
        channel_overrides=tuple(
            ChannelOverride("A?", "", "*", share_bp=5_000, cap=draw.randrange(9))
            for _ in range(draw.randrange(2))
        ),
        channels=tuple(random_channel(draw, name) for name in "abc"[: draw.randrange(1, 4)]),
        campaigns=tuple(
            Campaign("g", draw.choice("ab"), draw.choice(SKUS), draw.randrange(9), 0, DAY_MS)
            for _ in range(draw.randrange(3))
        ),
    )


def random_state(draw: random.Random, rules: Compiled) -> SkuState:
    names = [name for name in (*(p.id for p in PLACES), "nowhere") if draw.random() < 0.7]
    positions = [
        position(
            name, draw.randrange(-4, 30), reserved=draw.choice((0, 3)), unavailable=draw.choice((0, 2))
        )
        for name in names
    ]  # fmt: skip
    sku, unrouted, held = draw.choice(SKUS), draw.choice((0, 3)), draw.choice((0, 2))
    state = state_of(rules, *positions, sku=sku, unrouted=unrouted, held=held)
    return state._replace(demand=((draw.randrange(3), draw.randrange(60)),))


def may_sell(policy: Policy, channel: Channel, location: str) -> bool:
    where = {each.id: each for each in policy.locations}.get(location)
    if where is None:
        where = Location(location, "store")
        if policy.unknown.location == "reject":
            return False
    if location in channel.exclude:
        return False
    if where.kind == "platform":
        return where.channel == channel.id
    return where.kind in channel.kinds and (
        channel.regions is None or where.region in channel.regions
    )


def test_the_parts_of_ten_thousand_random_pools_add_up_to_their_levels() -> None:
    draw = random.Random(20_261_124)
    explained = 0
    for n in range(POOLS):
        if n % 20 == 0:
            policy = random_policy(draw)
            rules = compiled(policy)
        state = random_state(draw, rules)
        silent = draw.choice(((), (), ("s1",), ("s2", "wh")))
        now_ms = draw.randrange(2 * DAY_MS)
        last = draw.choice((None, {"a": draw.randrange(9), "b": 0}))
        explainer = Explainer(rules, now_ms, silent, {"a": 3_600_000}, REVISION)
        seen = state._replace(
            positions=tuple(p for p in state.positions if p.location not in silent)
        )
        again = state_of(rules, *seen.positions, sku=state.sku)
        figures = Figures(again.base, state.unrouted, state.held, again.sums)
        _, levels = derive(
            rules, figures, state.sku, now_ms, last, state.demand, {"a": 3_600_000}
        )  # fmt: skip
        checked = {
            channel: (level, wrong) for channel, level, wrong in explainer.check(state, last)
        }
        for channel in policy.channels:
            found = explainer.explain(state, channel.id, last)
            assert found.findings == ()
            assert checked[channel.id] == (found.level, [])
            for each in found.locations:
                allowed = may_sell(policy, channel, each.location) and each.location not in silent
                assert (each.why == "") is allowed
                assert each.units == (max(0, each.atp - each.floor) if allowed else 0)
                assert each.why == "silent" or each.why == why_not(rules, channel.id, each.location)
            total = sum(each.units for each in found.locations)
            total += sum(step.effect for step in found.steps[1:])
            assert total == found.level
            if channel.mode != "shadow":
                assert found.level == levels[channel.id]
            explained += 1
    assert explained > POOLS
