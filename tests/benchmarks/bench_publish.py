"""What publishing costs: Python and Redis CPU per update, step by step.

    python -m tests.benchmarks.bench_publish [--skus 5000] [--rounds 5]

A shop with five channels, and two ad rules that look at days of cover. In every round each SKU sells one
piece at one place; then one publisher, in this process, on an embedded server of its own, claims, derives,
emits and settles until nothing is due. The first round is the opening stock, and is not counted.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import TypeVar

from connectors.settings import Settings
from flows import publish_steps
from flows.claiming import Claimer
from flows.runtime import Runtime, now_ms, now_us, runtime
from state.ops import MOVE, Op
from state.pack import Chain, NormalEvent, Packer
from tests.benchmarks.cpu import Meter

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
PLACES = ("wh", "s1", "s2")
OPENING = 50
Answer = TypeVar("Answer")


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
            calls = self._packer.pack(batch, run.policy.place, now_us(), run.policy.revision)
            run.store.apply(calls)


def publish(run: Runtime, claimer: Claimer, spent: Counter[str]) -> None:
    """Publish what is due; add the CPU seconds of each step to `spent`."""

    def timed(step: str, call: Callable[[], Answer]) -> Answer:
        began = process_time()
        answer = call()
        spent[step] += process_time() - began  # type: ignore[assignment]
        return answer

    while (claims := timed("claim", lambda: claimer.next_claims(0.0))) is not None:
        decided = timed("derive", lambda claims=claims: publish_steps.derive(run, claims))  # type: ignore[misc]
        emitted = timed("emit", lambda decided=decided: publish_steps.emit(run, decided))  # type: ignore[misc]
        timed("settle", lambda emitted=emitted: publish_steps.settle(run, emitted))  # type: ignore[misc]


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure what publishing costs.")
    parser.add_argument("--skus", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
