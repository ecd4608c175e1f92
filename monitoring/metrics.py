"""Every metric of Penstock, declared here and nowhere else.

Units are base units (seconds, messages). A label takes its value from a fixed set or from the
configuration; it never carries a SKU, an order or any other text out of a message, so the number
of series stays bounded whatever is sent in. docs/metrics.md explains each one to operators.

Hot paths count a batch in one go: `count_events`, `count_dead_letters`, `Latency.observe_ages`.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from monitoring.gauges import Age, Known
from monitoring.latency import BUCKETS_MS, Latency
from monitoring.reasons import REASON_CLASSES, reason_class
from state.events.messages import TYPES

OUTCOMES: Final = ("applied", "duplicate", "dead", "absorbed")
STEPS: Final = {
    "ingest": ("read", "decode", "normalise", "dead_letters", "apply"),
    "publish": ("claim", "derive", "emit", "settle"),
}
"""The steps of each flow."""
INVARIANTS: Final = ("class_sums", "reserved", "held", "lease", "out", "due")
HOLD_OUTCOMES: Final = (
    "created", "extended", "confirmed", "released", "lapsed",
    "usage", "short", "conflict", "gone", "pinned", "unavailable", "busy", "unknown",
)  # fmt: skip
UNKNOWN_TYPE: Final = "unknown"

# A second series for each one, telling only when this process began, is of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left its types out

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

EVENTS: Final = Counter(
    "penstock_events_total",
    "Input events by type and by what became of them.",
    ("type", "outcome"),
    registry=REGISTRY,
)
DEAD_LETTERS: Final = Counter(
    "penstock_dead_letters_total",
    "Messages put on dead.letters, by the class of the reason.",
    ("reason",),
    registry=REGISTRY,
)
LOG_TO_APPLIED: Final = Latency(
    "penstock_log_to_applied_seconds",
    "From the log's timestamp of an event to its effect in the store.",
    registry=REGISTRY,
)
LOG_TO_EMITTED: Final = Latency(
    "penstock_log_to_emitted_seconds",
    "From the log's timestamp of the oldest change covered to the confirmed stock update.",
    registry=REGISTRY,
)
LAG: Final = Gauge(
    "penstock_lag_messages",
    "Messages between the watermark and the end of the partition.",
    ("topic", "partition"),
    registry=REGISTRY,
)
DUE_DEPTH: Final = Gauge(
    "penstock_due_depth",
    "SKUs whose levels are due to be looked at now, over all shards.",
    registry=REGISTRY,
)
DUE_AGE: Final = Gauge(
    "penstock_due_age_seconds",
    "How long the SKU that is due longest has been waiting; 0 when none is due.",
    registry=REGISTRY,
)
UPDATES: Final = Counter(
    "penstock_updates_total",
    "Stock updates that the log has confirmed.",
    registry=REGISTRY,
)
SIGNALS: Final = Counter(
    "penstock_signals_total",
    "Ad signals that the log has confirmed, by kind (pause, resume).",
    ("kind",),
    registry=REGISTRY,
)
ALERTS: Final = Counter(
    "penstock_alerts_total",
    "Stock alerts that the log has confirmed, by kind (oversold, negative, drift, overreturned).",
    ("kind",),
    registry=REGISTRY,
)
REDIS_TIME: Final = Histogram(
    "penstock_redis_seconds",
    "Time of a call to the store as the client sees it, by verb (a pipeline counts as one).",
    ("verb",),
    buckets=tuple(bound_ms / 1000 for bound_ms in (0.1, 0.2, 0.5, *BUCKETS_MS)),
    registry=REGISTRY,
)
HOLDS: Final = Counter(
    "penstock_holds_total",
    "Requests about holds by what became of them, and holds that lapsed.",
    ("outcome",),
    registry=REGISTRY,
)
HOLD_TIME: Final = Histogram(
    "penstock_hold_seconds",
    "Time to make or to confirm holds, as who asks sees it.",
    ("verb",),
    buckets=tuple(bound_ms / 1000 for bound_ms in (0.1, 0.2, 0.5, *BUCKETS_MS)),
    registry=REGISTRY,
)
HELD_BACK: Final = Counter(
    "penstock_held_back_seconds_total",
    "Time for which ingest read nothing, so that publishing could catch up.",
    registry=REGISTRY,
)
REWINDS: Final = Counter(
    "penstock_rewinds_total",
    "Times that a shard was behind and the log was read again from its watermark.",
    registry=REGISTRY,
)
RECOVERIES: Final = Counter(
    "penstock_recoveries_total",
    "Recoveries of a shard after its server changed.",
    registry=REGISTRY,
)
REFUSED_CLAIMS: Final = Counter(
    "penstock_refused_claims_total",
    "Claims that a shard refused because it knows a newer policy than the publisher.",
    registry=REGISTRY,
)
POLICY_RELOADS: Final = Counter(
    "penstock_policy_reloads_total",
    "Times the policy file was read again, by what came of it.",
    ["result"],
    registry=REGISTRY,
)
REFUSED_SETTLES: Final = Counter(
    "penstock_refused_settles_total",
    "Claims that were no longer the latest of their SKU when they were to be settled.",
    registry=REGISTRY,
)
EMITTED_FAILED: Final = Counter(
    "penstock_emitted_failed_total",
    "Messages that the log did not confirm; their SKUs stay due and are emitted again.",
    registry=REGISTRY,
)
BUSY: Final = Counter(
    "penstock_busy_seconds_total",
    "Time spent in a step of a flow; its rate is how much of the time the step is at work.",
    ("flow", "step"),
    registry=REGISTRY,
)
BATCHES: Final = Counter(
    "penstock_batches_total",
    "Batches that a flow was given: of messages, of claimed SKUs.",
    ("flow",),
    registry=REGISTRY,
)
LAG_AGE: Final = Age(
    "penstock_lag_seconds",
    "How old the oldest message of the partition is that this reader has not applied; 0 = all is.",
    ("topic", "partition"),
    registry=REGISTRY,
)
UNSETTLED_AGE: Final = Age(
    "penstock_unsettled_age_seconds",
    "How old the oldest change is that is due or claimed and not settled, as this publisher sees it.",
    registry=REGISTRY,
)
RETRIES: Final = Counter(
    "penstock_retries_total",
    "Calls that were made again because a server did not answer, or refused for now.",
    ("reason",),
    registry=REGISTRY,
)
LOCATION_SILENT: Final = Known(
    "penstock_location_silent_seconds",
    "Since when nothing has come from a location that is silent for longer than is usual for it.",
    ("location",),
    registry=REGISTRY,
)
LOCATIONS_SILENT: Final = Known(
    "penstock_locations_silent",
    "Locations that are silent for longer than is usual for them.",
    registry=REGISTRY,
)
OVERSOLD_SKUS: Final = Known(
    "penstock_oversold_skus",
    "SKUs of which less than nothing is available, in the last finished round of the walk.",
    registry=REGISTRY,
)
NEGATIVE_POSITIONS: Final = Known(
    "penstock_negative_positions",
    "Positions with less than nothing on hand, in the last finished round of the walk.",
    registry=REGISTRY,
)
ADS_PAUSED: Final = Known(
    "penstock_ads_paused",
    "SKUs whose ads a rule has paused, in the last finished round of the walk.",
    ("rule",),
    registry=REGISTRY,
)
ADS_PAUSED_SOLD_OUT: Final = Counter(
    "penstock_ads_paused_sold_out_seconds_total",
    "Business time for which ads of SKUs with nothing to sell were paused, summed over SKUs.",
    ("rule",),
    registry=REGISTRY,
)
INVARIANT_VIOLATIONS: Final = Known(
    "penstock_invariant_violations",
    "What was not as it must be, in the last finished round of the walk.",
    ("invariant",),
    registry=REGISTRY,
)
HOLDS_LIVE: Final = Known(
    "penstock_holds_live",
    "Holds that live, in the last finished round of the walk.",
    registry=REGISTRY,
)
WALK_FINISHED: Final = Known(
    "penstock_walk_finished_timestamp_seconds",
    "When the last round of the walk was finished (Unix time).",
    registry=REGISTRY,
)
WALK_SKUS: Final = Known(
    "penstock_walk_skus",
    "SKUs that the last finished round of the walk looked at.",
    registry=REGISTRY,
)
WALK_TIME: Final = Known(
    "penstock_walk_seconds",
    "How long the last finished round of the walk took.",
    registry=REGISTRY,
)
WALK_BUSY: Final = Counter(
    "penstock_walk_busy_seconds_total",
    "Time that the walk was at work, or the store for it.",
    registry=REGISTRY,
)
BREAKER_TRIPS: Final = Counter(
    "penstock_breaker_trips_total",
    "Times that a channel froze because too many of its SKUs would have gone to zero at once.",
    ("channel",),
    registry=REGISTRY,
)
CHANNEL_HELD: Final = Known(
    "penstock_channel_held",
    "1 for each channel that is frozen or zeroed by hand or by the breaker.",
    ("channel", "mode", "by"),
    registry=REGISTRY,
)
LOCATION_LEFT_OUT: Final = Known(
    "penstock_location_left_out",
    "1 for each location whose stock counts as nothing because it is silent for longer than it may be.",
    ("location",),
    registry=REGISTRY,
)
LOCATIONS_KEPT: Final = Known(
    "penstock_locations_silent_kept",
    "Locations that are silent for longer than they may be and count all the same: too many are at once.",
    registry=REGISTRY,
)
OF_THE_WALK: Final = (
    OVERSOLD_SKUS,
    NEGATIVE_POSITIONS,
    ADS_PAUSED,
    INVARIANT_VIOLATIONS,
    HOLDS_LIVE,
    WALK_FINISHED,
    WALK_SKUS,
    WALK_TIME,
)
"""Known to the process that walks, and to no other."""
BUILD: Final = Info("penstock_build", "The version that is running.", registry=REGISTRY)

for _kind in ("pause", "resume"):
    SIGNALS.labels(_kind)
for _kind in ("oversold", "negative", "drift", "overreturned"):
    ALERTS.labels(_kind)
for _result in ("changed", "same", "refused", "failed"):
    POLICY_RELOADS.labels(_result)
for _reason in ("store", "log"):
    RETRIES.labels(_reason)
# A series that begins with its first letter is no increase to Prometheus.
for _outcome in HOLD_OUTCOMES:
    HOLDS.labels(_outcome)
for _verb in ("create", "confirm"):
    HOLD_TIME.labels(_verb)
for _reason in REASON_CLASSES:
    DEAD_LETTERS.labels(_reason)
for _type in (*TYPES, UNKNOWN_TYPE):
    for _outcome in ("applied", "duplicate", "dead"):
        EVENTS.labels(_type, _outcome)


def build_version() -> str:
    """The installed version, or "checkout" when the package is not installed."""
    try:
        return version("penstock")
    except PackageNotFoundError:
        return "checkout"


BUILD.info({"version": build_version()})


def count_events(counts: Mapping[tuple[str, str], int]) -> None:
    """Add a batch's `{(event type, outcome): events}`.

    A type that Penstock does not know is counted as "unknown".

    Raises:
        ValueError: the outcome is not one of `OUTCOMES`.
    """
    for (event_type, outcome), events in counts.items():
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome: expected one of {', '.join(OUTCOMES)}, got {outcome!r}")
        label = event_type if event_type in TYPES else UNKNOWN_TYPE
        EVENTS.labels(label, outcome).inc(events)


def count_holds(outcomes: Iterable[str]) -> None:
    """Add what became of requests about holds."""
    for outcome, requests in Tally(outcomes).items():
        HOLDS.labels(outcome).inc(requests)


def count_dead_letters(reasons: Iterable[str]) -> None:
    """Add a batch's dead letters, given the full text of each reason."""
    for name, letters in Tally(map(reason_class, reasons)).items():
        DEAD_LETTERS.labels(name).inc(letters)
