"""The shop of the simulation: what it sells where, under which policies, and under which codes."""

from typing import Any

from state.events.codes import CodeRow
from state.policy.document import AdRule, Campaign, Channel, Floors, Location, Policy, Source
from tests.oracle.policy import policy_of

SKUS = ("A", "B", "C", "D")
LOCATIONS = ("wh", "s1", "s2")
CHANNELS = ("shop", "web")
RULE = "ads"
TILL = "/till"
"""Events of this source name SKUs by the codes of `CODES`."""
CODES = ("c1", "c2")

HOUR_MS = 3_600_000
EPOCH_MS = 472_223 * HOUR_MS
"""An hour that no midnight is near: a slice of the duplicate guard begins here. Runs begin shortly before, or half
an hour later."""
LATER_MS = HOUR_MS // 2
CAMPAIGNS = (
    ("A", LATER_MS + 2000, LATER_MS + 4000),
    ("B", LATER_MS + 3000, LATER_MS + 5500),
    ("C", -2000, 500),
)
"""(SKU, begin, end) in ms from there: over before any run comes to rest."""

KIND = {"wh": "warehouse", "s1": "store", "s2": "store"}
PAUSE_AT, RESUME_AT = 1, 3

VARIANTS = ((0, 0), (1, 1), (2, 0))
"""(floor of the stores, buffer of the web channel) of each policy that may be in force."""


def policy(variant: int) -> Policy:
    floor, buffer = VARIANTS[variant]
    return Policy(
        sources=(Source(TILL, "till", has_codes=True),),
        locations=(
            Location("wh", "warehouse"),
            Location("s1", "store"),
            Location("s2", "store"),
        ),
        floors=Floors(store=floor),
        channels=(
            Channel("shop"),
            Channel("web", kinds=("warehouse", "store"), exclude=("s2",), buffer_units=buffer),
        ),
        campaigns=tuple(
            Campaign(f"g{sku}", "web", sku, 2, EPOCH_MS + begin_ms, EPOCH_MS + end_ms)
            for sku, begin_ms, end_ms in CAMPAIGNS
        ),
        ads=(
            AdRule(
                RULE, "shop", pause_at=PAUSE_AT, resume_at=RESUME_AT, dwell_s=0, max_changes_per_day=1_000_000
            ),
        ),
    )  # fmt: skip


POLICIES = tuple(policy(variant) for variant in range(len(VARIANTS)))
FIRST_CODES = tuple(
    CodeRow("till", code, sku, 1, 0) for code, sku in zip(CODES, SKUS, strict=False)
)


def document(variant: int) -> dict[str, Any]:
    """Return what decides on levels once campaigns are over, as a penstock.yaml says it: for the judge."""
    floor, buffer = VARIANTS[variant]
    some = {"kinds": ["warehouse", "store"], "exclude": ["s2"]}
    return {
        "locations": [{"id": where, "kind": kind} for where, kind in KIND.items()],
        "policies": {"floors": {"store": floor}},
        "channels": [
            {"id": "shop"},
            {"id": "web", "locations": some, "buffer": {"units": buffer}},
        ],
        "ads": [{"rule": RULE, "channel": "shop", "pause_at": PAUSE_AT, "resume_at": RESUME_AT}],
    }


DOCUMENTS = tuple(policy_of(document(variant)) for variant in range(len(VARIANTS)))
