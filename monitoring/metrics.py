"""Every metric of Penstock, declared here and nowhere else.

Units are base units (seconds, messages). A label takes its value from a fixed set or from the
configuration; it never carries a SKU, an order or any other text out of a message, so the number
of series stays bounded whatever is sent in: `monitoring.labels` lists the values with their meaning.
The text of a metric is its `# HELP` and its row on docs/reference/metrics.md (`python -m tools.pages`).

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

from monitoring import labels
from monitoring.gauges import Age, OptionalGauge
from monitoring.labels import labelled
from monitoring.latency import BUCKETS_MS, Latency
from monitoring.reasons import REASON_CLASSES, reason_class
from state.events.messages import TYPES

OUTCOMES: Final = tuple(labels.OUTCOMES)
INVARIANTS: Final = tuple(labels.INVARIANTS)
UNKNOWN_TYPE: Final = labels.UNKNOWN_TYPE

# A second series for each one, saying only when this process began, is of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left its types out

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

EVENTS: Final = Counter(
    *labelled("penstock_events_total", "Input events by type and by outcome."),
    registry=REGISTRY,
)
DEAD_LETTERS: Final = Counter(
    *labelled(
        "penstock_dead_letters_total", "Messages put on dead.letters, by the class of the reason."
    ),
    registry=REGISTRY,
)
LOG_TO_APPLIED: Final = Latency(
    "penstock_log_to_applied_seconds",
    "From the log's timestamp of an event to its effect in the store; 1 ms to 10 s.",
    registry=REGISTRY,
)
LOG_TO_EMITTED: Final = Latency(
    "penstock_log_to_emitted_seconds",
    "From the log's timestamp of the oldest change that an update covers to the update confirmed by "
    "the log; 1 ms to 10 s.",
    registry=REGISTRY,
)
LAG: Final = Gauge(
    *labelled(
        "penstock_lag_messages", "Messages between the watermark and the end of the partition."
    ),
    registry=REGISTRY,
)
DUE_DEPTH: Final = Gauge(
    "penstock_due_depth",
    "SKUs due to be looked at now, over all shards.",
    registry=REGISTRY,
)
DUE_AGE: Final = Gauge(
    "penstock_due_age_seconds",
    "How long the SKU that has been due longest has waited; 0 when none is due. Rises steadily when "
    "no publisher is at work.",
    registry=REGISTRY,
)
UPDATES: Final = Counter(
    "penstock_updates_total",
    "Stock updates confirmed by the log.",
    registry=REGISTRY,
)
SIGNALS: Final = Counter(
    *labelled("penstock_signals_total", "Ad signals confirmed by the log."),
    registry=REGISTRY,
)
ALERTS: Final = Counter(
    *labelled("penstock_alerts_total", "Stock alerts confirmed by the log."),
    registry=REGISTRY,
)
REDIS_TIME: Final = Histogram(
    *labelled(
        "penstock_redis_seconds",
        "Time of a call to the store as the client sees it; a pipeline over the shards counts as one call.",
    ),
    buckets=tuple(bound_ms / 1000 for bound_ms in (0.1, 0.2, 0.5, *BUCKETS_MS)),
    registry=REGISTRY,
)
HOLDS: Final = Counter(
    *labelled("penstock_holds_total", "Requests about holds by outcome, and holds that expired."),
    registry=REGISTRY,
)
HOLD_TIME: Final = Histogram(
    *labelled(
        "penstock_hold_seconds", "Time to create holds, or to confirm one, as the caller sees it."
    ),
    buckets=tuple(bound_ms / 1000 for bound_ms in (0.1, 0.2, 0.5, *BUCKETS_MS)),
    registry=REGISTRY,
)
HELD_BACK: Final = Counter(
    "penstock_held_back_seconds_total",
    "Backpressure: time for which ingest read nothing because SKUs had been due for too long, so that "
    "publishing had the store to itself.",
    registry=REGISTRY,
)
REWINDS: Final = Counter(
    "penstock_rewinds_total",
    "Times that a shard was found behind and the log was read again from its watermark.",
    registry=REGISTRY,
)
RECOVERIES: Final = Counter(
    "penstock_recoveries_total",
    "Recoveries of a shard after its server had changed (a failover, a restart).",
    registry=REGISTRY,
)
REFUSED_CLAIMS: Final = Counter(
    "penstock_refused_claims_total",
    "Claims that a shard refused because it knows a newer policy than the publisher, which reloads "
    "and goes on.",
    registry=REGISTRY,
)
POLICY_RELOADS: Final = Counter(
    *labelled(
        "penstock_policy_reloads_total",
        "Times that the policy file was read again, at SIGHUP or by PENSTOCK_CONFIG_WATCH.",
    ),
    registry=REGISTRY,
)
REFUSED_SETTLES: Final = Counter(
    "penstock_refused_settles_total",
    "Claims that were no longer the latest of their SKU when they were to be settled: the publisher "
    "had been silent for longer than its lease and another had taken over, or the shard had "
    "recovered.",
    registry=REGISTRY,
)
EMITTED_FAILED: Final = Counter(
    "penstock_emitted_failed_total",
    "Messages that the log did not confirm; their SKUs stay due and are emitted again.",
    registry=REGISTRY,
)
BUSY: Final = Counter(
    *labelled(
        "penstock_busy_seconds_total",
        "Time spent in a step, waiting for a server included. Its rate is the share of its time that a "
        "process spends there, 1 = all of it. For the step read only its own CPU time counts, because it "
        "mostly waits for messages.",
    ),
    registry=REGISTRY,
)
BATCHES: Final = Counter(
    *labelled(
        "penstock_batches_total", "Batches handed to a flow: of messages, or of claimed SKUs."
    ),
    registry=REGISTRY,
)
LAG_AGE: Final = Age(
    *labelled(
        "penstock_lag_seconds",
        "Age of the oldest message in the log that is not applied, as of the scrape; 0 = all are applied. "
        "Exported by the process that reads the partition, and by no other.",
    ),
    registry=REGISTRY,
)
UNSETTLED_AGE: Final = Age(
    "penstock_unsettled_age_seconds",
    "Age of the oldest change that is due, or claimed and not settled, as this publisher sees it, as "
    "of the scrape; 0 = none. A change that is claimed or could not be emitted counts from the log's "
    "timestamp, one that is due from when it became due.",
    registry=REGISTRY,
)
RETRIES: Final = Counter(
    *labelled(
        "penstock_retries_total",
        "Calls made again because a server did not answer, or refused for now.",
    ),
    registry=REGISTRY,
)
LOCATION_SILENT: Final = OptionalGauge(
    *labelled(
        "penstock_location_silent_seconds",
        "How long a location has been silent; only for locations that are silent for longer than is usual "
        "for them.",
    ),
    registry=REGISTRY,
)
LOCATIONS_SILENT: Final = OptionalGauge(
    "penstock_locations_silent",
    "Locations that are silent for longer than is usual for them.",
    registry=REGISTRY,
)
BREAKER_TRIPS: Final = Counter(
    *labelled(
        "penstock_breaker_trips_total",
        "Times that the circuit breaker froze the channel because too many of its SKUs would have gone to "
        "zero at once.",
    ),
    registry=REGISTRY,
)
CHANNEL_HELD: Final = OptionalGauge(
    *labelled(
        "penstock_channel_held",
        "1 for each channel that is held at run time. Exported by publishers.",
    ),
    registry=REGISTRY,
)
LOCATION_LEFT_OUT: Final = OptionalGauge(
    *labelled(
        "penstock_location_left_out",
        "1 for each location whose stock counts as nothing because it has been silent for longer than "
        "silent_after_s; 32 at most. Exported by readers.",
    ),
    registry=REGISTRY,
)
LOCATIONS_KEPT: Final = OptionalGauge(
    "penstock_locations_silent_kept",
    "Locations that have been silent for longer than silent_after_s and count all the same, because "
    "more than 32 are silent at once.",
    registry=REGISTRY,
)
OVERSOLD_SKUS: Final = OptionalGauge(
    "penstock_oversold_skus",
    "SKUs of which less than nothing is available, in the last finished round of the walk.",
    registry=REGISTRY,
)
NEGATIVE_POSITIONS: Final = OptionalGauge(
    "penstock_negative_positions",
    "Positions with less than nothing on hand, in the last finished round of the walk.",
    registry=REGISTRY,
)
ADS_PAUSED: Final = OptionalGauge(
    *labelled(
        "penstock_ads_paused",
        "SKUs whose ads the rule has paused, in the last finished round of the walk.",
    ),
    registry=REGISTRY,
)
ADS_PAUSED_SOLD_OUT: Final = Counter(
    *labelled(
        "penstock_ads_paused_sold_out_seconds_total",
        "For how long ads of SKUs with nothing to sell on their channel were paused, in business time, "
        "summed over SKUs.",
    ),
    registry=REGISTRY,
)
INVARIANT_VIOLATIONS: Final = OptionalGauge(
    *labelled(
        "penstock_invariant_violations",
        "SKUs whose figures contradict each other, in the last finished round of the walk; must be 0.",
    ),
    registry=REGISTRY,
)
HOLDS_LIVE: Final = OptionalGauge(
    "penstock_holds_live",
    "Live holds, in the last finished round of the walk.",
    registry=REGISTRY,
)
WALK_FINISHED: Final = OptionalGauge(
    "penstock_walk_finished_timestamp_seconds",
    "When the last round of the walk was finished (Unix time).",
    registry=REGISTRY,
)
WALK_SKUS: Final = OptionalGauge(
    "penstock_walk_skus",
    "SKUs that the last finished round of the walk looked at.",
    registry=REGISTRY,
)
WALK_TIME: Final = OptionalGauge(
    "penstock_walk_seconds",
    "How long the last finished round of the walk took.",
    registry=REGISTRY,
)
WALK_BUSY: Final = Counter(
    "penstock_walk_busy_seconds_total",
    "Time that the walk was at work, or the store for it.",
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
BUILD: Final = Info(
    "penstock_build", "Always 1; the label says which version is running.", registry=REGISTRY
)

for _kind in labels.SIGNAL_KINDS:
    SIGNALS.labels(_kind)
for _kind in labels.ALERT_KINDS:
    ALERTS.labels(_kind)
for _result in labels.RELOAD_RESULTS:
    POLICY_RELOADS.labels(_result)
for _reason in labels.RETRIED:
    RETRIES.labels(_reason)
# A series that begins with its first letter is no increase to Prometheus.
for _outcome in labels.HOLD_OUTCOMES:
    HOLDS.labels(_outcome)
for _verb in labels.HOLD_VERBS:
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
