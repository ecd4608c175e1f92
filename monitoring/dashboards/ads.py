"""Ads: which are paused, what that spares, and how soon a signal goes out."""

from typing import Final

from monitoring.dashboards.shape import Board, Panel, Query, Section, at_most

_RATE: Final = "[$__rate_interval]"
_PAUSED: Final = "max by (rule) (penstock_ads_paused)"
_SPARED: Final = "penstock_ads_paused_sold_out_seconds_total"
_EMITTED: Final = "penstock_log_to_emitted_seconds_bucket"


def _signals(kind: str) -> str:
    return f'sum(increase(penstock_signals_total{{kind="{kind}"}}[$__range]))'


_NOW = (
    Panel(
        1, "Ads paused",
        "SKUs whose ads are paused now, each rule counted for itself.",
        "short",
        (Query(f"sum({_PAUSED})", "paused"),), "stat",
    ),
    Panel(
        2, "Spared: time paused while sold out",
        "SKU by SKU, how long ads were paused in the time shown while there was nothing to sell: without a "
        "signal they would have gone on.",
        "dtdurations",
        (Query(f"sum(increase({_SPARED}[$__range]))", "spared"),), "stat",
    ),
    Panel(
        3, "Pauses",
        "Signals `ad.pause` that the log confirmed in the time shown.",
        "short",
        (Query(_signals("pause"), "pauses"),), "stat",
    ),
    Panel(
        4, "Resumes",
        "Signals `ad.resume` that the log confirmed in the time shown.",
        "short",
        (Query(_signals("resume"), "resumes"),), "stat",
    ),
)  # fmt: skip

_STATES = (
    (
        Panel(
            10, "Ads paused, by rule",
            "SKUs whose ads are paused, as the last round of the walk found them.",
            "short",
            (Query(_PAUSED, "{{rule}}"),),
        ),
        Panel(
            11, "Paused and sold out, by rule",
            "SKUs that are sold out and whose ads are paused, from the SKU-seconds counted: money that is not spent.",
            "short",
            (Query(f"sum by (rule) (rate({_SPARED}{_RATE}))", "{{rule}}"),),
        ),
    ),
    (
        Panel(
            12, "Signals in 5 minutes",
            "Pauses and resumes that the log has confirmed. Many of both are ads that flutter: their marks lie too "
            "close together, or the dwell is too short.",
            "short",
            (Query("sum by (kind) (increase(penstock_signals_total[5m]))", "{{kind}}"),),
        ),
        Panel(
            13, "How soon a signal goes out",
            "From the log's timestamp of a change to what it causes, confirmed by the log; a signal is appended "
            "together with the stock update of its SKU.",
            "s",
            (
                Query(f"histogram_quantile(0.5, sum by (le) (rate({_EMITTED}{_RATE})))", "p50"),
                Query(f"histogram_quantile(0.99, sum by (le) (rate({_EMITTED}{_RATE})))", "p99"),
            ),
            limits=at_most(1),
        ),
    ),
    (
        Panel(
            14, "Messages not confirmed in 5 minutes",
            "Messages out, signals among them, that the log did not confirm. Their SKUs stay due, and come again.",
            "short",
            (Query("sum(increase(penstock_emitted_failed_total[5m]))", "not confirmed"),),
        ),
        Panel(
            15, "What has waited longest",
            "How old the oldest change is that is not emitted: ads may still run on what it sold out.",
            "s",
            (Query("max(penstock_unsettled_age_seconds)", "change not emitted"),),
            limits=at_most(5),
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    "penstock-ads",
    "Ads",
    "Which ads are paused because of stock, what that spares, and how soon a signal goes out.",
    (Section("Now", 4, (_NOW,)), Section("States and signals", 8, _STATES)),
)
