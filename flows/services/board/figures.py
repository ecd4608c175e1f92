"""Figures: what happened between two readings of all processes, and how things stand. None = no process reports it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.services.board.rates import Percentiles, Rates, Verb, Worst
from flows.services.board.scrape import Reading

FLOWS = ("ingest", "publish")


@dataclass(frozen=True, slots=True)
class Ingest:
    """Messages in. `busy` is the share of time in which the busiest process does not wait.

    `held_back` is the time a second in which ingest reads nothing, to leave the store to publishing.
    """

    events_per_s: dict[str, float]
    dead_letters_per_s: dict[str, float]
    log_to_applied: Percentiles
    lag_messages: int | None
    lag_s: float | None
    held_back: float | None
    busy: float | None


@dataclass(frozen=True, slots=True)
class Publish:
    """Messages out."""

    updates_per_s: float | None
    signals_per_s: dict[str, float]
    not_confirmed_per_s: float | None
    log_to_emitted: Percentiles
    due_skus: int | None
    due_age_s: float | None
    unsettled_age_s: float | None
    busy: float | None


@dataclass(frozen=True, slots=True)
class Stock:
    """What the last round of the walk found, how long ago it ended, and which locations are silent.

    `channels_held` says of each channel that is overridden how and by whom: `frozen by breaker`. Stock at
    `locations_left_out` counts as nothing while they are silent.
    """

    oversold_skus: int | None
    negative_positions: int | None
    invariants_broken: dict[str, int]
    walked_skus: int | None
    walked_s_ago: float | None
    locations_silent: int | None
    silent_s: dict[str, float]
    ads_paused: dict[str, int]
    channels_held: dict[str, str]
    locations_left_out: list[str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What should stay at 0, a second."""

    rewinds_per_s: float | None
    recoveries_per_s: float | None
    refused_per_s: float | None
    retries_per_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `cpu` is in cores."""

    address: str
    version: str
    flows: list[str]
    cpu: float | None
    memory_bytes: int | None
    running_s: float | None


@dataclass(frozen=True, slots=True)
class BoardFigures:
    """All of it, for one interval."""

    time_s: float
    ingest: Ingest
    publish: Publish
    stock: Stock
    trouble: Trouble
    redis: dict[str, Verb]
    processes: list[Process]
    silent: list[str]
    """Addresses that were named and where nothing answers."""


def figures(
    before: Sequence[Reading], now: Sequence[Reading], time_s: float, silent: Sequence[str] = ()
) -> BoardFigures:
    """Return what happened from one reading of all processes to the next.

    Args:
        before: the earlier reading.
        now: the later one.
        time_s: the time of the later one, in seconds since 1970.
        silent: addresses that were named and where nothing answers.
    """
    rates, worst = Rates(before, now), Worst(now)
    walked_s = worst.value("penstock_walk_finished_timestamp_seconds")
    return BoardFigures(
        time_s,
        Ingest(
            rates.by("penstock_events_total", "outcome"),
            _above_0(rates.by("penstock_dead_letters_total", "reason")),
            rates.latency("penstock_log_to_applied_seconds"),
            _whole(worst.total("penstock_lag_messages")),
            worst.value("penstock_lag_seconds"),
            rates.total("penstock_held_back_seconds_total"),
            rates.busiest("ingest"),
        ),
        Publish(
            rates.total("penstock_updates_total"),
            rates.by("penstock_signals_total", "kind"),
            rates.total("penstock_emitted_failed_total"),
            rates.latency("penstock_log_to_emitted_seconds"),
            _whole(worst.value("penstock_due_depth")),
            worst.value("penstock_due_age_seconds"),
            worst.value("penstock_unsettled_age_seconds"),
            rates.busiest("publish"),
        ),
        Stock(
            _whole(worst.value("penstock_oversold_skus")),
            _whole(worst.value("penstock_negative_positions")),
            _wholes(worst.by("penstock_invariant_violations", "invariant")),
            _whole(worst.value("penstock_walk_skus")),
            max(0.0, time_s - walked_s) if walked_s else None,
            _whole(worst.value("penstock_locations_silent")),
            worst.by("penstock_location_silent_seconds", "location"),
            _wholes(worst.by("penstock_ads_paused", "rule")),
            {
                held["channel"]: f"{held['mode']} by {held['by']}"
                for held in worst.labels_of("penstock_channel_held")
            },
            sorted(_above_0(worst.by("penstock_location_left_out", "location"))),
        ),
        Trouble(
            rates.total("penstock_rewinds_total"),
            rates.total("penstock_recoveries_total"),
            _sum(rates.total("penstock_refused_claims_total"), rates.total("penstock_refused_settles_total")),
            _above_0(rates.by("penstock_retries_total", "reason")),
        ),
        rates.verbs(),
        [_process(reading, rates, time_s) for reading in now],
        list(silent),
    )  # fmt: skip


def _process(reading: Reading, rates: Rates, time_s: float) -> Process:
    (labels,) = reading.samples["penstock_build_info"]
    began_s = reading.began_s()
    flows = {
        "ingest": bool(reading.samples.get("penstock_lag_messages")),
        "publish": (("verb", "claim"),) in reading.samples.get("penstock_redis_seconds_count", {}),
    }
    return Process(
        reading.address,
        dict(labels)["version"],
        [flow for flow in FLOWS if flows[flow]],
        rates.cpu(reading.address),
        _whole(reading.value("process_resident_memory_bytes")),
        max(0.0, time_s - began_s) if began_s else None,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _wholes(values: Mapping[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in values.items()}


def _above_0(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value}


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)
