"""What the store costs: Redis CPU and client time per line applied, per SKU claimed and settled.

    python -m tests.benchmarks.bench_store [--lines 100000] [--socket PATH | --url URL]

Every SKU is stocked at every shop. Then sales of random SKUs at random shops, in batches of 500 lines, by
events of 1, 10 and 100 lines; orders of three lines, placed and shipped; and every SKU claimed and
settled, with levels of five channels.
Without `--socket` and `--url` a server of its own is started; with them, that server, or cluster, is EMPTIED.
`redis` and `system` are the CPU time of the servers, `python` that of this process, without making the events;
`pack` and `call` are its time on the clock.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from time import perf_counter, process_time

import redis

from connectors.redis.cluster import Client, ClusterClient, is_cluster
from connectors.redis.embedded import embedded
from connectors.redis.server import Server
from state.events.ops import MOVE, ORDER, SHIP, Op
from state.protocol.claim import Claim, Claimed, Settle
from state.protocol.common import LocationTerms
from state.protocol.keys import GUARD_ALLOWANCE_MS, Keys
from state.protocol.pack import Chain, NormalEvent, Packer
from state.store.shards import Store
from tests.scratch import scratch_folder

SHARDS = 16
SKUS = 5_000
STOCK = 1_000
SHOPS = 20
BATCH_LINES = 500
CLAIM_LIMIT = 200
START_MS = 1_700_000_000_000
LEVELS = (
    '{"shop":{"quantity":120},"shopee":{"quantity":119},"momo":{"quantity":118},'
    '"pchome":{"quantity":117},"stores":{"quantity":116,"packs":4}}'
)
ADS = '{"google-shop":["on",1700000000000]}'

_starts = count(0, 1_000_000)

MakeOps = Callable[[random.Random, int], tuple[Op, ...]]


@dataclass(slots=True)
class Cost:
    """Sums over the units measured."""

    units: int = 0
    python_s: float = 0.0
    pack_s: float = 0.0
    call_s: float = 0.0

    def line(self, name: str, user_s: float, system_s: float) -> str:
        """Return one row of the table, in microseconds a unit."""
        figures = (user_s, system_s, self.python_s, self.pack_s, self.call_s)
        return f"{name:28s}" + "".join(f"{1e6 * each / self.units:10.2f}" for each in figures)


def sales(lines: int) -> MakeOps:
    """Return a maker of sales of so many lines."""

    def make(chance: random.Random, _number: int) -> tuple[Op, ...]:
        shop = f"s{chance.randrange(SHOPS):03d}"
        return tuple((MOVE, f"{chance.randrange(SKUS):06d}", shop, -1, 0, 1) for _ in range(lines))

    return make


def stocking(_chance: random.Random, number: int) -> tuple[Op, ...]:
    """Stock one SKU at every shop."""
    return tuple((MOVE, f"{number:06d}", f"s{shop:03d}", STOCK, 0, 0) for shop in range(SHOPS))


def orders(chance: random.Random, number: int) -> tuple[Op, ...]:
    """Place an order of three lines, and ship it with the next event."""
    order, items = f"o{number // 2}", random.Random(number // 2)
    skus = [f"{items.randrange(SKUS):06d}" for _ in range(3)]
    if number % 2 == 0:
        return tuple((ORDER, sku, order, "shopee", 1) for sku in skus)
    shop = f"s{chance.randrange(SHOPS):03d}"
    return tuple(
        op
        for sku in skus
        for op in ((MOVE, sku, shop, -1, 0, 0), (SHIP, sku, order, "shopee", 1, shop))
    )


PLACES = {f"s{shop:03d}": LocationTerms(f"s{shop:03d}", 0, 0, 1) for shop in range(SHOPS)}


def place_of(_sku: str, location: str) -> LocationTerms:
    """Return the place of a shop: all of one class."""
    return PLACES[location]


@contextmanager
def printed(client: Client, name: str) -> Iterator[Cost]:
    """Print what the block gathered, with the CPU time of the servers meanwhile."""
    before, cost = cpu_s(client), Cost()
    yield cost
    user_s, system_s = (now - then for now, then in zip(cpu_s(client), before, strict=True))
    print(cost.line(name, user_s, system_s), flush=True)  # noqa: T201 - a program


def cpu_s(client: Client) -> tuple[float, float]:
    """Return the CPU time of all servers: user, system."""
    servers = Server("", client, None).ask("INFO", "cpu").values()
    user_s, system_s = (
        sum(info[f"used_cpu_{kind}"] for info in servers) for kind in ("user", "sys")
    )
    return user_s, system_s


@contextmanager
def calling(cost: Cost) -> Iterator[None]:
    """Take the time of the block as that of calls."""
    began, began_cpu = perf_counter(), process_time()
    yield
    cost.call_s += perf_counter() - began
    cost.python_s += process_time() - began_cpu


def bench_apply(store: Store, client: Client, name: str, lines: int, make: MakeOps) -> None:
    """Apply about `lines` lines, batch by batch, as a partition of that name."""
    chance = random.Random(name)
    packer = Packer(SHARDS, 24 * 3_600_000 + GUARD_ALLOWANCE_MS)
    chain = Chain.starting(name, -1, SHARDS)
    # Later than all that was applied before: sales are told in the order in which they happen.
    number = next(_starts)
    with printed(client, name) as cost:
        while cost.units < lines:
            events: list[NormalEvent] = []
            full = cost.units + BATCH_LINES
            while cost.units < full:
                at_ms, ops = START_MS + number, make(chance, number)
                digest = str(chance.getrandbits(63))
                events.append(NormalEvent(number, digest, 19675, at_ms, at_ms, ops))
                cost.units += len(ops)
                number += 1
            began, began_cpu = perf_counter(), process_time()
            calls = packer.pack([(chain, number - 1, events)], place_of, START_MS * 1000, 1)
            cost.pack_s += perf_counter() - began
            cost.python_s += process_time() - began_cpu
            with calling(cost):
                store.apply(calls)


def claim_all(store: Store, cost: Cost, now_ms: int) -> list[dict[int, Claimed]]:
    """Claim everything that is due."""
    call = Claim(now_ms * 1000, 60_000, 1, 1, now_ms, CLAIM_LIMIT)
    rounds: list[dict[int, Claimed]] = []
    while True:
        with calling(cost):
            answers = store.claim(dict.fromkeys(range(SHARDS), call))
        claimed = {shard: got for shard, got in answers.items() if isinstance(got, Claimed)}
        found = sum(len(got.due) for got in claimed.values())
        if not found:
            return rounds
        cost.units += found
        rounds.append(claimed)


def settle_all(store: Store, cost: Cost, rounds: Sequence[dict[int, Claimed]], now_ms: int) -> None:
    """Settle all claims; they are due again at once."""
    for claimed in rounds:
        items = {
            shard: [
                Settle(due.sku, due.token, got.generation, due.base, LEVELS, ADS, now_ms, 0)
                for due in got.due
            ]
            for shard, got in claimed.items()
        }
        with calling(cost):
            cost.units += store.settle(now_ms * 1000, 1, items)


def bench(client: Client, lines: int) -> None:
    """Run all benchmarks on an emptied server and print the table."""
    store = Store(client, Keys(), SHARDS)
    store.load_functions()
    heading = "".join(f"{each:>10s}" for each in HEADINGS)
    print(f"{'us per line or SKU':28s}{heading}")  # noqa: T201 - a program
    client.flushall()
    bench_apply(store, client, "apply, stocking by 20 lines", SKUS * SHOPS, stocking)
    for name, make in (
        ("apply, sales of 1 line", sales(1)),
        ("apply, sales of 10 lines", sales(10)),
        ("apply, sales of 100 lines", sales(100)),
        ("apply, orders of 3 lines", orders),
    ):
        bench_apply(store, client, name, lines, make)
    for turn in ("first", "again"):
        now_ms = START_MS + (1_000_000 if turn == "first" else 2_000_000)
        with printed(client, f"claim, {turn}") as cost:
            rounds = claim_all(store, cost, now_ms)
        with printed(client, f"settle, {turn}") as cost:
            settle_all(store, cost, rounds, now_ms)


HEADINGS = ("redis", "system", "python", "pack", "call")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure what the store costs.")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of each workload")
    parser.add_argument("--socket", help="of a running server, which is EMPTIED")
    parser.add_argument("--url", help="of a running server or cluster, which is EMPTIED")
    arguments = parser.parse_args()
    if is_cluster(arguments.url):
        bench(ClusterClient(arguments.url, timeout_s=15, connect_timeout_s=5), arguments.lines)
        return
    if arguments.url:
        bench(redis.Redis.from_url(arguments.url), arguments.lines)
        return
    if arguments.socket:
        bench(redis.Redis(unix_socket_path=arguments.socket), arguments.lines)
        return
    with scratch_folder("bench-") as folder, embedded(folder) as server:
        bench(redis.Redis(unix_socket_path=server.socket), arguments.lines)


if __name__ == "__main__":
    main()
