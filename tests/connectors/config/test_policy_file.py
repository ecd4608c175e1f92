"""`penstock.yaml`: what it becomes, and the exact words about what is wrong with it."""

from pathlib import Path

import pytest

from connectors.config.policy_file import ConfigError, check, load, load_with_codes, warnings
from state.policy.categories import Category
from state.policy.document import (
    AdRule,
    Campaign,
    Channel,
    ChannelOverride,
    FloorOverride,
    Floors,
    Location,
    Pack,
    Policy,
    Source,
    Unknown,
)

ROOT = Path(__file__).parents[3]

WHOLE = """\
version: 1
timezone: Asia/Taipei
unknown: {location: reject, channel: reject, sku: create}      # reject | create
sources:
  - {prefix: "/pos/", system: pos, codes: codes.csv}
locations:
  - {id: wh-ec, kind: warehouse, region: north, latitude: 25.03, longitude: 121.56}
  - {id: s001, kind: store, region: north}
  - {id: sup-a, kind: dropship}
  - {id: pchome-24h, kind: platform, channel: pchome}
policies:
  floors: {store: 1}
  network_threshold: 0
  overrides: [{sku: "A*", location: s001, floor: 2}]
channels:
  - id: pchome
  - id: shop
  - id: shopee
    mode: live
    locations: {kinds: [warehouse, store, dropship], regions: all, exclude: []}
    share_bp: 10000
    buffer: {units: 1}
    cutoff: 0
    cap: 999
campaigns:
  - {id: g1, channel: shopee, sku: A1, lock: 50, start: "2026-12-01T00:00:00+08:00", \
end: "2026-12-02T00:00:00+08:00"}
ads:
  - {rule: google-shop, platform: google, channel: shop, scope: sku, pause_at: 2, resume_at: 6,
     pause_cover_days: 1, resume_cover_days: 3, dwell_s: 600, max_changes_per_day: 4}
"""


def test_stock_and_ads_of_a_channel_that_is_not_listed_are_a_warning(tmp_path: Path) -> None:
    text = WHOLE.replace("  - id: pchome\n  - id: shop\n", "")
    (tmp_path / "codes.csv").write_text("system,code,sku,units\n")
    assert check(text, folder=tmp_path) == []
    assert [str(warning) for warning in warnings(text, folder=tmp_path)] == [
        (
            "penstock.yaml:10: locations[3].channel: expected a listed channel, got 'pchome':"
            " nobody sells from here"
        ),
        (
            "penstock.yaml:26: ads[0].channel: expected a listed channel, got 'shop': did you mean"
            " shopee?: the rule rests"
        ),
    ]


def problems(text: str) -> list[str]:
    return [str(problem) for problem in check(text)]


def test_a_whole_file_becomes_the_policy_that_it_says(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text(WHOLE)
    (tmp_path / "codes.csv").write_text("system,code,sku,units\npos,471,A1,6\n")
    policy, mappings = load_with_codes(tmp_path / "penstock.yaml")
    assert policy == Policy(
        timezone="Asia/Taipei",
        unknown=Unknown(),
        sources=(Source("/pos/", "pos", has_codes=True),),
        locations=(
            Location("wh-ec", "warehouse", "north", 25.03, 121.56),
            Location("s001", "store", "north"),
            Location("sup-a", "dropship"),
            Location("pchome-24h", "platform", channel="pchome"),
        ),
        floors=Floors(store=1),
        overrides=(FloorOverride("A*", "s001", 2),),
        channels=(
            Channel("pchome"),
            Channel("shop"),
            Channel("shopee", kinds=("warehouse", "store", "dropship"), buffer_units=1, cap=999),
        ),
        campaigns=(Campaign("g1", "shopee", "A1", 50, 1_796_054_400_000, 1_796_140_800_000),),
        ads=(AdRule("google-shop", "shop", "google", "sku", 2, 6, 1_000, 3_000, 600, 4),),
    )
    assert [(row.system, row.code, row.sku, row.units) for row in mappings] == [
        ("pos", "471", "A1", 6)
    ]


def test_rules_of_single_skus_become_overrides(tmp_path: Path) -> None:
    (tmp_path / "wine.csv").write_text("name,sku\nred,W1\nwhite,W2\nred,W1\n")
    (tmp_path / "penstock.yaml").write_text("""\
categories:
  - {id: wine, skus: ["W-*"], file: wine.csv}
policies:
  overrides:
    - {sku: A1, floor: 3, cap: 4}
    - {category: wine, channel: "sho*", buffer: {risk: 0.01}, share_bp: 50}
    - {sku: B, buffer: {units: 0}, cutoff: 2}
    - {sku: C}
channels:
  - {id: shop, buffer: {risk: 0.05}, push_lag_s: 30, packs: [{sku: "A*", units: 6}]}
""")
    policy = load(tmp_path / "penstock.yaml")
    assert policy.categories == (Category("wine", ("W-*",), ("W1", "W2")),)
    assert policy.overrides == (FloorOverride("A1", floor=3), FloorOverride("C", floor=0))
    assert policy.channel_overrides == (
        ChannelOverride("A1", cap=4),
        ChannelOverride(category="wine", channel="sho*", buffer_risk_ppm=10_000, share_bp=50),
        ChannelOverride("B", buffer_units=0, cutoff=2),
    )
    assert policy.channels == (
        Channel("shop", buffer_risk_ppm=50_000, push_lag_ms=30_000, packs=(Pack("A*", 6),)),
    )


def test_what_is_wrong_in_the_file_of_a_category_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "wine.csv").write_text("sku\nW1\n\n \n")
    found = check("categories: [{id: wine, file: wine.csv}]", folder=tmp_path)
    assert [str(each) for each in found] == ["wine.csv:4: sku: expected 1..128 characters, got 0"]
    (tmp_path / "wine.csv").write_text("name\nW1\n")
    found = check("categories: [{id: wine, file: wine.csv}]", folder=tmp_path)
    assert [str(each) for each in found] == [
        "wine.csv:1: expected a column sku in the header, got name"
    ]


def test_a_campaign_without_an_offset_begins_in_the_time_zone_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("""\
campaigns: [{id: g, channel: s, sku: A, lock: 1, start: "2026-12-01T00:00", end: 2026-12-02T00:00:30}]
channels: [{id: s}]
timezone: Asia/Taipei
""")
    (campaign,) = load(tmp_path / "penstock.yaml").campaigns
    assert (campaign.start_ms, campaign.end_ms) == (1_796_054_400_000, 1_796_140_830_000)


def test_the_example_has_no_problem() -> None:
    assert load(ROOT / "penstock.example.yaml").channels[1].buffer_units == 1


def test_everything_but_id_and_kind_has_a_default() -> None:
    assert problems("locations: [{id: a, kind: store}]\nchannels: [{id: b}]\n") == []
    assert problems("") == problems("channels:\npolicies: {}\n") == []


def test_without_the_default_file_the_default_policy_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load() == Policy()
    (tmp_path / "penstock.yaml").write_text("channels: [{id: shop}]")
    assert load() == Policy(channels=(Channel("shop"),))


def test_a_file_that_was_asked_for_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^mine\.yaml:1: expected a readable file, got No such"):
        load(tmp_path / "mine.yaml")


def test_a_file_that_is_not_utf8_is_told_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_bytes(b"version: 1\ntimezone: \xff\n")
    with pytest.raises(ConfigError, match=r"^penstock\.yaml:2: expected UTF-8, got byte 0xff$"):
        load(tmp_path / "penstock.yaml")


CASES = {
    "channels: [{id: a, share_bp: 20000}]": [
        "1: channels[0].share_bp: expected integer 0..10000, got 20000"
    ],
    "channels:\n  - id: a\n    cap: 1.5\n    cutoff: '1'\n    mode: life\n": [
        "3: channels[0].cap: expected integer 0..1000000000, got 1.5",
        "4: channels[0].cutoff: expected integer 0..1000000000, got '1'",
        "5: channels[0].mode: expected shadow or live or frozen or zero, got 'life': did you mean live?",
    ],
    "channels:\n- {id: a}\n- {id: a}": [
        "3: channels[1].id: expected a unique id, got 'a' again (first in line 2)"
    ],
    "channelz: []": ["1: channelz: expected a known field, got 'channelz': did you mean channels?"],
    "version: 1\nversion: 1": ["2: version: expected once, got again (first in line 1)"],
    "version: 2": ["1: version: expected integer 1..1, got 2"],
    "timezone: Asia/Tapei": [
        "1: timezone: expected IANA time zone, got 'Asia/Tapei': did you mean Asia/Taipei?"
    ],
    "locations:\n- {id: 001, kind: shop}\n- {kind: store}": [
        "2: locations[0].id: expected string of 1..128 characters, got 001: put it in quotes",
        (
            "2: locations[0].kind: expected warehouse or store or dropship or dark_store or"
            " platform, got 'shop'"
        ),
        "3: locations[1].id: expected string of 1..128 characters, got nothing",
    ],
    "locations: [{id: a, kind: platform}]": [
        "1: locations[0].channel: expected the channel that owns it, got nothing"
    ],
    "locations: [{id: a, kind: store, channel: b, latitude: 91}]": [
        "1: locations[0].channel: expected no channel for a store, got 'b'",
        "1: locations[0].latitude: expected number -90..90, got 91",
        "1: locations[0].longitude: expected both latitude and longitude, got one",
    ],
    "locations: [{id: s001, kind: store}]\nchannels:\n- id: a\n  locations:\n    exclude: [s01]": [
        (
            "5: channels[0].locations.exclude[0]: expected a listed location, got 's01':"
            " did you mean s001?"
        )
    ],
    "channels: [{id: a, locations: {kinds: [platform], regions: north}}]": [
        (
            "1: channels[0].locations.kinds[0]: expected warehouse or store or dropship or"
            " dark_store, got 'platform'"
        ),
        "1: channels[0].locations.regions: expected all or a list, got 'north'",
    ],
    "channels: [{id: a, buffer: {units: 1, risk: 0.01}}]": [
        "1: channels[0].buffer.risk: expected units or risk, got both"
    ],
    "channels:\n- {id: a, buffer: {risk: 0.6}}\n- {id: b, buffer: {risk: 0.0000001}}": [
        f"{line}: channels[{line - 2}].buffer.risk: expected number 0.000001..0.5,"
        f" at most 6 decimals, got {risk}"
        for line, risk in ((2, "0.6"), (3, "0.0000001"))
    ],
    "channels: [{id: a}]\npolicies:\n  overrides:\n  - {category: vine, cap: 3}\n  - {channel: b, cap: 3}\n"
    "  - {channel: a, floor: 3}\n  - {location: w, cap: 3}\nlocations: [{id: w, kind: warehouse}]\n"
    "categories:\n- {id: wine}\n- {id: wine, file: none.csv}": [
        "4: policies.overrides[0].category: expected a listed category, got 'vine': did you mean wine?",
        "5: policies.overrides[1].channel: expected a listed channel, got 'b'",
        "6: policies.overrides[2].channel: expected buffer, cutoff, cap or share_bp beside it, got none",
        (
            "7: policies.overrides[3].location: expected floor beside it, got none:"
            " no other figure is kept by location"
        ),
        "11: categories[1].file: expected a file, got 'none.csv'",
        "11: categories[1].id: expected a unique id, got 'wine' again (first in line 10)",
    ],
    "channels: [{id: a, packs: [{sku: A, units: 0}]}]": [
        "1: channels[0].packs[0].units: expected integer 1..1000000, got 0"
    ],
    "timezone: Europe/Berlin\nchannels: [{id: s}]\ncampaigns:\n- {id: g, channel: s, sku: A, lock: 1,\n"
    "   start: 2026-03-29T02:30, end: 2026-10-25T02:30:00}": [
        (
            "5: campaigns[0].end: expected a time that Europe/Berlin has once, or an offset,"
            " got 2026-10-25T02:30:00"
        ),
        "5: campaigns[0].start: expected a time that Europe/Berlin has, got 2026-03-29T02:30:00",
    ],
    "channels: {id: a}": ["1: channels: expected a list, got a mapping"],
    "- 1": ["1: expected a mapping, got a list"],
    "policies: {overrides: [{location: s9, floor: -1}]}": [
        "1: policies.overrides[0].floor: expected integer 0..1000000000, got -1",
        "1: policies.overrides[0].location: expected a listed location, got 's9'",
    ],
    "channels: [{id: shop}]\nads:\n- {rule: r, channel: shap, pause_at: 2, resume_at: 2}": [
        "3: ads[0].resume_at: expected above pause_at (2), got 2",
    ],
    "channels: [{id: s}]\nads: [{rule: r, channel: s, scope: item, pause_cover_days: 1.5,"
    " resume_cover_days: 1.5}]": [
        "2: ads[0].resume_cover_days: expected above pause_cover_days (1.5), got 1.5",
        "2: ads[0].scope: expected sku, got 'item', which is not available in this version",
    ],
    "channels: [{id: s}]\nads: [{rule: r, channel: s, resume_cover_days: 1.0001}]": [
        "2: ads[0].resume_cover_days: expected days 0..365, at most 3 decimals, got 1.0001"
    ],
    "channels: [{id: s}]\nads: [{rule: r, channel: s, resume_cover_days: 2}]": [
        "2: ads[0].resume_cover_days: expected pause_cover_days beside it, got nothing"
    ],
    "channels: [{id: s}]\ncampaigns:\n- {id: g, channel: s, sku: A, lock: 1,\n"
    "   start: 2026-12-01 00:00, end: 2026-12-02T00:00:00Z}": [
        (
            "4: campaigns[0].start: expected RFC 3339 time, or one of `timezone` without an offset,"
            " got '2026-12-01 00:00'"
        )
    ],
    "channels: [{id: s}]\ncampaigns:\n- {id: g, channel: s, sku: A, lock: 1,\n"
    "   start: 2026-12-02T00:00:00Z,\n   end: 2026-12-02T08:00:00+08:00}": [
        "5: campaigns[0].end: expected a time after start, got one that is not"
    ],
    "sources: [{prefix: /pos/, system: pos, codes: none.csv}]": [
        "1: sources[0].codes: expected a file, got 'none.csv'"
    ],
    "unknown: {sku: reject}": [
        (
            "1: unknown.sku: expected create, got 'reject': no source has a code table,"
            " so no SKU is known"
        )
    ],
    "a: &a [1]\nb: *a": ["2: expected no YAML alias, got *a"],
    "version: 1\ntimezone: \x00": ["2: expected printable characters, got '\\x00'"],
    "[" * 40 + "]" * 40: ["1: expected at most 16 levels of nesting, got more"],
    "version: !!python/name:os.system x": ["1: version: expected integer 1..1, got x"],
}


@pytest.mark.parametrize("text", CASES, ids=lambda text: text[:40].replace("\n", " "))
def test_every_problem_is_told_with_line_field_expected_and_got(text: str) -> None:
    assert problems(text) == [f"penstock.yaml:{line}" for line in CASES[text]]


@pytest.mark.parametrize("text", ["version: 1\n\ttimezone: UTC", "version: 1\nads: [", "a: 1\n: }"])
def test_a_syntax_error_is_told_with_its_line(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("penstock.yaml:2: expected YAML, got a syntax error: ")


def test_names_of_locations_are_free_where_unknown_ones_are_created() -> None:
    text = "unknown: {location: create}\nchannels: [{id: a, locations: {exclude: [s9]}}]"
    assert problems(text) == []


def test_resume_marks_lie_above_the_pause_marks_by_default(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text(
        "channels: [{id: s}]\nads: [{rule: r, channel: s, pause_at: 3, pause_cover_days: 0.5}]"
    )
    rule = load(path).ads[0]
    assert (rule.resume_at, rule.pause_cover_mdays, rule.resume_cover_mdays) == (4, 500, 1_500)


def test_problems_of_a_code_table_name_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "codes.csv").write_text("system,code,sku,units\npos,1,A,0\n")
    text = "sources: [{prefix: /pos/, system: pos, codes: codes.csv}]"
    assert [str(problem) for problem in check(text, folder=tmp_path)] == [
        "codes.csv:2: units: expected integer 1..1000000, got '0'"
    ]


def test_a_file_beyond_its_bound_is_refused() -> None:
    assert problems("#" * (1 << 20) + "\n") == [
        "penstock.yaml:1: expected at most 1048576 bytes, got more"
    ]


def test_only_a_supplier_has_rules_for_the_figures_of_suppliers() -> None:
    text = (
        "locations:\n"
        "  - {id: a, kind: dropship, shrink_guard_pct: 0, supplier_nets_orders: true}\n"
        "  - {id: b, kind: store, supplier_nets_orders: false}\n"
        "  - {id: c, kind: store, shrink_guard_pct: 50}\n"
        "  - {id: d, kind: dropship, supplier_nets_orders: yes}\n"
    )
    assert problems(text) == [
        "penstock.yaml:4: locations[2].shrink_guard_pct: expected it for a dropship location, got a store",
        "penstock.yaml:5: locations[3].supplier_nets_orders: expected true or false, got yes",
    ]
