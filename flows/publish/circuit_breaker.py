"""The breaker: a channel of which too much would go to zero at once freezes instead.

What falls is counted over all publishers, in slots of `SLOT_MS`; this slot and the one before it count. The share is of
the SKUs that showed anything when it began. Those beyond the share are never emitted: the batch in which it is passed
is derived again with the channel frozen. What fell before it, within the share, was emitted.

The count of SKUs shown is kept by the differences and set right by each round of the walk.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import structlog

from connectors.log.base import AppendFailed
from flows.publish.messages import channel_frozen
from flows.runtime.active_policy import PCT, ActivePolicy, zero_guards
from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.runtime.retry import retry_until_available
from flows.services.policy.overlay import change_overlay
from monitoring import metrics
from state.policy import overlay
from state.policy.overlay import ACCEPT_MS, BREAKER

SLOT_MS: Final = 10_000
CHUNK: Final = 500
"""SKUs that one call counts."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Moves:
    """How many SKUs begin and end to show anything, by channel, in one batch."""

    limits: Mapping[str, int]
    """Guarded channels: the share (percent) that may go to zero at once."""
    falls: Counter[str] = field(default_factory=Counter)
    rises: Counter[str] = field(default_factory=Counter)

    def note(self, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """Note the levels of a SKU, as emitted last and as they would be emitted."""
        for channel in self.limits:
            shown, shows = before.get(channel, 0) > 0, after.get(channel, 0) > 0
            if shown and not shows:
                self.falls[channel] += 1
            elif shows and not shown:
                self.rises[channel] += 1


def judge(runtime: Runtime, policy: ActivePolicy, moves: Moves) -> bool:
    """Count what moves, and freeze the channels of which too much falls; return whether any froze."""
    froze = False
    for channel in sorted(moves.falls.keys() | moves.rises.keys()):
        falls, moved = moves.falls[channel], moves.rises[channel] - moves.falls[channel]
        counts = falls > 0 and not is_accepted(runtime, policy, channel)
        fell, shown = retry_until_available(
            partial(_count, runtime, channel, falls if counts else 0, moved)
        )
        least = policy.compiled.policy.zero_guard_min
        if counts and fell >= least and fell * PCT > moves.limits[channel] * shown:
            why = (
                f"{fell} of {shown} SKUs shown ({fell * PCT // max(1, shown)} %) would go to zero within "
                f"{2 * SLOT_MS // 1000} s, more than zero_guard_pct {moves.limits[channel]}"
            )
            freeze(runtime, channel, why)
            retry_until_available(partial(_take_back, runtime, channel, falls))
            froze = True
    return froze


def is_accepted(runtime: Runtime, policy: ActivePolicy, channel: str) -> bool:
    """Say whether an operator resumed the channel a moment ago: further drops are accepted."""
    resumed_ms = policy.overlay.steered(channel).resumed_ms
    return runtime.clock.now_ms() <= resumed_ms + ACCEPT_MS


def _count(runtime: Runtime, channel: str, falls: int, moved: int) -> tuple[int, int]:
    """Return how many SKUs fell of late, and how many were listed before they did."""
    counts, slot = runtime.shared.listed, runtime.clock.now_ms() // SLOT_MS
    is_known, listed, fell = counts.move(channel, moved, falls, slot, 3 * SLOT_MS)
    if not is_known:
        # Guarded from now on. What is about to be emitted is not among what was.
        listed = count_all(runtime, [channel])[channel] + moved
        counts.put({channel: listed})
    return fell, max(0, listed) + fell


def freeze(runtime: Runtime, channel: str, why: str) -> None:
    """Freeze a channel, and report why; one that another publisher froze meanwhile is reported already."""
    now_ms = runtime.clock.now_ms()
    held = partial(overlay.hold, channel=channel, held="frozen", now_ms=now_ms, by=BREAKER, why=why)
    if change_overlay(runtime, held):
        metrics.BREAKER_TRIPS.labels(channel).inc()
        _log.error("channel frozen", channel=channel, why=why)
        (answer,) = runtime.log.append([channel_frozen(channel, why, now_ms)])
        # A consumer that the log does not notify is by the metrics, for as long as the channel is frozen.
        metrics.EMITTED_FAILED.inc(isinstance(answer, AppendFailed))
    else:
        retry_until_available(partial(follow_policy, runtime))


def _take_back(runtime: Runtime, channel: str, falls: int) -> None:
    """Take back from the counts what is not going to fall."""
    runtime.shared.listed.take_back(channel, falls, runtime.clock.now_ms() // SLOT_MS)


def report_held(policy: ActivePolicy) -> None:
    """Report by metrics which channels are held, and whether by an operator or by their circuit breaker."""
    held: dict[tuple[str, ...], float] = {}
    for channel in policy.of_file.channels:
        mode, steered = (
            policy.compiled.channels[channel.id].mode,
            policy.overlay.steered(channel.id),
        )
        if mode != channel.mode:
            by = "breaker" if steered.by == BREAKER else "hand"
            held[(channel.id, str(mode), by)] = 1
    metrics.CHANNEL_HELD.put(held)
    for channel_id in zero_guards(policy):
        # A series that begins with its first letter is no increase to Prometheus.
        metrics.BREAKER_TRIPS.labels(channel_id)


def count_all(runtime: Runtime, channels: Collection[str]) -> Counter[str]:
    """Return the same over every SKU of the store."""
    listed = runtime.shared.listed
    found: Counter[str] = Counter()
    rest = iter(retry_until_available(lambda: sorted(set(runtime.store.skus()))))
    while some := list(islice(rest, CHUNK)):
        found += retry_until_available(partial(listed.of, some, channels))
    return found
