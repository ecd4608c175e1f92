"""Which figures of which override hold for a SKU on a channel, and what they do to its level."""

from fnmatch import fnmatchcase
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from state.demand.velocity import velocity_of
from state.policy.categories import Category, Membership
from state.policy.channel_rules import channel_rules, goes_by_lag
from state.policy.compiled import Compiled, compiled
from state.policy.document import (
    Campaign,
    Channel,
    ChannelOverride,
    FloorOverride,
    Location,
    Pack,
    Policy,
)
from state.rules.levels import Figures, derive, next_edge
from state.rules.risk_buffer import risk_buffer

WAREHOUSE = Location("wh", "warehouse")
DAY_MS = 86_400_000


def rules(policy: Policy, sku: str, channel: str) -> tuple[int, ...]:
    return channel_rules(compiled(policy)).of_channel(sku, channel)


def levels(policy: Policy, sku: str, stock: int, **more: Any) -> dict[str, int]:
    known = compiled(policy)
    sums = [stock if name.startswith("warehouse") else 0 for name in known.classes]
    return derive(known, Figures(stock, 0, 0, sums), sku, more.pop("now_ms", 0), **more)[1]


def test_a_sku_belongs_to_a_category_by_pattern_or_by_list() -> None:
    members = Membership((Category("wine", ("W-*",), ("X1",)), Category("none")))
    assert [members.has("wine", sku) for sku in ("W-9", "X1", "w-9", "X2")] == [
        True, True, False, False
    ]  # fmt: skip
    assert not members.has("none", "X1")
    assert not members.has("never named", "X1")


def test_the_last_override_that_names_a_figure_wins_and_leaves_the_others() -> None:
    policy = Policy(
        channels=(Channel("shop", cap=50), Channel("web", cap=60)),
        channel_overrides=(
            ChannelOverride("A*", cap=5, buffer_units=3),
            ChannelOverride("A1", channel="w*", cap=7),
            ChannelOverride("*", channel="shop", cutoff=2),
        ),
    )
    assert rules(policy, "A1", "web") == (10_000, 3, 0, 0, 7, 1)
    assert rules(policy, "A2", "web") == (10_000, 3, 0, 0, 5, 1)
    assert rules(policy, "A1", "shop") == (10_000, 3, 0, 2, 5, 1)
    assert rules(policy, "B", "shop") == (10_000, 0, 0, 2, 50, 1)
    assert rules(policy, "B", "web") == (10_000, 0, 0, 0, 60, 1)


def test_a_later_wide_override_wins_over_an_earlier_narrow_one() -> None:
    policy = Policy(
        channels=(Channel("shop"),),
        channel_overrides=(ChannelOverride("A1", cap=7), ChannelOverride("*", cap=9)),
    )
    assert rules(policy, "A1", "shop")[4] == 9


def test_a_buffer_by_risk_takes_the_place_of_units_and_the_other_way_round() -> None:
    policy = Policy(
        channels=(Channel("shop", buffer_units=4), Channel("web", buffer_risk_ppm=10_000)),
        channel_overrides=(
            ChannelOverride("A", channel="shop", buffer_risk_ppm=500),
            ChannelOverride("A", channel="web", buffer_units=0),
        ),
    )
    assert [rules(policy, "A", each)[1:3] for each in ("shop", "web")] == [(0, 500), (0, 0)]
    assert [rules(policy, "B", each)[1:3] for each in ("shop", "web")] == [(4, 0), (0, 10_000)]
    assert goes_by_lag(compiled(policy))


def test_an_override_may_be_for_a_category() -> None:
    wine = (Category("wine", ("W*",)),)
    policy = Policy(
        locations=(WAREHOUSE,),
        categories=wine,
        channels=(Channel("shop"),),
        channel_overrides=(ChannelOverride(category="wine", share_bp=5_000),),
    )
    assert [levels(policy, sku, 10) for sku in ("W1", "A1")] == [{"shop": 5}, {"shop": 10}]
    floors = Policy(
        locations=(WAREHOUSE,),
        categories=wine,
        overrides=(FloorOverride(floor=4, category="wine"),),
    )
    assert [compiled(floors).locate(sku, "wh")[2] for sku in ("W1", "A1")] == [4, 0]


def test_a_level_in_packs_is_rounded_down_and_capped_in_packs() -> None:
    policy = Policy(
        locations=(WAREHOUSE,),
        channels=(Channel("shop", packs=(Pack("A*", 6), Pack("A9", 10)), cap=3, cutoff=5),),
    )
    assert [levels(policy, "A1", stock)["shop"] for stock in (5, 6, 11, 12, 100)] == [0, 1, 1, 2, 3]
    assert levels(policy, "A9", 29) == {"shop": 2}
    assert levels(policy, "B", 2) == {"shop": 0}
    assert levels(policy, "B", 100) == {"shop": 3}


def test_a_buffer_by_risk_goes_by_velocity_and_by_the_lag_measured() -> None:
    policy = Policy(
        locations=(WAREHOUSE,),
        channels=(Channel("shop", buffer_risk_ppm=10_000, push_lag_ms=DAY_MS),),
    )
    # 14 units today weigh as much as some 1.7 a day.
    demand = ((100, 14),)
    now_ms = 100 * DAY_MS
    velocity = velocity_of(demand, 100)
    for lags, lag_ms in (({}, DAY_MS), ({"shop": 3_600_000}, 3_600_000)):
        found = levels(policy, "A", 20, now_ms=now_ms, demand=demand, lags=lags)
        assert found == {"shop": 20 - risk_buffer(velocity, lag_ms, 10_000)}
    assert levels(policy, "A", 20, now_ms=now_ms) == {"shop": 20}


def test_a_buffer_by_risk_is_looked_at_again_when_the_velocity_decays() -> None:
    policy = compiled(Policy(channels=(Channel("shop", buffer_risk_ppm=1_000),)))
    now_ms = 100 * DAY_MS + 7
    assert next_edge(policy, "A", now_ms, ((100, 5_000),)) == 101 * DAY_MS
    assert next_edge(policy, "A", now_ms, ()) is None
    units = compiled(Policy(channels=(Channel("shop", buffer_units=4),)))
    assert next_edge(units, "A", now_ms, ((100, 5_000),)) is None


names = st.sampled_from(["A1", "A2", "B1"])
patterns = st.sampled_from(["*", "A*", "B1", "?2"])
some = st.none() | st.integers(0, 30)
overrides = st.builds(
    ChannelOverride,
    patterns,
    st.sampled_from(["", "", "wine"]),
    st.sampled_from(["*", "a", "[ab]"]),
    share_bp=st.none() | st.integers(0, 10_000),
    buffer_units=some,
    buffer_risk_ppm=st.none() | st.integers(1, 500_000),
    cutoff=some,
    cap=some,
)
channels = st.builds(
    Channel,
    st.sampled_from("abc"),
    mode=st.sampled_from(["live", "zero", "shadow"]),
    share_bp=st.integers(0, 10_000),
    buffer_units=st.integers(0, 5),
    buffer_risk_ppm=st.none() | st.integers(1, 500_000),
    cutoff=st.integers(0, 5),
    cap=st.integers(0, 60),
    packs=st.lists(st.builds(Pack, patterns, st.integers(1, 7)), max_size=2).map(tuple),
)


@settings(max_examples=300)
@given(
    st.lists(channels, unique_by=lambda channel: channel.id).map(tuple),
    st.lists(overrides, max_size=4).map(tuple),
    st.lists(patterns, max_size=2).map(tuple),
    names,
    st.integers(-20, 200),
    st.integers(0, 300),
    st.booleans(),
)
def test_levels_equal_the_rules_written_out_one_by_one(
    sellers: tuple[Channel, ...],
    given_overrides: tuple[ChannelOverride, ...],
    wine: tuple[str, ...],
    sku: str,
    stock: int,
    sold: int,
    locked: bool,  # noqa: FBT001 - drawn
) -> None:
    lock = (Campaign("g", "a", sku, 5, 0, 10),) if locked else ()
    policy = Compiled(
        Policy(
            locations=(WAREHOUSE,),
            channels=sellers,
            channel_overrides=given_overrides,
            categories=(Category("wine", wine),),
            campaigns=lock,
        )
    )
    demand = ((0, sold),) if sold else ()
    sums = [stock if name.startswith("warehouse") else 0 for name in policy.classes]
    expected = {}
    for channel in sellers:
        if channel.mode == "shadow":
            continue
        share, cutoff, cap, units = (
            channel.share_bp, channel.cutoff, channel.cap, channel.buffer_units
        )  # fmt: skip
        risk = channel.buffer_risk_ppm
        for each in given_overrides:
            hit = fnmatchcase(sku, each.sku) and fnmatchcase(channel.id, each.channel)
            if each.category:
                hit = hit and any(fnmatchcase(sku, pattern) for pattern in wine)
            if not hit:
                continue
            share = share if each.share_bp is None else each.share_bp
            cutoff = cutoff if each.cutoff is None else each.cutoff
            cap = cap if each.cap is None else each.cap
            if each.buffer_risk_ppm is not None:
                risk = each.buffer_risk_ppm
            elif each.buffer_units is not None:
                risk, units = None, each.buffer_units
        if risk is not None:
            units = risk_buffer(velocity_of(demand, 0), channel.push_lag_ms, risk)
        pack = next((p.units for p in reversed(channel.packs) if fnmatchcase(sku, p.sku)), 1)
        pool = stock - (5 if locked and channel.id != "a" else 0)
        left = pool * share // 10_000 - units
        shown = 0 if left <= cutoff else min(left // pack, cap)
        expected[channel.id] = 0 if channel.mode == "zero" else max(0, shown)
    assert derive(policy, Figures(stock, 0, 0, sums), sku, 5, None, demand) == (stock, expected)
