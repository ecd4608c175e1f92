"""Levels: each step of the order by an example, and the whole against a plain second version."""

from hypothesis import given
from hypothesis import strategies as st

from state.policy.compiled import compiled
from state.policy.document import Campaign, Channel, Floors, Location, Policy
from state.rules.levels import Figures, derive, next_edge

NORTH = Location("wh", "warehouse", "north")
SOUTH = Location("s1", "store", "south")
BOTH = (NORTH, SOUTH)


def level(channel: Channel, stock: int, unrouted: int = 0, held: int = 0) -> int:
    policy = compiled(Policy(locations=(NORTH,), channels=(channel,)))
    sums = [stock if name.startswith("warehouse") else 0 for name in policy.classes]
    return derive(policy, Figures(stock, unrouted, held, sums), "A1", 0)[1][channel.id]


def test_a_channel_shows_what_is_in_stock_less_unrouted_and_held() -> None:
    assert level(Channel("a"), 10, unrouted=3, held=2) == 5


def test_the_share_is_rounded_down() -> None:
    assert level(Channel("a", share_bp=3_333), 10) == 3


def test_the_buffer_comes_off_after_the_share() -> None:
    assert level(Channel("a", share_bp=5_000, buffer_units=2), 10) == 3


def test_a_level_at_the_cutoff_is_shown_as_nothing() -> None:
    assert [level(Channel("a", cutoff=3), stock) for stock in (2, 3, 4)] == [0, 0, 4]


def test_a_level_is_at_most_the_cap_and_never_below_zero() -> None:
    assert level(Channel("a", cap=5), 10) == 5
    assert level(Channel("a"), 1, unrouted=4) == 0


def test_available_goes_below_zero_when_oversold_and_ignores_floors_and_threshold() -> None:
    policy = compiled(
        Policy(
            locations=BOTH, floors=Floors(store=1), network_threshold=2, channels=(Channel("a"),)
        )
    )
    sums = [3] * len(policy.classes)
    assert derive(policy, Figures(4, 5, 0, sums), "A1", 0)[0] == -1


def test_the_network_threshold_lowers_every_channel() -> None:
    policy = compiled(
        Policy(locations=(NORTH,), network_threshold=4, channels=(Channel("a"), Channel("b")))
    )
    sums = [10 if name.startswith("warehouse") else 0 for name in policy.classes]
    assert derive(policy, Figures(10, 0, 0, sums), "A1", 0)[1] == {"a": 6, "b": 6}


def test_a_shadow_channel_has_no_level() -> None:
    policy = compiled(Policy(channels=(Channel("a", mode="shadow"), Channel("b"))))
    assert list(derive(policy, Figures(0, 0, 0, (0,)), "A1", 0)[1]) == ["b"]


def test_a_frozen_channel_keeps_the_level_last_emitted_once_there_is_one() -> None:
    policy = compiled(Policy(locations=(NORTH,), channels=(Channel("a", mode="frozen"),)))
    figures = Figures(9, 0, 0, [9] * len(policy.classes))
    assert derive(policy, figures, "A1", 0, {"a": 4})[1] == {"a": 4}
    assert derive(policy, figures, "A1", 0, {"b": 4})[1] == {"a": 9}
    assert derive(policy, figures, "A1", 0)[1] == {"a": 9}


def test_a_zero_channel_shows_nothing() -> None:
    assert level(Channel("a", mode="zero"), 10) == 0
    assert level(Channel("a", mode="zero"), 0, unrouted=4) == 0


def test_a_campaign_lowers_the_other_channels_while_it_runs() -> None:
    policy = compiled(
        Policy(
            locations=(NORTH,),
            channels=(Channel("a"), Channel("b", share_bp=5_000)),
            campaigns=(Campaign("g1", "a", "A1", 6, 100, 200),),
        )
    )
    figures = Figures(10, 0, 0, [10 if "warehouse" in name else 0 for name in policy.classes])
    levels = [derive(policy, figures, "A1", now_ms)[1] for now_ms in (99, 100, 199, 200)]
    assert levels == [
        {"a": 10, "b": 5},
        {"a": 10, "b": 2},
        {"a": 10, "b": 2},
        {"a": 10, "b": 5},
    ]
    assert derive(policy, figures, "A2", 150)[1] == {"a": 10, "b": 5}


def test_the_next_edge_is_the_nearest_start_or_end_to_come() -> None:
    policy = compiled(
        Policy(
            channels=(Channel("a"),),
            campaigns=(
                Campaign("g1", "a", "A1", 1, 100, 200),
                Campaign("g2", "a", "A1", 1, 50, 300),
            ),
        )
    )
    assert [next_edge(policy, "A1", now) for now in (0, 50, 100, 200, 300)] == [
        50,
        100,
        200,
        300,
        None,
    ]
    assert next_edge(policy, "A2", 0) is None


units = st.integers(0, 60)
channels = st.builds(
    Channel,
    st.sampled_from("abcd"),
    mode=st.sampled_from(["live", "frozen", "shadow", "zero"]),
    regions=st.sampled_from([None, ("north",), ("south",), ()]),
    share_bp=st.integers(0, 10_000),
    buffer_units=st.integers(0, 5),
    cutoff=st.integers(0, 5),
    cap=st.integers(0, 60),
)
campaigns = st.builds(
    Campaign,
    st.just("g"),
    st.sampled_from("abcd"),
    st.sampled_from(["A1", "A2"]),
    st.integers(0, 20),
    st.integers(0, 9),
    st.integers(10, 20),
)


@given(
    st.lists(channels, unique_by=lambda channel: channel.id).map(tuple),
    st.lists(campaigns, max_size=3).map(tuple),
    st.integers(0, 5),
    st.dictionaries(st.sampled_from(["north", "south"]), units),
    units,
    st.integers(0, 25),
    st.dictionaries(st.sampled_from("abcd"), units),
)
def test_levels_equal_the_steps_written_out_one_by_one(
    sellers: tuple[Channel, ...],
    locks: tuple[Campaign, ...],
    threshold: int,
    stock: dict[str, int],
    unrouted: int,
    now_ms: int,
    last: dict[str, int],
) -> None:
    policy = compiled(
        Policy(locations=BOTH, channels=sellers, campaigns=locks, network_threshold=threshold)
    )
    by_region = {"north": stock.get("north", 0), "south": stock.get("south", 0)}
    region_of = {"warehouse:north:0": "north", "store:south:0": "south"}
    sums = [by_region.get(region_of.get(name, ""), 0) for name in policy.classes]
    base = sum(by_region.values())
    expected = {}
    for channel in sellers:
        if channel.mode == "shadow":
            continue
        regions = by_region if channel.regions is None else channel.regions
        pool = sum(by_region[region] for region in regions) - unrouted - threshold
        for lock in locks:
            runs = lock.start_ms <= now_ms < lock.end_ms
            if runs and lock.sku == "A1" and lock.channel != channel.id:
                pool -= lock.lock
        quantity = pool * channel.share_bp // 10_000 - channel.buffer_units
        shown = 0 if quantity <= channel.cutoff else max(0, min(quantity, channel.cap))
        if channel.mode == "zero":
            shown = 0
        elif channel.mode == "frozen":
            shown = last.get(channel.id, shown)
        expected[channel.id] = shown
    figures = Figures(base, unrouted, 0, sums)
    assert derive(policy, figures, "A1", now_ms, last) == (base - unrouted, expected)
