"""The policy as a document, and the classes that it sorts positions into."""

from fnmatch import fnmatchcase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.policy.compiled import Compiled, compiled
from state.policy.document import (
    UNLISTED,
    AdRule,
    Channel,
    FloorOverride,
    Floors,
    Location,
    Policy,
    Source,
    Unknown,
    from_json,
    to_json,
)

CHAIN = Policy(
    locations=(
        Location("wh", "warehouse", "north"),
        Location("s1", "store", "north"),
        Location("s2", "store", "north"),
        Location("s3", "store", "south"),
        Location("pf", "platform", channel="pchome"),
    ),
    floors=Floors(store=1),
    overrides=(FloorOverride("A*", "s1", 2), FloorOverride("A9", "s?", 5)),
    channels=(
        Channel("shopee", exclude=("s2",)),
        Channel("pchome", kinds=("warehouse",)),
        Channel("north", regions=("north",)),
    ),
)


def names_of(policy: Compiled, channel: str) -> set[str]:
    return {policy.classes[index] for index in policy.eligible(channel)}


def test_a_policy_survives_the_way_through_json() -> None:
    document = to_json(CHAIN)
    assert from_json(document) == CHAIN
    assert to_json(from_json(document)) == document


def test_json_of_another_shape_is_refused_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.channels\[0\]"):
        from_json(b'{"channels": [{"id": 7}]}')


def test_equal_policies_are_compiled_once() -> None:
    assert compiled(from_json(to_json(CHAIN))) is compiled(CHAIN)


def test_locations_that_no_rule_tells_apart_share_a_class() -> None:
    policy = compiled(Policy(locations=tuple(Location(f"s{n}", "store") for n in range(500))))
    assert policy.classes == ("store::0", UNLISTED)
    assert len({place[1] for place in policy.all_terms("A1")}) == 1


def test_the_name_of_a_class_says_what_sets_it_apart() -> None:
    policy = compiled(CHAIN)
    assert policy.locate("B", "s1") == ("s1", "store:north:1", 1, 1)
    assert policy.locate("B", "s2") == ("s2", "store:north:1:-shopee", 1, 1)
    assert policy.locate("B", "pf") == ("pf", "platform::0:@pchome", 0, 0)


def test_the_last_override_that_matches_sets_the_floor() -> None:
    policy = compiled(CHAIN)
    floors = {sku: policy.locate(sku, "s1")[2] for sku in ("B", "A1", "A9", "a1")}
    assert floors == {"B": 1, "A1": 2, "A9": 5, "a1": 1}
    assert policy.locate("A1", "s3")[2] == 1


def test_a_channel_may_sell_from_its_kinds_and_regions_less_what_it_excludes() -> None:
    policy = compiled(CHAIN)
    assert "store:north:1:-shopee" not in names_of(policy, "shopee")
    assert {"store:north:1", "store:south:1", "warehouse:north:0"} < names_of(policy, "shopee")
    assert names_of(policy, "pchome") == {"warehouse:north:0", "platform::0:@pchome"}
    assert not any("south" in name for name in names_of(policy, "north"))


def test_platform_stock_counts_for_its_own_channel_alone() -> None:
    policy = compiled(CHAIN)
    sellers = [c for c in policy.channels if "platform::0:@pchome" in names_of(policy, c)]
    assert sellers == ["pchome"]


def test_an_unlisted_location_counts_for_nobody_while_unknown_ones_are_rejected() -> None:
    policy = compiled(CHAIN)
    assert not policy.knows_location("s999")
    assert policy.locate("A1", "s999") == ("s999", UNLISTED, 0, 0)
    assert all(UNLISTED not in names_of(policy, channel) for channel in policy.channels)


def test_an_unlisted_location_is_a_store_without_region_where_unknown_ones_are_created() -> None:
    creating = msgspec.structs.replace(CHAIN, unknown=Unknown(location="create"))
    policy = compiled(creating)
    assert policy.knows_location("s999")
    assert policy.locate("B", "s999") == ("s999", "store::1", 1, 1)
    assert policy.locate("A9", "s8") == ("s8", "store::5", 5, 1)


def test_an_unknown_channel_may_order_where_it_is_created() -> None:
    assert not compiled(CHAIN).knows_channel("new")
    assert compiled(Policy(unknown=Unknown(channel="create"))).knows_channel("new")


def test_the_longest_prefix_names_the_source() -> None:
    sources = (Source("/pos/", "pos"), Source("/pos/old/", "till"))
    policy = compiled(Policy(sources=sources))
    systems = [policy.source(source) for source in ("/pos/old/1", "/pos/1", "/wms")]
    assert systems == [sources[1], sources[0], None]


def test_colons_in_ids_do_not_merge_classes() -> None:
    locations = (Location("a", "store", "n:1"), Location("b", "store", "n"))
    policy = compiled(Policy(locations=locations, overrides=(FloorOverride("*", "b", 1),)))
    assert policy.locate("A", "a")[1] != policy.locate("A", "b")[1]


def test_ad_rules_of_a_channel_without_a_level_rest() -> None:
    rules = (AdRule("r1", "a"), AdRule("r2", "b"), AdRule("r3", "c"))
    policy = Policy(channels=(Channel("a", mode="shadow"), Channel("b")), ads=rules)
    assert compiled(policy).ads == (rules[1],)


ids = st.sampled_from(["s1", "s2", "w1", "x", "s*"])
locations = st.builds(
    Location,
    ids,
    st.sampled_from(["warehouse", "store", "dropship"]),
    st.sampled_from(["", "north"]),
)
overrides = st.builds(
    FloorOverride,
    st.sampled_from(["*", "A*", "B"]),
    st.sampled_from(["*", "s?", "x"]),
    st.integers(0, 3),
)
channels = st.builds(
    Channel,
    st.sampled_from(["c", "d"]),
    kinds=st.sampled_from([("store",), ("warehouse", "store")]),
    regions=st.sampled_from([None, ("north",)]),
    exclude=st.lists(ids, max_size=2).map(tuple),
)


@given(
    st.lists(locations, unique_by=lambda location: location.id).map(tuple),
    st.lists(overrides, max_size=4).map(tuple),
    st.lists(channels, unique_by=lambda channel: channel.id).map(tuple),
    st.sampled_from(["reject", "create"]),
)
def test_every_position_has_a_class_that_is_listed_and_sold_as_the_rules_say(
    places: tuple[Location, ...],
    floors: tuple[FloorOverride, ...],
    sellers: tuple[Channel, ...],
    answer: str,
) -> None:
    unknown = Unknown(location="create" if answer == "create" else "reject")
    policy = Compiled(Policy(locations=places, overrides=floors, channels=sellers, unknown=unknown))
    listed = {location.id: location for location in places}
    for location_id in ("s1", "s2", "w1", "x", "s*", "sz", "new"):
        for sku in ("A1", "B", "C"):
            _, name, floor, base = policy.locate(sku, location_id)
            assert name in policy.classes
            where = listed.get(location_id)
            if where is None and answer == "create":
                where = Location(location_id, "store")
            assert base == (where is not None)
            matching = [
                o.floor
                for o in floors
                if fnmatchcase(sku, o.sku) and fnmatchcase(location_id, o.location)
            ]
            assert floor == (matching[-1] if matching and where else 0)
            for channel in sellers:
                may_sell = (
                    where is not None
                    and where.kind in channel.kinds
                    and (channel.regions is None or where.region in channel.regions)
                    and location_id not in channel.exclude
                )
                assert (name in names_of(policy, channel.id)) == may_sell
