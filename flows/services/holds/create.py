"""Making holds: checked and taken in one call to each shard, all or nothing over all of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter

from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.runtime.rebuild_sums import rebuild
from flows.services.holds.locate import HoldLocator
from flows.services.holds.values import HoldCreated, HoldRejected, Wanted, fault_of, gone
from monitoring import metrics
from state.protocol.common import StalePolicy
from state.protocol.holds import (
    EXPIRED,
    RELEASED,
    Conflict,
    Ended,
    Held,
    HeldLine,
    Hold,
    HoldAnswer,
    HoldRequest,
    LocationLine,
    PoolLine,
    Release,
    Short,
    StaleSums,
)
from state.protocol.sharding import shard_of
from state.rules.hold_rule import pool_rule
from state.store.holds import HoldStore

TURNS_MAX = 5
"""So often a hold is tried when the policy, or the sums of its SKUs, turn out to be of another revision."""

Answers = dict[int, HoldAnswer]
"""By shard."""


class HoldCreation:
    """Makes holds for one process."""

    def __init__(self, runtime: Runtime, holds: HoldStore, where: HoldLocator) -> None:
        self.runtime = runtime
        self.holds = holds
        self._where = where

    def create_all(self, wanted: Sequence[Wanted]) -> list[HoldCreated | HoldRejected]:
        """Make holds, each for itself, a round trip for all."""
        began_s = perf_counter()
        done: dict[int, HoldCreated | HoldRejected] = {}
        pending: list[int] = []
        requests: dict[int, dict[int, HoldRequest]] = {}
        for at, each in enumerate(wanted):
            fault = fault_of(each) or self._unheld(each)
            if fault:
                done[at] = fault
            else:
                pending.append(at)
        for _ in range(TURNS_MAX):
            if not pending:
                break
            for at in pending:
                found = self._requests(wanted[at])
                if isinstance(found, HoldRejected):
                    done[at] = found
                else:
                    requests[at] = found
            pending = [at for at in pending if at not in done]
            answers = self._ask({at: requests[at] for at in pending})
            for at, mine in answers.items():
                done[at] = self._outcome(wanted[at], requests[at], mine)
            pending = [at for at in pending if at not in answers]
        for at in pending:
            text = "the policy is changing; ask again"
            done[at] = HoldRejected(wanted[at].hold, "busy", text)
        metrics.HOLD_TIME.labels("create").observe(perf_counter() - began_s)
        outcomes = [done[at] for at in range(len(wanted))]
        metrics.count_holds(
            "created" if isinstance(one, HoldCreated) else one.reason for one in outcomes
        )
        return outcomes

    def _unheld(self, wanted: Wanted) -> HoldRejected | None:
        """Return why no caller can hold for that channel or location, None when one can."""
        compiled = self.runtime.policy.compiled
        if wanted.channel:
            if wanted.channel in compiled.channels:
                return None
            text = f"channel: expected one of the policy, got {wanted.channel!r}"
        else:
            where = compiled.locations.get(wanted.location)
            if where is not None and where.kind != "platform":
                return None
            text = f"location: expected one of the policy's own, got {wanted.location!r}"
        return HoldRejected(wanted.hold, "usage", text)

    def _requests(self, wanted: Wanted) -> dict[int, HoldRequest] | HoldRejected:
        """Return the part of each shard, under the policy that is known now."""
        runtime, policy = self.runtime, self.runtime.policy
        business_ms = runtime.business_now_ms()
        fingerprint = wanted.fingerprint()
        lines: dict[int, list[PoolLine | LocationLine]] = defaultdict(list)
        for sku, quantity in wanted.units().items():
            shard = shard_of(sku, runtime.store.shards)
            if wanted.location:
                _, klass, floor, base = policy.locate(sku, wanted.location)
                lines[shard].append(LocationLine(sku, quantity, klass, floor, base))
                continue
            rule = pool_rule(policy.compiled, sku, wanted.channel, business_ms)
            if rule is None:
                text = f"channel: {wanted.channel} sells nothing now, its mode is zero"
                return HoldRejected(wanted.hold, "unavailable", text)
            if policy.silent:
                rule = rule._replace(silent=tuple(policy.locate(sku, at) for at in policy.silent))
            lines[shard].append(PoolLine(sku, quantity, rule))
        expiry_ms = runtime.clock.now_ms() + 1000 * wanted.ttl_s
        shards = tuple(sorted(lines))
        by = wanted.channel or wanted.location
        return {
            shard: HoldRequest(
                wanted.hold, fingerprint, expiry_ms, wanted.partial, by, wanted.location,
                shards, tuple(mine),
            )
            for shard, mine in lines.items()
        }  # fmt: skip

    def _ask(self, requests: Mapping[int, Mapping[int, HoldRequest]]) -> dict[int, Answers]:
        """Ask for holds; leave out those that have to be asked for once more."""
        runtime = self.runtime
        by_shard: dict[int, list[tuple[int, HoldRequest]]] = defaultdict(list)
        for at, parts in requests.items():
            for shard, request in parts.items():
                by_shard[shard].append((at, request))
        revision, sums = runtime.policy.revision, runtime.policy.sums_revision
        now_us = runtime.clock.now_us()
        calls = {
            shard: Hold(now_us, revision, sums, tuple(request for _, request in mine))
            for shard, mine in by_shard.items()
        }
        answers: dict[int, Answers] = {at: {} for at in requests}
        again: set[int] = set()
        for shard, reply in self.holds.hold(calls).items():
            if isinstance(reply, StalePolicy):
                again.update(at for at, _ in by_shard[shard])
                follow_policy(runtime)
                continue
            stale = [sku for each in reply if isinstance(each, StaleSums) for sku in each.skus]
            if stale:
                rebuild(runtime, shard, sorted(set(stale)))
            for (at, _), answer in zip(by_shard[shard], reply, strict=True):
                answers[at][shard] = answer
                if isinstance(answer, StaleSums):
                    again.add(at)
        return {at: mine for at, mine in answers.items() if at not in again}

    def _outcome(
        self, wanted: Wanted, requests: Mapping[int, HoldRequest], answers: Answers
    ) -> HoldCreated | HoldRejected:
        held = {shard: each for shard, each in answers.items() if isinstance(each, Held)}
        if len(held) == len(answers):
            lines = tuple(sorted(_granted(wanted, requests, held)))
            if lines:
                self._where.note(next(iter(requests.values())))
                return HoldCreated(
                    wanted.hold, min(each.expiry_ms for each in held.values()), lines
                )
        if any(isinstance(each, Conflict) for each in answers.values()):
            self._undo(wanted.hold, held)
            text = (
                "hold: another request made one of this name; expected a new name for each request"
            )
            return HoldRejected(wanted.hold, "conflict", text)
        endings = [each.how for each in answers.values() if isinstance(each, Ended)]
        if endings:
            if set(endings) <= {EXPIRED, RELEASED}:
                self.end(wanted.hold, held)
            return gone(wanted.hold, endings)
        self._undo(wanted.hold, held)
        short = tuple(_short(requests, answers))
        said = ", ".join(f"{sku} has {units} of {asked}" for sku, asked, units in short[:5])
        return HoldRejected(wanted.hold, "short", f"lines: not enough: {said}", short)

    def _undo(self, hold: str, shards: Iterable[int]) -> None:
        """Give back what was held a moment ago; nothing is left of it."""
        self.end(hold, shards, "")

    def end(self, hold: str, shards: Iterable[int], how: str = RELEASED) -> list[int]:
        """End a hold on some shards. Return their answers, as `state.protocol.holds` defines them."""
        items = {shard: [Release(hold, how=how)] for shard in shards}
        if not items:
            return []
        replies = self.holds.release(self.runtime.clock.now_us(), items)
        return [answer for (answer,) in replies.values()]


def _granted(
    wanted: Wanted, requests: Mapping[int, HoldRequest], held: Mapping[int, Held]
) -> Iterable[HeldLine]:
    for shard, answer in held.items():
        for line, units in zip(requests[shard].lines, answer.units, strict=True):
            if units:
                yield HeldLine(line.sku, wanted.location, units)


def _short(requests: Mapping[int, HoldRequest], answers: Answers) -> Iterable[tuple[str, int, int]]:
    for shard, answer in answers.items():
        if isinstance(answer, Held | Short):
            for line, units in zip(requests[shard].lines, answer.units, strict=True):
                if units < line.quantity:
                    yield line.sku, line.quantity, units
