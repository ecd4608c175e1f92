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

from monitoring.latency import BUCKETS_MS, Latency
from monitoring.reasons import reason_class
from state.messages import TYPES

OUTCOMES: Final = ("applied", "duplicate", "dead", "absorbed")
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
    "Stock alerts that the log has confirmed, by kind (oversold, negative, drift).",
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
BUILD: Final = Info("penstock_build", "The version that is running.", registry=REGISTRY)

for _kind in ("pause", "resume"):
    SIGNALS.labels(_kind)
for _kind in ("oversold", "negative", "drift"):
    ALERTS.labels(_kind)


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


def count_dead_letters(reasons: Iterable[str]) -> None:
    """Add a batch's dead letters, given the full text of each reason."""
    for name, letters in Tally(map(reason_class, reasons)).items():
        DEAD_LETTERS.labels(name).inc(letters)
