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
