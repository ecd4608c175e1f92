"""The `penstock.yaml` of the demo: every rule of a level is at work in it."""

from collections.abc import Sequence
from typing import Any

import yaml

from flows.demo.events import time_text
from flows.demo.stream import DC_ID, region_of
from state.durations import DAY_MS

_CAMPAIGN_LOCK = 20


def config_text(shops: Sequence[int], campaign_sku: str, start_ms: int) -> str:
    """Return the configuration of a chain.

    Args:
        shops: the store numbers.
        campaign_sku: the SKU that one channel locks stock of, two days long.
        start_ms: the first moment of trading; the campaign begins a week later.
    """
    document = {
        "version": 1,
        "timezone": "UTC",
        "unknown": {"location": "reject", "channel": "reject", "sku": "create"},
        "locations": [
            {"id": DC_ID, "kind": "warehouse", "region": "north"},
            *({"id": f"s{s}", "kind": "store", "region": region_of(s)} for s in sorted(shops)),
        ],
        "policies": {"floors": {"store": 1, "warehouse": 0}, "network_threshold": 1},
        "channels": _channels(f"s{min(shops)}"),
        "campaigns": [
            {
                "id": "opening-week",
                "channel": "shopee",
                "sku": campaign_sku,
                "lock": _CAMPAIGN_LOCK,
                "start": time_text(start_ms + 7 * DAY_MS),
                "end": time_text(start_ms + 9 * DAY_MS),
            }
        ],
        "ads": [
            _rule("google-shop", "google", "shop", 2),
            _rule("meta-shopee", "meta", "shopee", 1),
        ],
    }
    text: str = yaml.dump(
        document, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=110
    )
    return text


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice twice: the configuration refuses YAML aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _channels(left_out: str) -> list[dict[str, Any]]:
    everywhere: dict[str, Any] = {"kinds": ["warehouse", "store"], "regions": "all"}
    northern = {"kinds": ["warehouse", "store"], "regions": ["north", "east"]}
    shops_but_one = {"kinds": ["store"], "regions": "all", "exclude": [left_out]}
    centre = {"kinds": ["warehouse"], "regions": "all"}
    return [
        _channel("shopee", everywhere, share_bp=8000, buffer=1, cutoff=0, cap=200),
        _channel("momo", centre, share_bp=10000, buffer=0, cutoff=1, cap=50),
        _channel("pchome", northern, share_bp=7500, buffer=2, cutoff=2, cap=999),
        _channel("yahoo", shops_but_one, share_bp=5000, buffer=0, cutoff=0, cap=20),
        _channel("shop", everywhere, share_bp=10000, buffer=0, cutoff=0, cap=999),
    ]


def _channel(
    id_: str, locations: dict[str, Any], *, share_bp: int, buffer: int, cutoff: int, cap: int
) -> dict[str, Any]:
    return {
        "id": id_,
        "mode": "live",
        "locations": locations,
        "share_bp": share_bp,
        "buffer": {"units": buffer},
        "cutoff": cutoff,
        "cap": cap,
    }


def _rule(rule: str, platform: str, channel: str, pause_at: int) -> dict[str, Any]:
    return {
        "rule": rule,
        "platform": platform,
        "channel": channel,
        "scope": "sku",
        "pause_at": pause_at,
        "resume_at": pause_at + 1,
        "pause_cover_days": 1,
        "resume_cover_days": 2,
        "dwell_s": 600,
        "max_changes_per_day": 4,
    }
