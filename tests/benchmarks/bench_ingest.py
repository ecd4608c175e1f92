"""What ingest costs: Python CPU per line, step by step, and Redis CPU.

    python -m tests.benchmarks.bench_ingest [--lines 60000]

Events in structured mode, in batches as the reader hands them on: sales of one line and of ten, transfers
of 300. Each batch is decoded, normalised, packed and applied on an embedded server of its own. `apply`
holds packing, encoding and the client; `pack` and `encode` are told once more by themselves.
"""

import argparse
import random
from collections.abc import Iterator
from copy import deepcopy
from time import process_time

import orjson

from connectors.config.settings import Settings
from connectors.log.base import INPUT_TOPICS, Partition, Record
from flows.ingest.read_session import Batch, ReadSession
from flows.ingest.steps import Normal, apply, decode, guard, normalise, to_dead_letters
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.process import collect_rarely
from flows.runtime.session import runtime
from state.protocol.apply import encode_apply
from state.protocol.pack import Chain, Packer
from tests.scratch import scratch_folder

CONFIG = """
version: 1
locations:
  - {id: dc, kind: warehouse}
  - {id: s1, kind: store}
channels:
  - {id: shop}
"""
SKUS = 20_000
BATCH_EVENTS = 1_000
BATCH_LINES = 6_000
STEPS = ("decode", "normalise", "apply", "pack", "encode")
WORKLOADS = {
    "sales of 1 line": ("pos.sales", "pos.sale", 1),
    "sales of 10 lines": ("pos.sales", "pos.sale", 10),
    "transfers of 300 lines": ("wms.receipts", "wms.transfer", 300),
}


class Feed:
    """Makes the batches of one workload, all of one partition."""

    def __init__(self, run: Runtime, topic: str, kind: str, lines: int) -> None:
        self._chance = random.Random(lines)
        self._partition = Partition(topic, 0)
        self._kind, self._lines = kind, lines
        self._offset = 0
        mark = f"{run.log.log_id(topic)}/{lines}"
        self._run = ReadSession({topic: run.log.log_id(topic) for topic in INPUT_TOPICS})
        self._run.chains[self._partition] = Chain.starting(mark, -1, run.store.shards)

    def batches(self, lines: int) -> Iterator[Batch]:
        """Yield batches until there were so many lines."""
        events = max(1, min(BATCH_EVENTS, BATCH_LINES // self._lines))
        for _ in range(max(1, lines // (events * self._lines))):
            records = [self._record() for _ in range(events)]
            self._run.outstanding += 1
            yield Batch(self._run, records, {self._partition: records[-1].offset})

    def _record(self) -> Record:
        self._offset += 1
        skus = self._chance.sample(range(SKUS), self._lines)
        data: dict[str, object] = {"lines": [{"sku": f"{sku:07d}", "quantity": 1} for sku in skus]}
        if self._kind == "pos.sale":
            data |= {"location": "s1", "receipt": f"r{self._offset}"}
        else:
            name = f"t{self._offset}"
            data |= {"transfer": name, "from": "dc", "to": "s1", "stage": "shipped"}
        event = {
            "specversion": "1.0",
            "id": f"{self._lines}-{self._offset}",
            "source": "/pos/s1",
            "type": self._kind,
            "time": "2026-06-01T10:00:00.000Z",
            "datacontenttype": "application/json",
            "data": data,
        }
        value = orjson.dumps(event)
        topic, n = self._partition
        return Record(topic, n, self._offset, now_ms(), b"s1", (), value)


def bench(run: Runtime, name: str, lines: int) -> None:
    """Run one workload and print its line of the table."""
    topic, kind, of = WORKLOADS[name]
    packer = Packer(run.store.shards, run.guard_ms)
    spent_s = dict.fromkeys((*STEPS, "redis"), 0.0)
    done = 0
    for batch in Feed(run, topic, kind, of).batches(lines):
        at = [process_time()]
        decoded = decode(batch)
        at.append(process_time())
        normal = to_dead_letters(run, guard(run, normalise(run, decoded)))
        at.append(process_time())
        _pack_and_encode(run, packer, normal, spent_s)
        before_s, began_s = _redis_s(run), process_time()
        outcome = apply(run, packer, normal)
        spent_s["apply"] += process_time() - began_s
        spent_s["redis"] += _redis_s(run) - before_s
        spent_s["decode"] += at[1] - at[0]
        spent_s["normalise"] += at[2] - at[1]
        done += outcome.events * of
    spent_s["python"] = sum(spent_s[step] for step in ("decode", "normalise", "apply"))
    figures = (spent_s[step] for step in HEADINGS)
    print(f"{name:24s}" + "".join(f"{1e6 * each / done:10.2f}" for each in figures))  # noqa: T201


def _pack_and_encode(
    run: Runtime, packer: Packer, normal: Normal, spent_s: dict[str, float]
) -> None:
    """Do once more, on a copy of the chain, what `apply` does before it calls the store."""
    ((partition, chain),) = normal.batch.run.chains.items()
    copy, policy = deepcopy(chain), run.policy
    began_s = process_time()
    batch = [(copy, normal.batch.upto[partition], normal.events[partition])]
    calls = packer.pack(batch, policy.locate, 1, policy.sums_revision)
    packed_s = process_time()
    for call in calls.values():
        encode_apply(call)
    spent_s["pack"] += packed_s - began_s
    spent_s["encode"] += process_time() - packed_s


def _redis_s(run: Runtime) -> float:
    cpu = run.primaries.client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


HEADINGS = (*STEPS, "python", "redis")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure what ingest costs.")
    parser.add_argument("--lines", type=int, default=60_000, help="lines of each workload")
    arguments = parser.parse_args()
    collect_rarely()
    with scratch_folder("bench-") as folder:
        config = folder / "penstock.yaml"
        config.write_text(CONFIG)
        with runtime(Settings(config=config, data=folder / "data")) as run:
            print(f"{'us per line':24s}" + "".join(f"{each:>10s}" for each in HEADINGS))  # noqa: T201
            for name in WORKLOADS:
                bench(run, name, arguments.lines)


if __name__ == "__main__":
    main()
