"""The labels of the metrics, each with what it may say.

A label takes its values from a fixed set, listed here with their meaning, or from the configuration or
the log. No value is text out of a message, so the number of series is bounded whatever is sent in.
Meanings are Markdown: docs/metrics.md is written from them.
"""

from collections.abc import Mapping
from typing import Final

from monitoring.reasons import REASONS

Values = Mapping[str, str]
"""Value -> meaning; empty where the name says it all."""

UNKNOWN_TYPE: Final = "unknown"

OUTCOMES: Final[Values] = {
    "applied": "it took effect",
    "duplicate": "stopped by the duplicate guard",
    "dead": "rejected",
    "absorbed": "a count had seen it already",
}
HOLD_OUTCOMES: Final[Values] = {
    "created": "",
    "extended": "",
    "confirmed": "",
    "released": "",
    "lapsed": "the hold expired; counted by publishers",
    "usage": "the request can never succeed as it stands",
    "short": "there is not enough",
    "conflict": "another request has the name",
    "gone": "the hold has ended",
    "pinned": "an order is being placed out of it",
    "unavailable": "the channel sells nothing now",
    "busy": "the policy is changing, or the store did not confirm in time: ask again",
    "unknown": "the log did not answer: ask again, with the same order",
}
SIGNAL_KINDS: Final[Values] = {"pause": "", "resume": ""}
ALERT_KINDS: Final[Values] = {"oversold": "", "negative": "", "drift": "", "overreturned": ""}
RELOAD_RESULTS: Final[Values] = {
    "changed": "a new policy is active",
    "same": "the file says what it said before",
    "refused": "the file is wrong: nothing changed, and the log says why",
    "failed": "the file could not be read, or a server was unavailable: nothing changed, and the log says why",
}
RETRIED: Final[Values] = {"store": "", "log": ""}
HOLD_VERBS: Final[Values] = {"create": "", "confirm": ""}
MODES: Final[Values] = {"frozen": "", "zero": ""}
HELD_BY: Final[Values] = {"hand": "an operator", "breaker": "the circuit breaker"}
INVARIANTS: Final[Values] = {
    "class_sums": "the sums of a SKU are not what its positions give under the same policy; sums of an older policy "
    "are skipped, because they are recomputed before they are used",
    "reserved": "what a SKU says is promised to customers is not what the records of its orders and its holds keep. "
    "Both move while they are added up: a SKU that differs is looked at again, and reported only when the "
    "difference is proven ([adr/0014](/docs/adr/0014-the-walk-proves-it-does-not-guess.md))",
    "held": "a hold expired more than 30 s ago and was not swept: nobody can sell its units",
    "lease": "the lease of a claim ended more than five minutes ago, and no publisher has taken the SKU over",
    "out": "a claim is open and the SKU is not requeued for the end of its lease: nothing will ever close the claim",
    "due": "a SKU has been due for more than five minutes; or it changed and is not due; or it is in no queue at all",
}

STEPS: Final = {
    "ingest": ("read", "decode", "normalise", "guard", "dead_letters", "apply"),
    "publish": ("claim", "decide", "guard", "emit", "settle"),
}
"""The steps of each flow."""
_FLOWS: Final[Values] = dict.fromkeys(STEPS, "")
_STEPS: Final = "; ".join(
    f"of `{flow}` {', '.join(f'`{step}`' for step in steps)}" for flow, steps in STEPS.items()
)

LABELS: Final[Mapping[str, Mapping[str, Values | str]]] = {
    "penstock_events_total": {
        "type": f"a type of [messages.md](messages.md), or `{UNKNOWN_TYPE}`",
        "outcome": OUTCOMES,
    },
    "penstock_dead_letters_total": {"reason": REASONS},
    "penstock_lag_messages": {"topic": "an input topic", "partition": "its number"},
    "penstock_signals_total": {"kind": SIGNAL_KINDS},
    "penstock_alerts_total": {"kind": ALERT_KINDS},
    "penstock_redis_seconds": {"verb": "the function of the store that was called"},
    "penstock_holds_total": {"outcome": HOLD_OUTCOMES},
    "penstock_hold_seconds": {"verb": HOLD_VERBS},
    "penstock_policy_reloads_total": {"result": RELOAD_RESULTS},
    "penstock_busy_seconds_total": {"flow": _FLOWS, "step": _STEPS},
    "penstock_batches_total": {"flow": _FLOWS},
    "penstock_lag_seconds": {"topic": "an input topic", "partition": "its number"},
    "penstock_retries_total": {"reason": RETRIED},
    "penstock_location_silent_seconds": {"location": "an id of the policy"},
    "penstock_location_left_out": {"location": "an id of the policy"},
    "penstock_channel_held": {"channel": "an id of the policy", "mode": MODES, "by": HELD_BY},
    "penstock_breaker_trips_total": {"channel": "an id of the policy"},
    "penstock_ads_paused": {"rule": "a rule of the policy"},
    "penstock_ads_paused_sold_out_seconds_total": {"rule": "a rule of the policy"},
    "penstock_invariant_violations": {"invariant": INVARIANTS},
    "penstock_build_info": {"version": ""},
}
"""Metric -> label -> its values, or in words what they are. A metric without labels is left out."""


def labelled(name: str, text: str) -> tuple[str, str, tuple[str, ...]]:
    """Return name, help and label names of a metric with labels, as the client library takes them."""
    return name, text + listed(name), tuple(LABELS[name])


def listed(name: str) -> str:
    """Return what the help of a metric says of its labels: the values of those that have a fixed set."""
    fixed = {label: values for label, values in LABELS[name].items() if not isinstance(values, str)}
    return "".join(f" {label}: {', '.join(values)}." for label, values in fixed.items())
