"""Is stock true and fresh? What an operator looks at first, and what a merchant may ask for."""

from typing import Final

from monitoring.dashboards.shape import (
    Board,
    Panel,
    Query,
    Section,
    at_least,
    at_most,
    none_at_all,
)

_EMITTED: Final = "penstock_log_to_emitted_seconds"
_RATE: Final = "[$__rate_interval]"


def _told_within_1_s(over: str) -> str:
    within = f'sum(rate({_EMITTED}_bucket{{le="1.0"}}{over}))'
    return f"{within} / sum(rate({_EMITTED}_count{over}))"


def _quantile(part: str) -> str:
    return f"histogram_quantile({part}, sum by (le) (rate({_EMITTED}_bucket{_RATE})))"


_NOW = (
    Panel(
        1, "Emitted within 1 s",
        "Of the changes of the time shown, how many were emitted, and confirmed by the log, within a "
        "second of their message's arrival in the log. The objective is 99.9 %.",
        "percentunit",
        (Query(_told_within_1_s("[$__range]"), "within 1 s"),),
        "stat", at_least(0.999), most=1,
    ),
    Panel(
        2, "Oldest not emitted",
        "How long ago the oldest change came into the log that a publisher has claimed, or has to claim, "
        "and has not settled. 0 = everything known was emitted.",
        "s",
        (Query("max(penstock_unsettled_age_seconds)", "oldest"),),
        "stat", at_most(1, 5),
    ),
    Panel(
        3, "Oldest not applied",
        "How old the oldest message is that is in the log and is not in the stock yet. 0 = all is read.",
        "s",
        (Query("max(penstock_lag_seconds)", "oldest"),),
        "stat", at_most(1, 5),
    ),
    Panel(
        4, "Oversold SKUs",
        "SKUs of which more is promised than there is, as the last round of the walk found them. "
        "`penstock tail stock.alerts` names them.",
        "short",
        (Query("max(penstock_oversold_skus)", "oversold"),),
        "stat", at_most(1),
    ),
    Panel(
        5, "Invariants broken",
        "What the last round of the walk over all SKUs found that must never be: sums that are not those of "
        "their parts, reservations without an order, claims that nobody holds. Each is named in the log once.",
        "short",
        (Query("sum(max by (invariant) (penstock_invariant_violations))", "broken"),),
        "stat", none_at_all(),
    ),
    Panel(
        6, "Silent locations",
        "Locations from which nothing has come for longer than is usual for them at these hours. Their "
        "stock is what it was when they were heard last.",
        "short",
        (Query("max(penstock_locations_silent)", "silent"),),
        "stat", at_most(1),
    ),
)  # fmt: skip

_FRESH = (
    (
        Panel(
            10, "How soon a change is emitted",
            "From the log's timestamp of the oldest change that an update covers until the log has confirmed "
            "the update. Half of them, 99 of 100 and 999 of 1,000 are faster than the line. No changes, no line.",
            "s",
            (
                Query(_quantile("0.5"), "p50"),
                Query(_quantile("0.99"), "p99"),
                Query(_quantile("0.999"), "p99.9"),
            ),
            limits=at_most(1),
        ),
        Panel(
            11, "Changes emitted within 1 s",
            "The share of them, moment by moment. The dashed line is the objective, 99.9 %.",
            "percentunit",
            (Query(_told_within_1_s(_RATE), "within 1 s"),),
            limits=at_least(0.999), most=1,
        ),
    ),
    (
        Panel(
            12, "What has waited longest",
            "A message that is not applied, a SKU that is due and not claimed, a change that is not settled: "
            "how old the oldest of each is. A line that climbs steadily is work that stands still.",
            "s",
            (
                Query("max(penstock_lag_seconds)", "message not applied"),
                Query("max(penstock_due_age_seconds)", "SKU due"),
                Query("max(penstock_unsettled_age_seconds)", "change not emitted"),
            ),
            limits=at_most(5),
        ),
        Panel(
            13, "Messages not applied",
            "Messages between the watermark and the end of the log, by topic. It rises while ingest is "
            "slower than the senders, or stands still.",
            "short",
            (
                Query(
                    "sum by (topic) (max by (topic, partition) (penstock_lag_messages))",
                    "{{topic}}",
                ),
            ),
        ),
    ),
)  # fmt: skip

_TRUE = (
    (
        Panel(
            20, "Oversold SKUs, negative positions",
            "As the last round of the walk found them. A position is negative when more was sold at a shelf "
            "than the books had there: the shelf is right, a count is due.",
            "short",
            (
                Query("max(penstock_oversold_skus)", "oversold SKUs"),
                Query("max(penstock_negative_positions)", "negative positions"),
            ),
        ),
        Panel(
            21, "Invariants broken, by kind",
            "`class_sums`: a sum is not that of its positions. `reserved`: not what orders hold. `lease`: a "
            "claim that ended long ago. `out`: an emission left open. `due`: a SKU left waiting.",
            "short",
            (
                Query(
                    "max by (invariant) (penstock_invariant_violations)",
                    "{{invariant}}",
                ),
            ),
            limits=none_at_all(),
        ),
        Panel(
            22, "Age of the proof",
            "How long ago the walk last finished a round over all SKUs, and how long that round took. If the "
            "first keeps rising, nobody walks, and the figures beside it are old.",
            "s",
            (
                Query("time() - max(penstock_walk_finished_timestamp_seconds)", "last round ended"),
                Query("max(penstock_walk_seconds)", "last round took"),
            ),
        ),
    ),
    (
        Panel(
            23, "Stock alerts in 5 minutes",
            "Messages on `stock.alerts`: a SKU was oversold, a position went below zero, a count came too "
            "late to be laid under its movements (drift).",
            "short",
            (Query("sum by (kind) (increase(penstock_alerts_total[5m]))", "{{kind}}"),),
        ),
        Panel(
            24, "Sent again, or counted already",
            "Events that change nothing: stopped by the duplicate guard, or absorbed by a count that had seen "
            "them already.",
            "eps",
            (
                Query(
                    "sum by (outcome) (rate(penstock_events_total"
                    f'{{outcome=~"duplicate|absorbed"}}{_RATE}))',
                    "{{outcome}}",
                ),
            ),
        ),
        Panel(
            25, "Dead letters in 5 minutes",
            "Messages that could not be used, by the class of the reason. They wait whole: `penstock "
            "dead-letters list` shows each one.",
            "short",
            (Query("sum by (reason) (increase(penstock_dead_letters_total[5m]))", "{{reason}}"),),
        ),
    ),
    (
        Panel(
            26, "Silent, for how long",
            "How long each has been silent, of those that are silent for longer than is usual. `none` = all "
            "are heard as usual.",
            "s",
            (
                Query(
                    "max by (location) (penstock_location_silent_seconds) or "
                    'label_replace(max(penstock_locations_silent) == 0, "location", "none", "", "")',
                    "{{location}}",
                ),
            ),
            "bargauge", at_most(1),
        ),
        Panel(
            27, "SKUs looked at in a round",
            "By the last round of the walk that finished.",
            "short",
            (Query("max(penstock_walk_skus)", "SKUs"),),
        ),
    ),
)  # fmt: skip

_NOBODY = "0 * max(penstock_build_info)"
"""A line at 0 where no process has anything to report."""


def _or_none(query: str, label: str) -> str:
    return f'{query} or label_replace({_NOBODY}, "{label}", "none", "", "")'


_STEERED = (
    (
        Panel(
            30, "Channels held",
            "Channels that are frozen or set to zero, by hand or by the breaker; and how often the breaker "
            "froze one in 5 minutes. `penstock channel list` says why.",
            "short",
            (
                Query(_or_none("max by (channel, mode) (penstock_channel_held)", "channel"), "{{channel}} {{mode}}"),
                Query(
                    _or_none("sum by (channel) (increase(penstock_breaker_trips_total[5m]))", "channel"),
                    "{{channel}} tripped",
                ),
            ),
            limits=none_at_all(),
        ),
        Panel(
            31, "Locations left out",
            "Locations whose stock counts as nothing because they are silent for longer than their policy "
            "allows; and how many count all the same, because too many are silent at once.",
            "short",
            (
                Query(_or_none("max by (location) (penstock_location_left_out)", "location"), "{{location}}"),
                Query(f"max(penstock_locations_silent_kept) or {_NOBODY}", "silent, counted"),
            ),
            limits=at_most(1),
        ),
        Panel(
            32, "Policy file read again, in 5 minutes",
            "By a running process, when its file changed or it was asked to. `refused`: the file has problems, and "
            "the policy stays what it was.",
            "short",
            (Query("sum by (result) (increase(penstock_policy_reloads_total[5m]))", "{{result}}"),),
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    "penstock-truth",
    "Is stock true and fresh?",
    "Whether what the channels show is what there is, and how soon a change reaches them.",
    (
        Section("Now", 4, (_NOW,)),
        Section("Fresh", 8, _FRESH),
        Section("True", 8, _TRUE),
        Section("Steered", 8, _STEERED),
    ),
)
