"""Flows and machines: traffic, latency, errors and saturation of every process."""

from typing import Final

from monitoring.dashboards.shape import Board, Panel, Query, Section, at_most

_RATE: Final = "[$__rate_interval]"


def _quantile(part: str, metric: str, *, by: str = "le") -> str:
    return f"histogram_quantile({part}, sum by ({by}) (rate({metric}_bucket{_RATE})))"


def _percentiles(metric: str) -> tuple[Query, ...]:
    return (Query(_quantile("0.5", metric), "p50"), Query(_quantile("0.99", metric), "p99"))


def _counted(metric: str, legend: str) -> Query:
    return Query(f"sum(increase({metric}[5m]))", legend)


_TRAFFIC = (
    Panel(
        1, "Events in, by outcome",
        "Input events a second: applied, stopped as duplicates, rejected (dead), or absorbed by a count that "
        "had seen them already.",
        "eps",
        (Query(f"sum by (outcome) (rate(penstock_events_total{_RATE}))", "{{outcome}}"),),
        stacked=True,
    ),
    Panel(
        2, "Events in, by type",
        "The same events by their type; `unknown` is a type that Penstock does not know.",
        "eps",
        (Query(f"sum by (type) (rate(penstock_events_total{_RATE}))", "{{type}}"),),
        stacked=True,
    ),
    Panel(
        3, "Messages out",
        "Stock updates, ad signals and stock alerts that the log has confirmed.",
        "mps",
        (
            Query(f"sum(rate(penstock_updates_total{_RATE}))", "updates"),
            Query(f"sum by (kind) (rate(penstock_signals_total{_RATE}))", "ad {{kind}}"),
            Query(f"sum by (kind) (rate(penstock_alerts_total{_RATE}))", "alert {{kind}}"),
        ),
    ),
)  # fmt: skip

_LATENCY = (
    (
        Panel(
            10, "Log to applied",
            "From the log's timestamp of an event to its effect in the store.",
            "s", _percentiles("penstock_log_to_applied_seconds"),
        ),
        Panel(
            11, "Log to emitted",
            "From the log's timestamp of the oldest change that an update covers to the update confirmed by the log.",
            "s", _percentiles("penstock_log_to_emitted_seconds"), limits=at_most(1),
        ),
    ),
    (
        Panel(
            12, "Redis, 99 of 100 calls",
            "Time of a call to the store as the client sees it, by verb; a pipeline over the shards is one call.",
            "s",
            (Query(_quantile("0.99", "penstock_redis_seconds", by="verb, le"), "{{verb}}"),),
        ),
        Panel(
            13, "Redis, calls",
            "Calls to the store a second, by verb.",
            "cps",
            (Query(f"sum by (verb) (rate(penstock_redis_seconds_count{_RATE}))", "{{verb}}"),),
        ),
    ),
)  # fmt: skip

_ERRORS = (
    Panel(
        20, "Dead letters",
        "Messages a second that could not be used, by the class of the reason.",
        "mps",
        (Query(f"sum by (reason) (rate(penstock_dead_letters_total{_RATE}))", "{{reason}}"),),
    ),
    Panel(
        21, "Asked again, in 5 minutes",
        "Calls that were repeated because a server did not answer, or refused for now; and messages that the "
        "log did not confirm, whose SKUs are emitted again.",
        "short",
        (
            Query("sum by (reason) (increase(penstock_retries_total[5m]))", "{{reason}} asked again"),
            _counted("penstock_emitted_failed_total", "not confirmed"),
        ),
    ),
    Panel(
        22, "Gone back, refused, in 5 minutes",
        "Rewinds: the log was read again from a shard's watermark. Recoveries: a shard's server had changed. "
        "Claims refused: the publisher's policy was older than the shard's. Settles refused: another publisher "
        "had taken the SKU over.",
        "short",
        (
            _counted("penstock_rewinds_total", "rewinds"),
            _counted("penstock_recoveries_total", "recoveries"),
            _counted("penstock_refused_claims_total", "claims refused"),
            _counted("penstock_refused_settles_total", "settles refused"),
        ),
    ),
)  # fmt: skip


def _busy(flow: str) -> tuple[Query, ...]:
    query = f'sum by (step) (rate(penstock_busy_seconds_total{{flow="{flow}"}}{_RATE}))'
    return (Query(query, "{{step}}"),)


_SATURATION = (
    (
        Panel(
            30, "Ingest: where its time goes",
            "Seconds a second spent in each step, of all processes together: 100 % is one process that never waits.",
            "percentunit", _busy("ingest"), stacked=True,
        ),
        Panel(
            31, "Publish: where its time goes",
            "Seconds a second spent in each step, of all processes together: 100 % is one process that never waits.",
            "percentunit", _busy("publish"), stacked=True,
        ),
        Panel(
            32, "The busiest process of a flow",
            "Its share of time in which it does not wait. Above 80 % it is time for another process.",
            "percentunit",
            (
                Query(
                    "max by (flow) (sum by (flow, job, instance) "
                    f"(rate(penstock_busy_seconds_total{_RATE})))",
                    "{{flow}}",
                ),
            ),
            limits=at_most(0.8), most=1,
        ),
    ),
    (
        Panel(
            33, "Messages not applied, by partition",
            "Messages between the watermark and the end of the partition.",
            "short",
            (Query("max by (topic, partition) (penstock_lag_messages)", "{{topic}}/{{partition}}"),),
        ),
        Panel(
            34, "SKUs due",
            "SKUs whose levels are due to be looked at now, over all shards. Stays low while publish keeps up.",
            "short",
            (Query("max(penstock_due_depth)", "due"),),
        ),
        Panel(
            35, "Batches",
            "Batches that each flow has worked on, a second. Fewer of them at the same traffic are larger ones.",
            "cps",
            (Query(f"sum by (flow) (rate(penstock_batches_total{_RATE}))", "{{flow}}"),),
        ),
        Panel(
            36, "Ingest held back",
            "Seconds a second in which ingest read nothing, of all processes together, because SKUs had been due for "
            "too long: the store was left to publishing. Now and then under a burst is well; for long, publish is "
            "too slow.",
            "percentunit",
            (Query(f"sum(rate(penstock_held_back_seconds_total{_RATE}))", "held back"),),
        ),
    ),
)  # fmt: skip

_MACHINES = (
    (
        Panel(
            40, "CPU",
            "Of each process that serves metrics: 100 % is one core.",
            "percentunit",
            (
                Query(
                    f"rate(process_cpu_seconds_total{_RATE}) and on (job, instance) penstock_build_info",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
        Panel(
            41, "Memory",
            "Resident memory of each process.",
            "bytes",
            (
                Query(
                    "process_resident_memory_bytes and on (job, instance) penstock_build_info",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
        Panel(
            42, "Open files",
            "Descriptors that each process holds, connections among them.",
            "short",
            (
                Query(
                    "process_open_fds and on (job, instance) penstock_build_info",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
    ),
    (
        Panel(
            43, "Running for",
            "Time since each process began. A line that falls is a restart.",
            "s",
            (
                Query(
                    "(time() - process_start_time_seconds) and on (job, instance) penstock_build_info",
                    "{{job}} {{instance}}",
                ),
            ),
        ),
        Panel(
            44, "Processes by version",
            "How many answer. Two versions for long are an update that was left half way.",
            "short",
            (Query("count by (version) (penstock_build_info)", "{{version}}"),),
        ),
        Panel(
            45, "Cost of the walk",
            "Seconds a second that the walk over all SKUs takes: 100 % is one core.",
            "percentunit",
            (Query(f"sum(rate(penstock_walk_busy_seconds_total{_RATE}))", "walk"),),
        ),
    ),
)  # fmt: skip

_HOLDS = (
    (
        Panel(
            60, "Holds, what became of requests",
            "Requests about holds a second, by what became of them, and holds that lapsed. Requests are "
            "counted by the process that is asked, lapses by publishers.",
            "cps",
            (Query(f"sum by (outcome) (rate(penstock_holds_total{_RATE}))", "{{outcome}}"),),
        ),
        Panel(
            61, "Holds, 99 of 100 requests",
            "Time to create holds, or to confirm one, as who asks sees it. 0 = nobody asked.",
            "s",
            (
                Query(
                    f'({_quantile("0.99", "penstock_hold_seconds", by="verb, le")} >= 0) '
                    "or 0 * max by (verb) (penstock_hold_seconds_count)",
                    "{{verb}}",
                ),
            ),
            limits=at_most(0.01),
        ),
        Panel(
            62, "Holds that live",
            "In the last finished round of the walk.",
            "short",
            (Query("max(penstock_holds_live)", "holds"),),
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    "penstock-flows",
    "Flows and machines",
    "Traffic, latency, errors and saturation of every ingest and publish.",
    (
        Section("Traffic", 8, (_TRAFFIC,)),
        Section("Latency", 8, _LATENCY),
        Section("Errors", 8, (_ERRORS,)),
        Section("Saturation", 8, _SATURATION),
        Section("Machines", 8, _MACHINES),
        Section("Holds", 8, _HOLDS),
    ),
)
