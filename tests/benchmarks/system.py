"""What the harness asks of everything that it measures: the engine, and what one would take in its place.

A system reads the two input topics from their start, keeps what is on hand by SKU and location, takes each
event id once, and for what changed writes

- to Redis: the stock (`Expected.stock` says in what form it is compared),
- to the topic of updates, keyed by SKU: `{"sku", "version", "available", "levels": {channel: quantity}}`, where
  `available` is the sum over locations of max(0, on hand), and channel `c<i>` is told max(0, available - i).

The clock of a run starts and stops by the log: each partition of the sales ends its warm-up, and ends, with a
sale of a marked SKU. A run takes from the first warm-up marker that came out to the last update that the broker took,
and counts the sales behind the warm-up markers. A system that reads one partition before another thus gains
nothing: no other partition had passed its warm-up by then.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Mode = Literal["structured", "binary"]

SALES, RECEIPTS = "pos.sales", "wms.receipts"

RESENT_WITHIN = 10_000
"""A copy of a sale comes at most so many messages of its partition after it."""


@dataclass(frozen=True, slots=True)
class Work:
    """A stream, as it is laid into the topics before a run."""

    name: str
    mode: Mode
    lines: int
    """Lines of a sale; 0 = the baskets of the demo."""
    skus: int
    locations: int
    channels: int
    events: int
    """Sales, those of the warm-up among them. One in a hundred is a copy of an earlier one in its partition."""
    partitions: int = 4


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place. Redis is empty; the input topics are filled."""

    kafka: str
    """Bootstrap servers."""
    redis: str
    """URL of one server or a cluster."""
    namespace: str
    """Input topics are `<namespace>.pos.sales` and `<namespace>.wms.receipts`."""
    updates: str
    """Topic of updates; it exists, with as many partitions as the inputs."""
    folder: Path
    """For the files of this run."""
    run: str
    """A name that no other run has, for consumer groups and the like."""


class Running(Protocol):
    """A system at work."""

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the processes by role, each with all its children."""

    def stock(self) -> Mapping[str, int]:
        """Return from Redis what is on hand by SKU, over all locations."""


class System(Protocol):
    """Something that does the work. Its configurations are tried in turn, and the best one counts."""

    name: str
    configurations: Sequence[str]
    """Each in some words, as the table of results shows them."""

    def running(
        self, site: Site, work: Work, configuration: str
    ) -> AbstractContextManager[Running]:
        """Start its processes; end them when the block ends."""

    def missing(self) -> str:
        """Return why it cannot run on this machine, "" when it can."""
