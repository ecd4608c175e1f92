"""The disk of the embedded store is full: what cannot be kept is refused, and all goes on when there is room."""

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.redis.embedded import embedded_identity
from tests.faults.load import Feeder, Trading
from tests.faults.pressure import Pressure, crew, until_it_goes_on
from tests.faults.stage import Maker, NoProof, NotRun, Proof, until
from tests.patience import PATIENCE_S

EVENTS = 20_000
PER_S = 1_500
DISK_BYTES = 64 * 1024 * 1024
ROOM_BYTES = 1024 * 1024
ROUNDS = 2
UNMOUNTED_S = PATIENCE_S
REPEATED_LEAST = 3
"""Appends that the store refused while its disk was full."""


class Disk:
    """Log and stock lie in the embedded store, on a small tmpfs that something else fills."""

    name = "disk"
    short = True
    finds = ()

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Fill the disk under load, wait until nothing can be written, and make room again."""
        disk = maker.folder / "disk"
        maker.stack.enter_context(small_disk(disk))
        stage = maker.stage(kafka=None, PENSTOCK_DATA=str(disk / "data"))
        identity = embedded_identity(disk / "data")
        crew(stage, ("ingest", "publish"))
        events, rounds = round(EVENTS * scale), max(1, round(ROUNDS * scale))
        feeder = stage.feed(Trading(maker.seed), PER_S)
        pressure = Pressure(stage, "MISCONF")
        left = []
        for n in range(rounds):
            feeder.until_sent(events * (n + 1) // (rounds + 2) + rng.randrange(PER_S))
            pressure.begin()
            with filled(disk):
                pressure.until_felt()
                until_refused(feeder)
                left.append(room_bytes(disk))
            until_it_goes_on(stage)
            pressure.end()
        feeder.until_sent(events)
        feeder.stop()
        if embedded_identity(disk / "data") != identity:
            raise NoProof("the server ended: this was a crash, not a full disk")
        return stage.proof(
            self.name,
            f"disk_full={rounds} bytes_left={max(left)} calls_refused={pressure.refused} "
            f"appends_refused={feeder.refused} workers_grew_by_kb={pressure.grown_kb}",
            refused=pressure.refused,
        )


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a small file system at a folder.

    Raises:
        NotRun: this user may not mount.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        raise NotRun("a small tmpfs cannot be mounted by this user")
    try:
        yield
    finally:
        # The store ends a moment after its last user.
        unmount = ["umount", str(folder)]
        until(
            lambda: subprocess.run(unmount, capture_output=True, check=False).returncode == 0,
            "a disk that nobody uses",
            UNMOUNTED_S,
        )


def until_refused(feeder: Feeder) -> None:
    """Wait until the log, too, refuses what is sent."""
    goal = feeder.refused + REPEATED_LEAST
    until(lambda: feeder.refused >= goal, "appends that are refused")


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Take all room but a little, until the block ends."""
    filling = disk / "filling"
    try:
        with filling.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room_bytes(disk) - ROOM_BYTES)
        yield
    finally:
        filling.unlink()


def room_bytes(disk: Path) -> int:
    """Return how much can be written."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
