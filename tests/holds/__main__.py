"""Claim a million times, from several processes, with kills and expiries; then count to the unit.

    python -m tests.holds [--claims N] [--seconds N] [--short]

First as fast as it goes, then for some time on time, 1,000 claims a second. In the end all that is left is bought.
Prints as its last line what came of it; exit 1 if a unit was sold twice, was left over though somebody wanted it, or if
the store and the log do not agree.
"""

import argparse
import array
import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import Final

from connectors.config.settings import Settings
from connectors.redis.embedded import embedded
from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.runtime.retry import retry_until_available
from flows.runtime.session import connected
from flows.services.holds.service import HoldService
from flows.services.holds.values import Confirmed, HoldCreated, Wanted
from tests.holds.asking import asked
from tests.holds.board import Board
from tests.holds.engine import ENDED_WITHIN_S, Engine, every, running
from tests.holds.scene import SKUS, Stock, write_config
from tests.holds.verify import Verdict, judge
from tests.oracle.policy import read_policy
from tests.scratch import scratch_folder

CLAIMS, SECONDS = 1_000_000, 60
SHORT_CLAIMS, SHORT_SECONDS = 40_000, 5
RATE, PACED_PROCESSES = 1_000, 2
PROCESSES: Final = 3
P99_MAX_MS: Final = 10.0
KILL_EVERY: Final = 12_000
"""Claims from one kill to the next, about."""
PIN_MS: Final = 20_000
SEED: Final = 7


def main() -> int:
    """Run the fight, and say how it ended whatever comes. Return the exit code."""
    try:
        return _fight(_arguments())
    except Exception as error:  # noqa: BLE001 - what it is stands in the last line, and where above it
        traceback.print_exc()
        print(f"holds: failed: {type(error).__name__}: {error}")
        return 1


def _fight(args: argparse.Namespace) -> int:
    claims = args.claims or (SHORT_CLAIMS if args.short else CLAIMS)
    seconds = args.seconds or (SHORT_SECONDS if args.short else SECONDS)
    began_s = time.monotonic()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder("holds-"))
        stack.enter_context(embedded(folder / "data"))
        engine = stack.enter_context(running(folder))
        board = Board(folder / "board")
        _open(engine, Stock(claims))
        per_s = _at_full_speed(engine, board, claims)
        full = board.total("claims")
        p99_ms = _on_time(engine, seconds)
        settings = Settings(data=folder / "data", config=folder / "penstock.yaml", metrics="off")
        run = stack.enter_context(connected(settings))
        bought = _sell_off(engine, run)
        verdict = judge(run, read_policy(folder / "penstock.yaml"))
        wrong = board.total("wrong")
        told = {
            name: board.total(name) for name in ("made", "short", "confirmed", "sold", "released")
        }
        told |= {"left": board.total("left"), "repeated": board.total("repeated"), "wrong": wrong}
        told |= {
            "kills": engine.kills,
            "bought_off": bought,
            "seconds": int(time.monotonic() - began_s),
        }
        print("holds:", " ".join(f"{name}={number}" for name, number in told.items()))
        for fault in verdict.faults[:20]:
            print(f"holds: {fault}")
        if wrong or verdict.faults:
            print(engine.said(), file=sys.stderr)
        total = board.total("claims") + bought
        print(f"holds: at_full_speed={full} in {full / per_s:.0f} s")
        print(
            f"holds: claims={total} units={verdict.units} sold={verdict.sold} "
            f"oversold={verdict.oversold} stranded={verdict.stranded} "
            f"claims_per_s={per_s:.0f} p99_ms={p99_ms:.1f}"
        )
        late = p99_ms > P99_MAX_MS and not args.short
        return int(_is_bad(verdict) or wrong > 0 or late)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.holds", description=__doc__)
    parser.add_argument("--claims", type=int, help=f"at full speed, {CLAIMS} unless said")
    parser.add_argument("--seconds", type=int, help=f"on time, {SECONDS} unless said")
    parser.add_argument(
        "--short", action="store_true", help="a small fight, for less than a minute"
    )
    return parser.parse_args()


def _is_bad(verdict: Verdict) -> bool:
    return bool(verdict.oversold or verdict.stranded or verdict.faults)


def _open(engine: Engine, stock: Stock) -> None:
    """Open the shop: its stock goes through the log, as all that happens to it."""
    write_config(engine.folder)
    engine.command("init")
    engine.start_flows()
    texts = []
    for number, (location, lines) in enumerate(stock.receipts()):
        data = {
            "location": location,
            "reference": "opening",
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines],
        }
        texts.append(
            json.dumps(
                {
                    "specversion": "1.0", "id": str(number), "source": "/opening",
                    "type": "wms.receipt", "time": "2026-01-01T00:00:00Z", "data": data,
                }
            )
        )  # fmt: skip
    engine.command("emit", "-", given="\n".join(texts).encode())
    engine.idle()


def _at_full_speed(engine: Engine, board: Board, claims: int) -> float:
    """Claim so many times, while processes are killed. Return claims per second."""
    chance = Random(SEED)
    engine.start_claimers(PROCESSES, SEED, str(PIN_MS))
    for _ in every(0.01, time.monotonic() + ENDED_WITHIN_S):
        if board.total("claims"):
            break
        engine.start_claimers(PROCESSES, SEED, str(PIN_MS))
    began_s = told_s = time.monotonic()
    kill_at = KILL_EVERY
    while (done := board.total("claims")) < claims:
        now_s = time.monotonic()
        if done >= kill_at:
            kill_at = done + chance.randint(KILL_EVERY // 2, KILL_EVERY * 3 // 2)
            engine.kill_one(chance)
        engine.start_flows()
        engine.start_claimers(PROCESSES, SEED, str(PIN_MS))
        if now_s - told_s >= 5:
            told_s = now_s
            rate = done / (now_s - began_s)
            left_s = (claims - done) / rate if rate else 0
            print(
                f"holds: {done} of {claims} claims, {rate:.0f}/s, {engine.kills} kills, "
                f"{left_s:.0f} s to go",
                file=sys.stderr,
            )
        time.sleep(0.05)
    per_s = board.total("claims") / (time.monotonic() - began_s)
    engine.stop_claimers()
    return per_s


def _on_time(engine: Engine, seconds: int) -> float:
    """Claim on time. Return the 99th percentile in ms."""
    print(f"holds: {RATE} claims a second for {seconds} s", file=sys.stderr)
    engine.idle()
    before = engine.rows
    pace = (str(RATE // PACED_PROCESSES), str(seconds))
    engine.start_claimers(PACED_PROCESSES, SEED, str(PIN_MS), *pace)
    engine.wait_for_claimers()
    latencies = array.array("d")
    for row in range(before + 1, engine.rows + 1):
        latencies.frombytes((engine.folder / f"latency-{row}").read_bytes())
    return 1000 * sorted(latencies)[len(latencies) * 99 // 100]


def _sell_off(engine: Engine, run: Runtime) -> int:
    """Wait until every hold is over, then buy what is left. Return how often that was claimed."""
    follow_policy(run)
    print("holds: waiting for the last holds to end", file=sys.stderr)
    for _ in every(0.2, time.monotonic() + ENDED_WITHIN_S):
        engine.start_flows()
        if not any(retry_until_available(lambda: list(_live(run)))):
            break
    engine.idle()
    holding, bought = HoldService(run), 0
    for turn in range(3):
        wanted = [
            Wanted(f"rest-{turn}-{sku}", ((sku, 1_000_000),), channel="shop", partial=True)
            for sku in SKUS
        ]
        for at in range(0, len(wanted), 100):
            some = wanted[at : at + 100]
            found = retry_until_available(partial(holding.create_all, some))
            bought += len(found)
            for each in found:
                if isinstance(each, HoldCreated):
                    confirmed = asked(partial(holding.confirm, each.hold, f"o-{each.hold}"))
                    if not isinstance(confirmed, Confirmed):
                        raise TypeError(f"expected it to be confirmed, got {confirmed}")
        engine.idle()
    return bought


def _live(run: Runtime) -> Iterator[int]:
    """Yield how many holds live in each shard."""
    pipeline = run.primaries.client.pipeline(transaction=False)
    for shard in range(run.store.shards):
        pipeline.zcard(run.store.keys.shard(shard, "holds"))
    yield from pipeline.execute()


if __name__ == "__main__":
    sys.exit(main())
