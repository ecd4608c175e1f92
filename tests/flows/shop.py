"""A small shop for tests of whole processes: its configuration, its store, its command line."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from connectors.redis.embedded import embedded
from flows.cli.run import ROLES
from flows.runtime import signals as stop
from tests import warm
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 1.5 * PATIENCE_S
"""For a command that may itself wait for so long as a test is patient."""
SEED = 7

CONFIG = """
version: 1
locations:
  - {id: wh, kind: warehouse, region: north}
  - {id: s1, kind: store, region: north}
channels:
  - {id: shopee, buffer: {units: 1}}
  - {id: shop}
ads:
  - {rule: google, channel: shop, pause_at: 2, resume_at: 6, dwell_s: 0}
"""

Done = subprocess.CompletedProcess[str]


def event(number: int | str, kind: str, **data: Any) -> dict[str, Any]:
    """A CloudEvent that happened a moment ago."""
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "/test",
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }


def lines(**quantities: int) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]


def trading(count: int) -> list[dict[str, Any]]:
    """Receipts, sales and orders of 40 SKUs, some of them sent twice, some of no use."""
    chance = random.Random(SEED)
    skus = [f"A{n}" for n in range(40)]
    events = [
        event(f"r{sku}", "wms.receipt", location="wh", reference="r", lines=lines(**{sku: 100}))
        for sku in skus
    ]
    for n in range(count):
        some = {sku: chance.randint(1, 3) for sku in chance.sample(skus, 3)}
        if n % 3 == 0:
            events.append(
                event(n, "order.placed", order=str(n), channel="shop", lines=lines(**some))
            )
        else:
            where = "nowhere" if n % 50 == 1 else "s1"
            sale = event(n, "pos.sale", location=where, receipt=str(n), lines=lines(**some))
            events += [sale] * (2 if n % 10 == 1 else 1)
    return events


class Shop:
    """Runs `penstock` in a folder of its own; `env` is set over what all commands get."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.config = folder / "penstock.yaml"
        self.config.write_text(CONFIG)
        self.started: list[subprocess.Popen[bytes]] = []
        self.env = (
            {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
            | {
                "PENSTOCK_DATA": str(folder / "data"),
                "PENSTOCK_METRICS": "off",
                "PYTHONPATH": str(ROOT),
            }
            | env
        )

    def penstock(self, *args: str, given: str | bytes = "", **env: str) -> Done:
        """Run a command to its end."""
        raw = given.encode() if isinstance(given, str) else given
        done = warm.run(args, self.folder, self.env | env, raw, TIMEOUT_S)
        return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *args: str, module: str = "flows.cli") -> subprocess.Popen[bytes]:
        """Start a command, and leave it running; asked to stop, it does so once it has a handler."""
        with stop.held():
            process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test left running."""
        for process in self.started:
            with process:
                process.kill()

    def emit(self, *events: dict[str, Any]) -> None:
        text = b"\n".join(map(orjson.dumps, events))
        done = self.penstock("emit", "-", given=text)
        assert done.stdout.splitlines()[-1] == f"emit: appended={len(events)} failed=0", done.stderr

    def settle(self) -> None:
        """Apply and publish all that was emitted, as `penstock run --until-idle` does."""
        with ThreadPoolExecutor() as pool:
            ends = pool.map(lambda role: self.penstock("run", role, "--until-idle"), ROLES)
        for done in ends:
            assert done.returncode == 0, done.stderr

    def stock(self, sku: str) -> dict[str, Any]:
        done = self.penstock("stock", sku)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = orjson.loads(done.stdout)
        return found

    def end_state(self) -> list[dict[str, Any]]:
        """All SKUs without what differs from run to run: versions and since when."""
        found = rows(self.penstock("stock", "--all"))
        for sku in found:
            del sku["version"]
            for ad in sku["ads"]:
                del ad["since"]
        return found


@contextmanager
def running(shop: Shop, *commands: tuple[str, ...]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are asked to stop in the end, and must then end with 0 and without a word."""
    started = [shop.start(*command) for command in commands]
    try:
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in started]
    ended = [(process.returncode, words) for process, words in zip(started, said, strict=True)]
    assert ended == [(0, b"")] * len(started)


def end_state_alone(folder: Path, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What one of each flow makes of the same trading, with embedded store and log."""
    folder.mkdir()
    alone = Shop(folder)
    with embedded(folder / "data"):
        alone.emit(*events)
        alone.settle()
        return alone.end_state()


def rows(done: Done) -> list[Any]:
    """The lines of JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def last_fault(done: Done) -> str:
    """The last line that a command printed on standard error."""
    return done.stderr.splitlines()[-1]
