"""The steps of publish, each a plain function over a batch of claims.

Every figure of a SKU is read from the store with its claim. Conflation: nothing is suppressed while an earlier emission
may still be in flight; only a closed `out` of the present generation that says the same is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import orjson

from connectors.log.base import Appended, AppendFailed
from flows.publish.circuit_breaker import Moves, judge
from flows.publish.claimer import Claims
from flows.publish.messages import Rendered, Writer
from flows.runtime.active_policy import zero_guards
from flows.runtime.context import Runtime
from flows.runtime.retry import pipelined_retry
from monitoring import metrics
from state.policy.compiled import Compiled, compiled
from state.policy.overlay import apply_overlay
from state.protocol.claim import Settle
from state.rules.decision import Decision, Moment

Decisions: TypeAlias = list[tuple[int, Decision]]
"""What is decided of each claimed SKU, with its shard."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A round of claims, with what is decided of each SKU."""

    claims: Claims
    decisions: Decisions


@dataclass(frozen=True, slots=True)
class Emitted:
    """A round of claims, with those decisions whose messages the log has confirmed."""

    claims: Claims
    decisions: Decisions


def decide(runtime: Runtime, claims: Claims) -> Decided:
    """Decide levels and ad states of all claimed SKUs, under the policy of their claims."""
    return Decided(claims, _decisions(runtime, claims, claims.policy.compiled))


def guard(runtime: Runtime, decided: Decided) -> Decided:
    """Freeze channels of which too much would drop to zero, and decide again under their freeze."""
    policy = decided.claims.policy
    limits = zero_guards(policy)
    if not limits:
        return decided
    moves = Moves(limits)
    for _, decision in decided.decisions:
        if decision.levels_text != decision.due.levels:
            moves.note(orjson.loads(decision.due.levels or "{}"), decision.levels)
    if not judge(runtime, policy, moves):
        return decided
    held = compiled(apply_overlay(policy.of_file, runtime.policy.overlay))
    return Decided(decided.claims, _decisions(runtime, decided.claims, held))


def _decisions(runtime: Runtime, claims: Claims, rules: Compiled) -> Decisions:
    policy = claims.policy
    gates = tuple(channel for channel, _ in policy.gates)
    decide_one = Moment(rules, claims.business_ms, policy.locate, gates, runtime.push_lags).decide
    return [
        (shard, decide_one(due, recovered=claimed.recovered))
        for shard, claimed in claims.by_shard.items()
        for due in claimed.due
    ]


def emit(runtime: Runtime, decided: Decided) -> Emitted:
    """Append the messages and wait for the log's answer; a SKU with a failed message is left to its lease."""
    rendered = render(runtime, decided)
    messages = [message for each in rendered for _, message in each.messages]
    results = runtime.log.append(messages) if messages else []
    failed = sum(isinstance(result, AppendFailed) for result in results)
    confirmed = list(_confirmed(rendered, results)) if failed else rendered
    metrics.EMITTED_FAILED.inc(failed)
    _count(Counter(kind for each in confirmed for kind, _ in each.messages))
    metrics.LOG_TO_EMITTED.observe_ages(
        runtime.clock.now_ms(), [each.cause_ms for each in confirmed if each.cause_ms]
    )
    return Emitted(decided.claims, [(each.shard, each.decision) for each in confirmed])


def render(runtime: Runtime, decided: Decided) -> Sequence[Rendered]:
    """Write the messages of each decision."""
    claims = decided.claims
    resynced = [
        (channel, steered.resynced_ms)
        for channel, steered in claims.policy.overlay.channels.items()
        if steered.resynced_ms
    ]
    generations = {shard: claimed.generation for shard, claimed in claims.by_shard.items()}
    write = Writer(runtime.clock.now_ms(), resynced, generations).render
    return [write(shard, decision) for shard, decision in decided.decisions]


def _confirmed(
    rendered: Sequence[Rendered], results: Sequence[Appended | AppendFailed]
) -> Iterator[Rendered]:
    """Yield those with no failed message."""
    at = 0
    for each in rendered:
        own = results[at : at + len(each.messages)]
        at += len(each.messages)
        if not any(isinstance(result, AppendFailed) for result in own):
            yield each


def _count(kinds: Counter[str]) -> None:
    """Add confirmed messages to the metrics, given how many there are of each type."""
    for kind, messages in kinds.items():
        if kind == "stock.updated":
            metrics.UPDATES.inc(messages)
        elif kind.startswith("ad."):
            metrics.SIGNALS.labels(kind.removeprefix("ad.")).inc(messages)
        else:
            metrics.ALERTS.labels(kind.removeprefix("stock.")).inc(messages)


def settle(runtime: Runtime, emitted: Emitted) -> Any:
    """Close the claims that were emitted. Return how many were still the latest of their SKU."""
    begin_settle(runtime, emitted)
    return emitted.claims.owner.loop.wait_in_flight()


def begin_settle(runtime: Runtime, emitted: Emitted) -> None:
    """Close the claims as `settle` does, but wait only for those of the round before.

    There is never more than one round in flight: the claim loop waits for the last, when nothing more is due.
    """
    emitted.claims.owner.loop.settle(partial(_settling, runtime, emitted))


def _settling(runtime: Runtime, emitted: Emitted) -> Callable[[], int]:
    """Send the settlement; what is returned waits for the answer."""
    owner, claims = emitted.claims.owner, emitted.claims
    items = _settlements(runtime, emitted)
    now_us, revision = runtime.clock.now_us(), claims.policy.revision
    begin = partial(runtime.store.begin_settle, now_us, revision, items)
    answer = pipelined_retry(begin) if items else int

    def settled() -> int:
        latest = answer()
        metrics.REFUSED_SETTLES.inc(len(emitted.decisions) - latest)
        owner.done(claims, {decision.due.sku for _, decision in emitted.decisions})
        return latest

    return settled


def _settlements(runtime: Runtime, emitted: Emitted) -> dict[int, list[Settle]]:
    """Return what closes each claim, by shard.

    The next checks are spread over the last quarter of the refresh time, or they would all come at once.
    """
    by_shard = emitted.claims.by_shard
    refresh_ms = runtime.settings.refresh_s * 1000
    spread_ms = max(1, refresh_ms // 4)
    refreshed_ms = runtime.clock.now_ms() + refresh_ms
    items: dict[int, list[Settle]] = defaultdict(list)
    for shard, decision in emitted.decisions:
        due = decision.due
        items[shard].append(
            Settle(
                due.sku, due.token, by_shard[shard].generation, decision.available,
                decision.levels_text, decision.ads, refreshed_ms - due.token % spread_ms,
                decision.next_check_ms or 0, due.alerts,
            )
        )  # fmt: skip
    return items
