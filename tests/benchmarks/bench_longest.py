"""How long the longest call of each kind holds Redis, for batches as unkind as the settings allow.

    python -m tests.benchmarks.bench_longest [--program redis-server] [--ops-max 1000000]

Nothing else is answered while a function runs. Each case is a batch as ingest may make it, most of it on one SKU
or in one shard, applied several times over to a server of its own. The time of a call is what the server's SLOWLOG
says of it, which is that of a clock: where it is allowed, the server runs before all others of the machine. `longest`
is the worst of all rounds, `typical` the median of the worst of each round. Times in milliseconds.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from connectors.log.base import Outgoing
from connectors.log.redis.log import RedisLog
from flows.publish.claimer import CLAIM_MAX
from flows.runtime.context import RECOVER_CHUNK
from state.events.ops import COUNT, INCOMING, MOVE, ORDER, SHIP, VOID, Op
from state.protocol.claim import Claim, Claimed, Settle
from state.protocol.common import LocationTerms
from state.protocol.control import Recover, Tick, Ticked
from state.protocol.keys import GUARD_ALLOWANCE_MS, Keys
from state.protocol.pack import CALL_OPS_MAX, Chain, NormalEvent, Packer, rounds
from state.protocol.sharding import shard_of
from state.store.shards import Store
from tests.servers.redis_servers import RedisServer
from tests.servers.slowlog import SETTINGS, longest_ms, put_first

SHARDS = 16
ROUNDS = 7
START_MS = 1_700_000_000_000
EVENTS = 1_000
"""The default of PENSTOCK_BATCH_EVENTS."""
LINES_MAX = 1_000
"""Of one event."""
BYTES = 262_144
"""The default of PENSTOCK_BATCH_BYTES."""
BIG_BYTES = 4_096
LINE_BYTES, EVENT_BYTES = 26, 200
"""The least that a line, and an event around its lines, take."""

HOT = "hot"
SAME = [sku for sku in (f"{n:06d}" for n in range(80_000)) if shard_of(sku, SHARDS) == 0]
"""SKUs of one shard."""
SHOPS = [f"s{n:03d}" for n in range(20)]

LEVELS = (
    '{"shop":{"quantity":120},"shopee":{"quantity":119},"momo":{"quantity":118},'
    '"pchome":{"quantity":117},"stores":{"quantity":116,"packs":4}}'
)
ADS = '{"google-shop":["on",1700000000000]}'

Batch = list[tuple[Op, ...]]
Make = Callable[[random.Random, int], Batch]


def hot(op: Callable[[random.Random, int, str], tuple[Op, ...]]) -> Make:
    """Return a maker of events of one line, four fifths of them on one SKU."""

    def make(chance: random.Random, turn: int) -> Batch:
        first = turn * EVENTS
        return [
            op(chance, first + n, HOT if chance.random() < 0.8 else chance.choice(SAME))
            for n in range(EVENTS)
        ]

    return make


def sale(chance: random.Random, _n: int, sku: str) -> tuple[Op, ...]:
    return ((MOVE, sku, SHOPS[0], -1, 0, 1),)


def sale_anywhere(chance: random.Random, _n: int, sku: str) -> tuple[Op, ...]:
    return ((MOVE, sku, chance.choice(SHOPS), -1, 0, 1),)


def order(chance: random.Random, n: int, sku: str) -> tuple[Op, ...]:
    return ((ORDER, sku, f"o{n}", "shop", 1),)


def shipment(chance: random.Random, n: int, sku: str) -> tuple[Op, ...]:
    return ((MOVE, sku, SHOPS[0], -1, 0, 0), (SHIP, sku, f"p{n}", "shop", 1, SHOPS[0]))


def shipment_of_one_order(chance: random.Random, n: int, sku: str) -> tuple[Op, ...]:
    return ((MOVE, sku, SHOPS[0], -1, 0, 0), (SHIP, sku, "one", "shop", 1, SHOPS[0]))


def receipt(chance: random.Random, n: int, sku: str) -> tuple[Op, ...]:
    return ((MOVE, sku, SHOPS[0], 1, 0, 0), (INCOMING, sku, SHOPS[0], f"r{n}", -1))


def count(chance: random.Random, n: int, sku: str) -> tuple[Op, ...]:
    return ((COUNT, sku, SHOPS[0], START_MS + chance.randrange(10_000), 5),)


def void(chance: random.Random, n: int, sku: str) -> tuple[Op, ...]:
    return ((VOID, "", f"o{n}", ""),)


def long_events(op: Callable[[str, int], tuple[Op, ...]]) -> Make:
    """Return a maker of events of as many lines as there may be, all in one shard."""

    def make(chance: random.Random, turn: int) -> Batch:
        batch: Batch = []
        size = 0
        while size < BYTES:
            skus = chance.sample(SAME, LINES_MAX)
            batch.append(tuple(one for sku in skus for one in op(sku, turn * EVENTS + len(batch))))
            size += EVENT_BYTES + LINE_BYTES * LINES_MAX
        return batch

    return make


CASES: dict[str, Make] = {
    "sales, 80 % of one SKU": hot(sale),
    "sales, 80 % of one SKU, 20 shops": hot(sale_anywhere),
    "orders, 80 % of one SKU": hot(order),
    "orders voided": hot(void),
    "shipments, 80 % of one SKU": hot(shipment),
    "shipments of one order": hot(shipment_of_one_order),
    "receipts, 80 % of one SKU": hot(receipt),
    "counts, 80 % of one SKU": hot(count),
    "sales of 1000 lines, one shard": long_events(lambda sku, _n: ((MOVE, sku, SHOPS[0], -1, 0, 1),)),
    "orders of 1000 lines, one shard": long_events(lambda sku, n: ((ORDER, sku, f"l{n}", "shop", 1),)),
    "receipts of 1000 lines, one shard": long_events(
        lambda sku, n: ((MOVE, sku, SHOPS[0], 1, 0, 0), (INCOMING, sku, SHOPS[0], f"l{n}", -1))
    ),
    "shipments of 1000 lines, one shard": long_events(
        lambda sku, n: ((MOVE, sku, SHOPS[0], 1, 0, 0), (SHIP, sku, f"l{n}", "shop", 1, SHOPS[0]))
    ),
}  # fmt: skip


def measured(server: RedisServer, call: Callable[[int], None], name: str) -> str:
    """Call so many rounds; return what the table says of a function."""
    server.do("SLOWLOG", "RESET")
    worst = []
    for turn in range(ROUNDS):
        call(turn)
        worst.append(longest_ms(server).get(name, 0.0))
    return f"{max(worst):10.2f}{statistics.median(worst):10.2f}"


class Applying:
    """Applies batches of one case, as ingest would."""

    def __init__(self, store: Store, name: str, ops_max: int) -> None:
        self._store = store
        self._ops_max = ops_max
        self._make = CASES[name]
        self._chance = random.Random(name)
        self._packer = Packer(SHARDS, 24 * 3_600_000 + GUARD_ALLOWANCE_MS)
        self._chain = Chain.starting(name, -1, SHARDS)

    def __call__(self, turn: int) -> None:
        first = self._chain.position + 1
        events = [
            NormalEvent(first + n, str(self._chance.getrandbits(63)), 19675, self._time(), START_MS, ops)
            for n, ops in enumerate(self._make(self._chance, turn))
        ]  # fmt: skip
        batch = [(self._chain, first + len(events) - 1, events)]
        for calls in rounds(self._packer.pack(batch, place_of, START_MS * 1000, 1), self._ops_max):
            self._store.apply(calls)

    def _time(self) -> int:
        # Tills are not in step: a movement seldom is the newest.
        return START_MS + self._chance.randrange(60_000)


def place_of(_sku: str, location: str) -> LocationTerms:
    """Return the place of a shop: all of one class."""
    return LocationTerms(location, 0, 0, 1)


def bench(server: RedisServer, ops_max: int) -> None:
    """Run all cases and print the table."""
    store = Store(server.client, Keys(), SHARDS)
    for name in CASES:
        server.do("FLUSHALL")
        store.load_functions()
        row = measured(server, Applying(store, name, ops_max), "penstock_apply")
        print(f"{'apply: ' + name:48s}{row}", flush=True)  # noqa: T201 - a program
    server.do("FLUSHALL")
    filling = Applying(store, "sales of 1000 lines, one shard", ops_max)
    for turn in range(2):
        filling(turn)
    publish(store, server)
    log(server)


def publish(store: Store, server: RedisServer) -> None:
    """Measure the calls that publish and recover, on a shard of some thousand SKUs."""
    claimed: list[Claimed] = []
    now_ms = START_MS + 1_000

    def claim(_turn: int) -> None:
        for reply in store.claim(
            {0: Claim(now_ms * 1000, 60_000, 1, 1, now_ms, CLAIM_MAX)}
        ).values():
            assert isinstance(reply, Claimed)
            assert len(reply.due) == CLAIM_MAX
            claimed.append(reply)

    def settle(turn: int) -> None:
        reply = claimed[turn]
        items = [
            Settle(due.sku, due.token, reply.generation, 1, LEVELS, ADS, now_ms, 0)
            for due in reply.due
        ]
        assert store.settle(now_ms * 1000, 1, {0: items}) == len(items)

    def recover(_turn: int) -> None:
        store.recover(0, Recover(now_ms * 1000, "x", 1, 1_000, RECOVER_CHUNK))

    def touch(turn: int) -> None:
        # A newer policy: its SKUs are made due, a chunk a call.
        call = Tick(now_ms * 1000, "x", 2 + turn, 0, pace_us=1_000)
        while isinstance(reply := store.tick({0: call})[0], Ticked) and reply.touching:
            continue

    for verb, call in (("claim", claim), ("settle", settle), ("recover", recover), ("tick", touch)):
        print(f"{verb:48s}{measured(server, call, f'penstock_{verb}')}", flush=True)  # noqa: T201 - a program


def log(server: RedisServer) -> None:
    """Measure an append to one partition of a log on Redis."""
    server.do("FLUSHALL")
    kept = RedisLog(server.client)
    kept.create("pos.sales", 1)
    for size in (EVENT_BYTES, BIG_BYTES):
        messages = [Outgoing("pos.sales", None, bytes(size))] * EVENTS

        def append(_turn: int, sent: list[Outgoing] = messages) -> None:
            kept.append(sent)

        name = f"log: append, {EVENTS} messages of {size} bytes"
        print(f"{name:48s}{measured(server, append, 'log_append')}", flush=True)  # noqa: T201 - a program


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure how long single calls hold Redis.")
    parser.add_argument("--program", default="", help="the server to run")
    parser.add_argument("--ops-max", type=int, default=CALL_OPS_MAX, help="ops in one call")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), SETTINGS, arguments.program)
        server.start()
        try:
            put_first(server)
            print(f"{'ms, of one call':48s}{'longest':>10s}{'typical':>10s}")  # noqa: T201 - a program
            bench(server, arguments.ops_max)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
