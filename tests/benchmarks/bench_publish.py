"""What publishing costs: Python and Redis CPU per update, step by step.

    python -m tests.benchmarks.bench_publish [--skus 5000] [--rounds 5]

A shop with five channels, and two ad rules that look at days of cover. In every round each SKU sells one
piece at one place; then one publisher, in this process, on an embedded server of its own, claims, derives,
emits and settles until nothing is due. The first round is the opening stock, and is not counted.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from time import monotonic, process_time, sleep

from connectors.config.settings import Settings
from flows.publish.claimer import Claimer
from flows.publish.steps import decide, emit, guard, settle
from flows.runtime.clock import now_ms, now_us
from flows.runtime.context import Runtime
from flows.runtime.process import collect_rarely
from flows.runtime.session import runtime
from state.events.ops import MOVE, Op
from state.protocol.pack import Chain, NormalEvent, Packer
from tests.scratch import scratch_folder

CONFIG = """
version: 1
locations:
  - {id: wh, kind: warehouse, region: north}
  - {id: s1, kind: store, region: north}
  - {id: s2, kind: store, region: south}
channels:
  - {id: shopee, buffer: {units: 1}}
  - {id: momo, share_bp: 8000}
  - {id: pchome, cutoff: 2, cap: 500}
  - {id: yahoo, share_bp: 5000}
  - {id: shop}
ads:
  - {rule: google-shop, channel: shop, pause_at: 2, resume_at: 6,
     pause_cover_days: 1, resume_cover_days: 3}
  - {rule: meta-momo, channel: momo, pause_at: 3, resume_at: 9,
     pause_cover_days: 2, resume_cover_days: 4}
"""
STEPS = ("claim", "decide", "emit", "settle")
PLACES = ("wh", "s1", "s2")
OPENING = 50


class Trade:
    """Applies one event for each SKU, as ingest would, and outside of what is measured."""

    def __init__(self, run: Runtime, skus: int) -> None:
        self._run = run
        self._skus = [f"{number:07d}" for number in range(skus)]
        self._packer = Packer(run.store.shards, run.guard_ms)
        self._chain = Chain.starting("bench/0", -1, run.store.shards)
        self._offset = 0

    def open(self) -> None:
        """Stock every SKU at every place."""
        self._apply(lambda sku, _: tuple((MOVE, sku, place, OPENING, 0, 0) for place in PLACES))

    def sell(self) -> None:
        """Sell one piece of every SKU."""
        self._apply(lambda sku, number: ((MOVE, sku, PLACES[number % len(PLACES)], -1, 0, 1),))

    def _apply(self, ops: Callable[[str, int], tuple[Op, ...]]) -> None:
        run, at_ms = self._run, now_ms()
        for start in range(0, len(self._skus), 500):
            events = []
            for number, sku in enumerate(self._skus[start : start + 500], start):
                self._offset += 1
                identity = str(self._offset)
                events.append(
                    NormalEvent(
                        self._offset, identity, run.slice_of(at_ms), at_ms, at_ms, ops(sku, number)
                    )
                )
            batch = [(self._chain, self._offset, events)]
            calls = self._packer.pack(batch, run.policy.locate, now_us(), run.policy.sums_revision)
            run.store.apply(calls)


def publish(run: Runtime, claimer: Claimer, spent_s: dict[str, float]) -> int:
    """Publish what is due; add the CPU time of each step, return the SKUs settled."""
    settled = 0
    sleep(run.settings.tick_ms / 1000)  # what became due since gathers further changes first
    while True:
        at = [process_time()]
        claims = claimer.next_claims(monotonic())
        at.append(process_time())
        if claims is None:
            return settled
        decided = guard(run, decide(run, claims))
        at.append(process_time())
        emitted = emit(run, decided)
        at.append(process_time())
        settled += settle(run, emitted)
        at.append(process_time())
        for step, began, ended in zip(STEPS, at, at[1:], strict=False):
            spent_s[step] += ended - began


def bench(run: Runtime, skus: int, rounds: int) -> None:
    """Publish round by round, and print the table."""
    trade, claimer = Trade(run, skus), Claimer(run)
    trade.open()
    publish(run, claimer, defaultdict(float))
    spent_s: dict[str, float] = defaultdict(float)
    settled = 0
    for _ in range(rounds):
        trade.sell()
        before_s = _redis_s(run)
        settled += publish(run, claimer, spent_s)
        spent_s["redis"] += _redis_s(run) - before_s
    updates = sum(run.log.end_offsets("stock.updates").values())
    print(f"settled {settled}, updates in the log {updates}")  # noqa: T201 - a program
    spent_s["python"] = sum(spent_s[step] for step in STEPS)
    for name in (*STEPS, "python", "redis"):
        print(f"{name:8s} {1e6 * spent_s[name] / settled:7.2f} us")  # noqa: T201


def _redis_s(run: Runtime) -> float:
    cpu = run.primaries.client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure what publishing costs.")
    parser.add_argument("--skus", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    collect_rarely()
    with scratch_folder("bench-") as folder:
        config = folder / "penstock.yaml"
        config.write_text(CONFIG)
        with runtime(Settings(config=config, data=folder / "data")) as run:
            bench(run, arguments.skus, arguments.rounds)


if __name__ == "__main__":
    main()
