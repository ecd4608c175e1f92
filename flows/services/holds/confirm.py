"""Confirming: a hold becomes an order, by an event in the log.

    pin on every shard -> (wait for the copy) -> append order.placed -> answer

A pin names the order: then no other caller can confirm, release or outlive the hold, so that the units are there
when ingest applies the order and uses the hold up. The event's id follows from channel, order and hold: repeated,
it counts once.
"""

from collections.abc import Collection, Mapping
from typing import Any

from connectors.log.base import AppendFailed, Outgoing
from connectors.messages.cloudevents import STRUCTURED, structured
from flows.runtime.context import Runtime
from flows.runtime.retry import UNANSWERED
from flows.services.holds.locate import HoldLocator, Where
from flows.services.holds.values import Confirmed, HoldRejected, gone
from state.events.messages import MARKETPLACE_ORDERS
from state.events.order_key import order_key, ordered_by, parts
from state.protocol.holds import Ended, HeldLine, Keep, KeepAnswer, Kept, Pinned, Placed, Release
from state.store.holds import HoldStore

SOURCE = "/penstock/holds"
PIN_MS = 3_600_000
"""A pinned hold lives so long: more than the log takes to answer, and ingest to catch up after an outage."""
COPIED_WITHIN_MS = 1_500


class HoldConfirmation:
    """Confirms holds for one process."""

    def __init__(
        self, runtime: Runtime, holds: HoldStore, where: HoldLocator, pin_ms: int | None = None
    ) -> None:
        self._runtime = runtime
        self._holds = holds
        self._where = where
        self._pin_ms = PIN_MS if pin_ms is None else pin_ms

    def confirm(self, hold: str, order: str, channel: str, region: str) -> Confirmed | HoldRejected:
        """Confirm a hold whose names are in order."""

        def confirmed(where: Where) -> Confirmed | HoldRejected | None:
            return self._confirm_at(where, hold, order, channel, region)

        found: Confirmed | HoldRejected | None = self._where.at(hold, confirmed)
        if found is not None:
            return found
        endings = self._holds.endings(hold).values()
        if any(parts(how)[1:] == (order,) for how in endings):
            return Confirmed(hold, order, before=True)
        return gone(hold, list(endings))

    def _confirm_at(
        self, where: Where, hold: str, order: str, channel: str, region: str
    ) -> Confirmed | HoldRejected | None:
        """Confirm a hold on its shards, None when it is not there, or not whole."""
        channel = channel or ("" if where.at_location else where.by)
        if not channel or not self._runtime.policy.compiled.knows_channel(channel):
            text = f"channel: expected one of the policy, got {channel!r}"
            return HoldRejected(hold, "usage", text)
        key = order_key(channel, order)
        answers = self._pin(where.shards, hold, key)
        if set(map(type, answers.values())) == {Kept}:
            # A log on the same server rolls back together with the pin: what it holds, the pin precedes.
            if self._runtime.settings.kafka and not self._holds.copied(COPIED_WITHIN_MS):
                text = "order: the store did not confirm in time; confirm again with the same order"
                return HoldRejected(hold, "busy", text)
            lines = tuple(sorted(line for each in answers.values() for line in _lines(each)))
            pickup = where.by if where.at_location else ""
            found = self._append(Confirmed(hold, order, lines), channel, region, pickup)
            # Parts of a partial hold that got nothing: the order has no lines there to use them up.
            empty = [shard for shard, each in answers.items() if not _lines(each)]
            if empty and isinstance(found, Confirmed):
                items = {shard: [Release(hold, key, ordered_by(key))] for shard in empty}
                self._holds.release(self._runtime.clock.now_us(), items)
            return found
        return self._unpinned(where, hold, order, key, answers)

    def _pin(self, shards: Collection[int], hold: str, key: str) -> dict[int, KeepAnswer]:
        """Pin on the first shard, then on all others: of two confirmations only one gets past the first."""
        now_us = self._runtime.clock.now_us()
        call = Keep(now_us, hold, key, now_us // 1000 + self._pin_ms)
        first, *others = sorted(shards)
        answers = self._holds.keep({first: call})
        if others and isinstance(answers[first], Kept):
            answers |= self._holds.keep(dict.fromkeys(others, call))
        return answers

    def _unpinned(
        self, where: Where, hold: str, order: str, key: str, answers: Mapping[int, KeepAnswer]
    ) -> Confirmed | HoldRejected | None:
        """Say what it means that the hold could not be pinned everywhere."""
        endings = [each.how for each in answers.values() if isinstance(each, Ended)]
        if ordered_by(key) in endings:
            return Confirmed(hold, order, before=True)
        if any(isinstance(each, Pinned) for each in answers.values()):
            text = "hold: another order is being placed out of it; make a hold for this one"
            return HoldRejected(hold, "pinned", text)
        items = {shard: [Release(hold, key)] for shard in where.shards}
        self._holds.release(self._runtime.clock.now_us(), items)
        if any(isinstance(each, Placed) for each in answers.values()):
            return Confirmed(hold, order, before=True)
        return None

    def _append(
        self, confirmed: Confirmed, channel: str, region: str, pickup: str
    ) -> Confirmed | HoldRejected:
        hold, order = confirmed.hold, confirmed.order
        units: dict[str, int] = {}
        for line in confirmed.lines:
            units[line.sku] = units.get(line.sku, 0) + line.units
        data: dict[str, Any] = {
            "order": order,
            "channel": channel,
            "hold": hold,
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()],
        }
        if region:
            data["ship_to"] = {"region": region}
        if pickup:
            data["pickup"] = pickup
        event_id = f"{channel}/{order}/{hold}"
        value = structured(event_id, SOURCE, "order.placed", self._runtime.business_now_ms(), data)
        message = Outgoing(MARKETPLACE_ORDERS, order.encode(), value, STRUCTURED)
        try:
            (result,) = self._runtime.log.append([message])
        except UNANSWERED as error:
            return _unknown(hold, error)
        if isinstance(result, AppendFailed):
            return _unknown(hold, result.error)
        return confirmed


def _lines(answer: KeepAnswer) -> tuple[HeldLine, ...]:
    return answer.lines if isinstance(answer, Kept) else ()


def _unknown(hold: str, error: Exception) -> HoldRejected:
    text = (
        f"order: not known whether it was placed ({type(error).__name__}); the units stay held for it: "
        "confirm again with the same order"
    )
    return HoldRejected(hold, "unknown", text)
