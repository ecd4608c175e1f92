"""What grows with the shop and what does not: cost by SKUs, locations, channels and hot SKUs; bytes of Redis.

Each question runs the engine's steps in this process (`steps`). Rounds of all sizes are interleaved on one server,
so that what else the machine does strikes all alike; the median round counts. Rows have the figure that was varied
first, then microseconds of CPU time.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.benchmarks.steps import Cost, Events, Memory, Steps, steps
from tests.servers.redis_servers import RedisServer
from tests.servers.slowlog import SETTINGS, longest_ms, put_first

Row = dict[str, float | int | str]

LOCATIONS = (1, 10, 50, 150, 500)
SKUS = (1_000, 10_000, 100_000, 1_000_000)
CHANNELS = (5, 50)
OPENING = 1_000_000
ROUNDS = 5
HOT_PERCENT = (0, 80)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    skus: int = 1_000
    """Where they are not what is varied."""
    events: int = 20_000
    """Of one round."""
    rounds: int = ROUNDS
    most: int = 1_000_000
    """SKUs, and positions, at most."""


@contextmanager
def redis_server(folder: Path, *, steady: bool = False) -> Iterator[RedisServer]:
    """Run a server; that of the system, with its append-only file on. A steady one does not rewrite it meanwhile."""
    settings = {"auto-aof-rewrite-percentage": "0"} if steady else {}
    server = RedisServer(folder / "redis", SETTINGS | settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def names(count: int) -> list[str]:
    """Return the names of so many SKUs."""
    return [f"{number:07d}" for number in range(count)]


def medians(rounds: Sequence[Cost], unit: str) -> Row:
    """Return the median round's cost of a unit."""
    return {
        f"{unit}_us": round(statistics.median(cost.us for cost in rounds), 2),
        "python_us": round(statistics.median(cost.python_us for cost in rounds), 2),
        "redis_us": round(statistics.median(cost.redis_us for cost in rounds), 2),
    }


def interleaved(
    made: Mapping[int, Steps], rounds: int, one: Callable[[int, Steps], Cost]
) -> dict[int, list[Cost]]:
    """Run rounds, each over all sizes, in an order that turns."""
    found: dict[int, list[Cost]] = {size: [] for size in made}
    sizes = list(made)
    for turn in range(rounds):
        for size in sizes[turn % len(sizes) :] + sizes[: turn % len(sizes)]:
            found[size].append(one(size, made[size]))
    return found


def by_publish(
    server: RedisServer, folder: Path, varied: str, sizes: Sequence[int], of: Sizes
) -> list[Row]:
    """Return the cost of an update by the number of locations, or of channels."""
    skus, events = names(of.skus), Events()
    with ExitStack() as stack:
        made = {}
        for size in sizes:
            locations, channels = (size, 5) if varied == "locations" else (8, size)
            shop = steps(server, folder, f"{varied}{size}", locations, channels)
            made[size] = stack.enter_context(shop)
            made[size].ingest(events.receipts(skus, locations, OPENING))
            made[size].publish(len(skus))

        def one(size: int, shop: Steps) -> Cost:
            locations = size if varied == "locations" else 8
            shop.ingest(events.sale(sku, at % locations) for at, sku in enumerate(skus))
            return shop.publish(len(skus))

        found = interleaved(made, of.rounds, one)
    return [{varied: size, **medians(costs, "update")} for size, costs in found.items()]


def by_skus(server: RedisServer, folder: Path, sizes: Sequence[int], of: Sizes) -> list[Row]:
    """Return the cost of an event, without its update, by the number of SKUs that are sold at random."""
    chance, events = Random(1), Events()
    with ExitStack() as stack:
        made = {}
        for size in sizes:
            if size > of.most:
                continue
            shop = steps(server, folder, f"skus{size}", 8, 5)
            made[size] = stack.enter_context(shop)
            made[size].ingest(events.receipts(names(size), 1, OPENING))

        def one(size: int, shop: Steps) -> Cost:
            sold = (f"{chance.randrange(size):07d}" for _ in range(of.events))
            return shop.ingest([events.sale(sku, 0) for sku in sold])

        found = interleaved(made, of.rounds, one)
    return [{"skus": size, **medians(costs, "event")} for size, costs in found.items()]


def by_hot(server: RedisServer, folder: Path, of: Sizes) -> list[Row]:
    """Return the cost of an event, and the longest call of Redis, with and without a SKU that has 80 % of the sales."""
    chance, events, skus = Random(2), Events(), names(5_000)
    put_first(server)
    longest: dict[int, float] = dict.fromkeys(HOT_PERCENT, 0.0)
    with ExitStack() as stack:
        made = {
            share: stack.enter_context(steps(server, folder, f"hot{share}", 8, 5))
            for share in HOT_PERCENT
        }
        for shop in made.values():
            shop.ingest(events.receipts(skus, 8, OPENING))
            shop.publish(len(skus))

        def one(share: int, shop: Steps) -> Cost:
            sold = [
                skus[0] if chance.random() * 100 < share else chance.choice(skus)
                for _ in range(of.events)
            ]
            values = [events.sale(sku, chance.randrange(8)) for sku in sold]
            longest_ms(server)
            cost = shop.ingest(values)
            longest[share] = max(longest[share], *longest_ms(server).values(), 0.0)
            updates = shop.publish(len(set(sold)))
            return Cost(
                cost.units, cost.python_s + updates.python_s, cost.redis_s + updates.redis_s
            )

        found = interleaved(made, of.rounds, one)
    rows: list[Row] = []
    for share, costs in found.items():
        calls = {"longest_call_ms": round(longest[share], 2)}
        rows.append({"hot_percent": share, **medians(costs, "event"), **calls})
    return rows


def bytes_of_redis(server: RedisServer, folder: Path, of: Sizes) -> list[Row]:
    """Return what a SKU, a further position and a guarded event add to the memory of Redis."""
    skus, events = names(of.skus * 10), Events()
    rows: list[Row] = []
    memory = Memory(server)
    with steps(server, folder, "bytes", 8, 5) as shop:
        memory.grown()

        def row(what: str, units: int) -> None:
            rows.append({"what": what, "bytes": round(memory.grown() / units, 1)})

        shop.ingest(events.receipts(skus, 1, OPENING))
        row("SKU with one position", len(skus))
        shop.publish(len(skus))
        row("levels of 5 channels, as last told", len(skus))
        more = [value for value in events.receipts(skus, 4, OPENING) if b'"s0000"' not in value]
        shop.ingest(more)
        row("further position", 3 * len(skus))
        # The same pieces back and forth: what stays is the guard, and each position's recent movements.
        for _ in range(2):
            shop.ingest(events.sale(skus[n % 100], 0) for n in range(of.events))
        memory.grown()
        shop.ingest(events.sale(skus[n % 100], 0) for n in range(of.events))
        row("guarded event", of.events)
    return rows
