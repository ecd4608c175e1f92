"""The chain's `penstock.yaml`, its processes, its commands: all that the morning is played with."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from connectors.config import settings as environment
from connectors.config.settings import Settings
from connectors.log.base import AppendFailed, Outgoing
from flows.demo.config import config_text
from flows.runtime.context import Runtime
from state.durations import DAY_MS, HOUR_MS
from tests.golive.monday import MIDNIGHT_MS, SUPPLIER, Monday
from tests.patience import PATIENCE_S
from tests.rules.catalogue import by_id
from tests.rules.means import Unprotected
from tests.servers.kafka import bound_to_us

ROOT = Path(__file__).parents[2]
SILENT_AFTER_S = 2 * 3600
WATCHED_OTHERS = 2
GUARD_PCT = 20
SHRINK_PCT = 30
COMMAND_TIMEOUT_S = 180.0
WITH_SUPPLIER = ("shopee", "shop")
"""The channels that may also sell what lies at the supplier."""

PROTECTIONS = by_id(Unprotected)


@dataclass(frozen=True, slots=True)
class Setup:
    """What the configuration says at one time of the morning."""

    mode: str = "shadow"
    buffer: int | None = None
    """Units that every channel holds back instead of its own buffer: a slip of the pen."""
    without: str | None = None
    """A protection that is left out."""

    def keeps(self, protection: str) -> bool:
        """Whether a protection is not the one left out.

        Raises:
            KeyError: there is none of that name.
        """
        return self.without is None or PROTECTIONS[protection] is not PROTECTIONS[self.without]


def watched_shops(day: Monday, silent_shop: str) -> tuple[str, ...]:
    """Return the shops that may not be silent for long: the one that will be, and some that speak on."""
    others = [f"s{shop}" for shop in day.shops if f"s{shop}" != silent_shop]
    return (silent_shop, *others[:WATCHED_OTHERS])


def config_of(day: Monday, silent_shop: str, setup: Setup) -> dict[str, Any]:
    """Return the configuration of the chain: the demo's, with a supplier and the protections of a go-live."""
    week_ago_ms = MIDNIGHT_MS - 7 * DAY_MS + 9 * HOUR_MS
    document: dict[str, Any] = yaml.safe_load(config_text(day.shops, day.best_seller, week_ago_ms))
    supplier = {
        "id": SUPPLIER,
        "kind": "dropship",
        "region": "north",
        "shrink_guard_pct": SHRINK_PCT,
    }
    document["locations"].append(supplier)
    watched = watched_shops(day, silent_shop)
    for location in document["locations"]:
        if location["id"] in watched:
            location |= {"silent_after_s": SILENT_AFTER_S, "hours": "06:00-23:00"}
    document["policies"]["zero_guard_pct"] = GUARD_PCT
    for channel in document["channels"]:
        channel["mode"] = setup.mode
        channel["opening"] = "counted"
        if setup.buffer is not None:
            channel["buffer"] = {"units": setup.buffer}
        if channel["id"] in WITH_SUPPLIER:
            channel["locations"]["kinds"] = ["warehouse", "store", "dropship"]
    if setup.without is not None:
        PROTECTIONS[setup.without].leave_out(document)
    return document


class CommandFailed(Exception):
    """A command ended in another way than was expected."""


@dataclass(slots=True)
class Shop:
    """A folder with a store and a log of its own, in which `penstock` runs."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    flows: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        self.env = kept | {
            "PENSTOCK_CONFIG": str(self.config),
            "PENSTOCK_DATA": str(self.folder / "data"),
            "PENSTOCK_CLOCK": "event",
            "PENSTOCK_METRICS": "off",
            "PYTHONPATH": str(ROOT),
        }

    @property
    def config(self) -> Path:
        """Its `penstock.yaml`."""
        return self.folder / "penstock.yaml"

    def settings(self) -> Settings:
        """The settings that its commands have."""
        before = dict(os.environ)
        os.environ.update(self.env)
        try:
            return environment.load()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def write_config(self, document: Mapping[str, Any]) -> None:
        """Write the configuration; nobody is told of it yet."""
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))

    def penstock(self, *words: str, exits: Iterable[int] = (0,)) -> str:
        """Run a command to its end and return what it said.

        Raises:
            CommandFailed: its exit code is none of those expected.
        """
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self.env, capture_output=True, text=True,
            check=False, timeout=COMMAND_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode not in exits:
            raise CommandFailed(
                f"penstock {' '.join(words)}: expected exit {list(exits)}, got {done.returncode}: "
                f"{done.stderr.strip()[-800:]}"
            )
        return done.stdout

    def command(self, *words: str) -> list[str]:
        """A command of the same program."""
        return [sys.executable, "-m", "flows.cli", *words]

    def background(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command and return at once."""
        return self._start(self.command(*words), words[0])

    def client(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a customer's program."""
        return self._start([sys.executable, "-m", "tests.golive.clients", *words], words[0])

    def start_flows(self) -> None:
        """Start ingest and publish."""
        for role in ("ingest", "publish"):
            self.flows[role] = self._start(self.command("run", role), role)

    def kill_flows(self) -> None:
        """Take both away in the middle of what they do."""
        for process in self.flows.values():
            process.kill()
            process.wait()

    def stop_flows(self) -> list[str]:
        """Ask both to end; return what is wrong with how they did."""
        for process in self.flows.values():
            if process.poll() is None:
                process.terminate()
        ends = {role: process.wait(PATIENCE_S) for role, process in self.flows.items()}
        return [f"{role} ended with {code}" for role, code in ends.items() if code]

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()

    def fallen(self) -> list[str]:
        """The flows that ended by themselves."""
        return [f"{role} ended by itself" for role, p in self.flows.items() if p.poll() is not None]

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*bound_to_us(), *command], cwd=self.folder, env=self.env,
                stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
            )  # fmt: skip
        self.started.append(process)
        return process


def append(run: Runtime, messages: Sequence[Outgoing]) -> None:
    """Put messages into the log.

    Raises:
        LogError: one was not taken.
    """
    for result in run.log.append(messages):
        if isinstance(result, AppendFailed):
            raise result.error


def json_lines(text: str) -> list[Any]:
    """The lines of JSON that a command printed."""
    return [orjson.loads(line) for line in text.splitlines() if line]
