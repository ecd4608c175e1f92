"""Levels on streams so small that the answer is worked out by hand."""

from pathlib import Path

import pytest

from tests.oracle.world import (
    answers,
    placed,
    receipt,
)


def test_a_level_goes_through_share_buffer_cutoff_and_cap(tmp_path: Path) -> None:
    config = """
channels:
  - {id: plain}
  - {id: share, share_bp: 3333}
  - {id: buffer, buffer: {units: 30}}
  - {id: at-cutoff, cutoff: 100}
  - {id: above-cutoff, cutoff: 99}
  - {id: cap, cap: 60}
  - {id: below-zero, buffer: {units: 101}}
  - {id: all, share_bp: 5000, buffer: {units: 10}, cutoff: 5, cap: 30}
  - {id: hidden, mode: shadow}
"""
    got = answers(tmp_path, [receipt("A", 103), placed("o1", 3)], config)
    levels = {channel: got.level("A", channel) for channel in got.expected.channels}
    assert levels.pop("hidden") < 0
    assert levels == {
        "plain": 100,
        "share": 33,
        "buffer": 70,
        "at-cutoff": 0,
        "above-cutoff": 100,
        "cap": 60,
        "below-zero": 0,
        "all": 30,
    }


def test_floors_go_by_kind_and_later_overrides_win(tmp_path: Path) -> None:
    config = """
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}, {id: s2, kind: store}]
policies:
  floors: {store: 2}
  network_threshold: 1
  overrides: [{sku: "A*", location: s1, floor: 5}, {sku: "A2", location: "s?", floor: 0}]
channels: [{id: shop}]
"""
    stock = [receipt(sku, 10, place) for sku in ("A1", "A2", "B") for place in ("wh", "s1", "s2")]
    got = answers(tmp_path, stock, config)
    assert [got.level(sku, "shop") for sku in ("A1", "A2", "B")] == [
        10 + 5 + 8 - 1,
        29,
        10 + 16 - 1,
    ]
    assert got.available("A1") == 30


def test_kinds_regions_and_exclusions_say_which_stock_a_channel_sees(tmp_path: Path) -> None:
    config = """
locations:
  - {id: wh, kind: warehouse, region: north}
  - {id: s1, kind: store, region: north}
  - {id: s2, kind: store, region: south}
  - {id: own, kind: platform, channel: pchome}
channels:
  - {id: all}
  - {id: stores, locations: {kinds: [store]}}
  - {id: north, locations: {regions: [north]}}
  - {id: without, locations: {exclude: [s1]}}
  - {id: pchome, locations: {kinds: [warehouse]}}
"""
    stock = [("wh", 1), ("s1", 10), ("s2", 100), ("own", 1000), ("unlisted", 10_000)]
    got = answers(tmp_path, [receipt("A", units, place) for place, units in stock], config)
    levels = {channel: got.level("A", channel) for channel in got.expected.channels}
    assert levels == {
        "all": 10_111,
        "stores": 10_110,
        "north": 11,
        "without": 10_101,
        "pchome": 1001,
    }
    assert got.available("A") == 10_111


@pytest.mark.parametrize(
    ("end", "level"), [("2026-03-02T12:00:00Z", 10), ("2026-03-02T20:00:01+08:00", 7)]
)
def test_a_running_campaign_locks_units_for_its_own_channel(
    tmp_path: Path, end: str, level: int
) -> None:
    config = f"""
channels: [{{id: shop}}, {{id: shopee}}]
campaigns:
  - {{id: g, channel: shopee, sku: A, lock: 3, start: "2026-03-02T12:00:00Z", end: "{end}"}}
"""
    got = answers(tmp_path, [receipt("A", 10)], config)
    assert (got.level("A", "shop"), got.level("A", "shopee")) == (level, 10)


def test_overrides_change_figures_of_single_skus_and_the_last_that_names_one_wins(
    tmp_path: Path,
) -> None:
    config = """
categories: [{id: wine, skus: ["W*"]}]
policies:
  overrides:
    - {sku: "A*", cap: 5}
    - {category: wine, channel: web, share_bp: 5000, buffer: {units: 1}}
    - {sku: A2, cap: 7, cutoff: 3}
channels:
  - {id: shop, buffer: {units: 2}}
  - {id: web, packs: [{sku: "?1", units: 4}]}
  - {id: shut, mode: zero}
"""
    got = answers(tmp_path, [receipt(sku, 11) for sku in ("A1", "A2", "W1")], config)
    levels = {
        sku: [got.level(sku, each) for each in ("shop", "web", "shut")]
        for sku in ("A1", "A2", "W1")
    }
    assert levels == {"A1": [5, 2, 0], "A2": [7, 7, 0], "W1": [9, 1, 0]}


def test_a_buffer_by_risk_holds_back_what_sells_in_the_push_lag(tmp_path: Path) -> None:
    config = """
channels:
  - {id: slow, buffer: {risk: 0.01}, push_lag_s: 86400}
  - {id: fast, buffer: {risk: 0.01}, push_lag_s: 60}
"""
    got = answers(tmp_path, [receipt("A", 103), placed("o1", 3)], config)
    # 3 units on the newest day are a velocity of 0.367 a day: a Poisson count of that mean is above 2 with
    # 0.0060, above 1 with 0.0530. In a minute, with a mean of 0.000255, hardly anything sells.
    assert (got.level("A", "slow"), got.level("A", "fast")) == (98, 100)


def test_a_campaign_without_an_offset_runs_in_the_time_zone_of_the_file(tmp_path: Path) -> None:
    config = """
timezone: Asia/Taipei
channels: [{id: shop}, {id: shopee}]
campaigns:
  - {id: g, channel: shopee, sku: A, lock: 3, start: "2026-03-02T20:00", end: "2026-03-02T20:00:01"}
"""
    got = answers(tmp_path, [receipt("A", 10)], config)
    assert (got.level("A", "shop"), got.level("A", "shopee")) == (7, 10)
