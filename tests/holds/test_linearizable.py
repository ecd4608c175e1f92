"""Recorded histories of holds are linearizable, and the checker finds those that are not."""

import time
from collections import defaultdict
from contextlib import ExitStack
from random import Random
from threading import Barrier, Thread

import pytest
import redis

from connectors.redis.embedded import Embedded
from state.events.ops import MOVE
from state.protocol.apply import Apply, Part, ShardEvent
from state.protocol.holds import Held, Hold, HoldRequest, PoolLine, PoolRule, Release, Short
from state.protocol.keys import Keys
from state.store.holds import HoldStore
from state.store.shards import Store
from tests.holds.linearizable import NEVER, Call, Sku
from tests.state.pools import GUARD_MS, PLACES

RULE = PoolRule(0, 10_000, 0, 0, (0, 1))
NS = 1_000_000


def held(hold: str, begin: int, end: int, units: int = 1) -> Call:
    return Call("held", hold, begin, end, units)


def short(hold: str, begin: int, end: int, units: int, left: int) -> Call:
    return Call("short", hold, begin, end, units, left)


GOOD = {
    "one after the other": (
        2, [held("a", 0, 1), held("b", 2, 3), short("c", 4, 5, 1, 0)],
    ),
    "of two at once either may be first": (
        1, [short("a", 0, 9, 1, 0), held("b", 1, 8)],
    ),
    "a release under way lets another in": (
        1, [held("a", 0, 1), Call("released", "a", 2, 9), held("b", 3, 4)],
    ),
    "the same request comes again": (1, [held("a", 0, 1), held("a", 2, 3)]),
    "a lapse lets another in": (
        1, [held("a", 0, 1), Call("lapsed", "a", 5), held("b", 6, 7), Call("absent", "a", 8, 9)],
    ),
    "a lapse need not have happened": (
        1, [held("a", 0, 1), Call("lapsed", "a", 5), short("b", 6, 7, 1, 0)],
    ),
    "a call without an answer may have worked": (
        1, [held("a", 0, NEVER), short("b", 6, 7, 1, 0)],
    ),
}  # fmt: skip
BAD = {
    "the last unit went twice": (1, [held("a", 0, 9), held("b", 1, 8)]),
    "refused though there was enough all the time": (
        2, [held("a", 0, 1), short("b", 2, 3, 1, 0)],
    ),
    "refused with a number that never was": (5, [held("a", 0, 1), short("b", 2, 3, 5, 3)]),
    "a release that was answered is not seen": (
        1, [held("a", 0, 1), Call("released", "a", 2, 3), short("b", 4, 5, 1, 0)],
    ),
    "released twice": (
        1, [held("a", 0, 1), Call("released", "a", 2, 3), Call("released", "a", 4, 5)],
    ),
    "lapsed before its time": (1, [held("a", 0, 1), Call("lapsed", "a", 9), held("b", 2, 3)]),
    "gone though nobody ended it": (1, [held("a", 0, 1), Call("absent", "a", 2, 3)]),
    "held before it was asked for": (
        1, [short("a", 0, 1, 1, 0), held("b", 2, 3)],
    ),
    "a unit came from nowhere": (
        3, [held("a", 0, 1, 2), held("b", 2, 9, 1), held("c", 3, 8, 1), Call("released", "b", 10, 11)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stock", "calls"), GOOD.values(), ids=GOOD)
def test_a_history_that_could_have_been_is_found_to_be_one(stock: int, calls: list[Call]) -> None:
    found = Sku(stock, calls).order()
    assert found is not None
    assert {call for call in calls if call.end < NEVER} <= set(found)


@pytest.mark.parametrize(("stock", "calls"), BAD.values(), ids=BAD)
def test_a_history_that_cannot_have_been_is_found_out(stock: int, calls: list[Call]) -> None:
    assert Sku(stock, calls).order() is None


class Customer:
    """Claims of one shard, and what was answered when, by SKU."""

    def __init__(self, client: redis.Redis, number: int, skus: list[str]) -> None:
        self._holds = HoldStore(Store(client, Keys("t"), 1))
        self._chance = Random(number)
        self._name = f"c{number}"
        self._skus = skus
        self._mine: list[HoldRequest] = []
        self.calls: dict[str, list[Call]] = defaultdict(list)

    def work(self, rounds: int) -> None:
        for number in range(rounds):
            if self._mine and self._chance.random() < 0.45:
                self._release(self._mine.pop(self._chance.randrange(len(self._mine))))
            else:
                self._hold(f"{self._name}-{number}")

    def _hold(self, name: str) -> None:
        many = self._chance.sample(self._skus, self._chance.choice((1, 1, 2)))
        lines = tuple(PoolLine(sku, self._chance.randint(1, 3), RULE) for sku in many)
        ttl_ms = self._chance.choice((3, 10, 10_000, 10_000))
        begin = time.time_ns()
        request = HoldRequest(
            hold=name, fingerprint=name, expiry_ms=begin // NS + ttl_ms, partial=False, by="shop",
            location="", shards=(0,), lines=lines,
        )  # fmt: skip
        for _ in range(self._chance.choice((1, 1, 1, 2)) if ttl_ms > 10 else 1):
            begin = time.time_ns()
            reply = self._holds.hold({0: Hold(begin // 1000, 1, 1, (request,))})[0]
            end = time.time_ns()
            assert isinstance(reply, tuple)
            (answer,) = reply
            if isinstance(answer, Short):
                for line, left in zip(lines, answer.units, strict=True):
                    if left < line.quantity:
                        self._note(Call("short", name, begin, end, line.quantity, left), line.sku)
                return
            assert isinstance(answer, Held)
            for line in lines:
                self._note(Call("held", name, begin, end, line.quantity), line.sku)
        for line in lines:
            self._note(Call("lapsed", name, request.expiry_ms * NS), line.sku)
        self._mine.append(request)

    def _release(self, request: HoldRequest) -> None:
        begin = time.time_ns()
        ((was_there,),) = self._holds.release(begin // 1000, {0: [Release(request.hold)]}).values()
        end = time.time_ns()
        for line in request.lines:
            if was_there:
                self._note(Call("released", request.hold, begin, end), line.sku)
            else:
                self._note(Call("absent", request.hold, begin, end), line.sku)

    def _note(self, call: Call, sku: str) -> None:
        self.calls[sku].append(call)


STOCK = {"A": 4, "B": 7, "C": 10}


def recorded(valkey: Embedded, customers: int, rounds: int) -> dict[str, list[Call]]:
    """Let customers fight over some SKUs of one shard, all at once. Return what each saw, by SKU."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(redis.Redis(unix_socket_path=valkey.socket))
            for _ in range(customers)
        ]
        store = Store(clients[0], Keys("t"), 1)
        store.load_functions()
        moves = tuple((MOVE, sku, 0, units, 0, 0) for sku, units in STOCK.items())
        event = ShardEvent(0, "1", 1, 1, 1, 1, "", moves)  # type: ignore[arg-type]
        part = Part("log/0", -1, 0, (event,))
        store.apply({0: Apply(time.time_ns() // 1000, 1, GUARD_MS, PLACES, (part,))})
        all_there = Barrier(customers)
        found = [Customer(client, n, list(STOCK)) for n, client in enumerate(clients)]

        def work(customer: Customer) -> None:
            all_there.wait()
            customer.work(rounds)

        threads = [Thread(target=work, args=(each,)) for each in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {sku: [call for each in found for call in each.calls[sku]] for sku in STOCK}


def test_what_customers_saw_of_a_real_store_is_linearizable(
    valkey: Embedded, redis_client: redis.Redis
) -> None:
    assert redis_client.dbsize() == 0
    histories = recorded(valkey, customers=5, rounds=120)
    for sku, calls in histories.items():
        assert {"held", "short", "released"} <= {call.kind for call in calls}
        assert Sku(STOCK[sku], calls).order() is not None, (
            sku,
            sorted(calls, key=lambda c: c.begin),
        )
        # With one unit less the same answers would have been wrong.
        assert Sku(STOCK[sku] - 1, calls).order() is None
