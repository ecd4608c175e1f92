"""What the log costs: CPU and wall time per message, appended and read, on each back end.

    python -m tests.benchmarks.bench_log [--messages 100000] [--rounds 5]

One-line sales in structured mode (about 250 B), with a key and the content type, appended in batches of 500 and
read in batches of up to 1,000, as the flows do. Rounds of the back ends take turns; medians are told, with the
lowest and the highest. CPU is that of this process, the threads of its clients included.
"""

import argparse
import random
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from time import perf_counter, process_time

import redis

from connectors.log.base import AppendFailed, Log, Outgoing, Partition
from connectors.log.kafka.log import KafkaLog
from connectors.log.redis.log import RedisLog
from connectors.messages.cloudevents import STRUCTURED, structured
from connectors.redis.embedded import embedded
from flows.runtime.process import collect_rarely
from tests.scratch import scratch_folder
from tests.servers.kafka import running_kafka

TOPIC = "pos.sales"
PARTITIONS = 4
APPEND, READ = 500, 1_000
WAIT_MS = 20


def messages(count: int) -> list[Outgoing]:
    """Return sales of one line."""
    chance = random.Random(count)
    return [
        Outgoing(
            TOPIC,
            b"s%d" % chance.randrange(50),
            structured(
                str(i), "/pos", "pos.sale", 1_767_225_600_000,
                {"location": "s1", "receipt": str(i), "lines": [{"sku": f"A{i % 5000}", "quantity": 1}]},
            ),
            STRUCTURED,
        )
        for i in range(count)
    ]  # fmt: skip


def append(log: Log, batch: list[Outgoing]) -> None:
    """Append all, in batches."""
    for i in range(0, len(batch), APPEND):
        results = log.append(batch[i : i + APPEND])
        if any(isinstance(result, AppendFailed) for result in results):
            raise RuntimeError("the log did not confirm a message")


def read(log: Log, positions: dict[Partition, int], count: int) -> None:
    """Read so many records on from positions, which move."""
    while count > 0:
        for record in log.read(positions, READ, wait_ms=WAIT_MS):
            positions[Partition(TOPIC, record.partition)] = record.offset + 1
            count -= 1


def timed(call: Callable[[], None], count: int) -> tuple[float, float]:
    """Return CPU and wall time of a call, in microseconds per message."""
    cpu_s, wall_s = process_time(), perf_counter()
    call()
    return (process_time() - cpu_s) * 1e6 / count, (perf_counter() - wall_s) * 1e6 / count


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    batch = messages(given.messages)
    collect_rarely()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder("bench-"))
        store = stack.enter_context(embedded(folder / "store"))
        brokers = running_kafka(folder / "kafka")
        stack.callback(brokers.close)
        logs: dict[str, Log] = {
            "redis": RedisLog(redis.Redis(unix_socket_path=store.socket)),
            "kafka": KafkaLog(next(brokers).bootstrap),
        }
        positions = {}
        for name, log in logs.items():
            log.create(TOPIC, PARTITIONS)
            append(log, batch[:1_000])
            positions[name] = {Partition(TOPIC, n): 0 for n in range(PARTITIONS)}
            read(log, positions[name], 1_000)
        for _ in range(given.rounds):
            for name, log in logs.items():
                there = positions[name]
                took = timed(partial(append, log, batch), given.messages)
                found.setdefault((name, "append"), []).append(took)
                took = timed(partial(read, log, there, given.messages), given.messages)
                found.setdefault((name, "read"), []).append(took)
        for log in logs.values():
            log.close()
    print("us per message, median (lowest .. highest)")  # noqa: T201
    for (name, what), rounds in sorted(found.items()):
        told = [
            f"{kind} {statistics.median(values):5.2f} ({min(values):.2f} .. {max(values):.2f})"
            for kind, values in zip(("CPU", "wall"), zip(*rounds, strict=True), strict=True)
        ]
        print(f"{name:6} {what:7} {'   '.join(told)}")  # noqa: T201


if __name__ == "__main__":
    main()
