"""A stream as a file of JSON lines, its SHA-256, and the way back."""

from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson

from connectors.messages.printable import text_or_base64
from flows.demo.config import config_text
from flows.demo.events import StreamEvent
from flows.demo.grocery_year import read_trading
from flows.demo.harm import ONE_IN, harmed
from flows.demo.sales import Sales, units_by_product
from flows.demo.stream import Story
from flows.demo.synthetic import made_up_trading

# What the whole year hashes to; a run over it checks that it played the stream that was meant.
FULL_YEAR_SHA256 = "04f188344a80e23cdbcf7b85a28af430f09bb64f4bb448a188c5f0e4c02cfb66"
# The made-up chain is small: one in 40, so that every kind of odd message comes up.
SYNTHETIC_ONE_IN = 40

_EVENTS_PER_STEP = 1_000

Step = Literal["reading", "planning", "writing"]
Progress = Callable[[Step, int, int], None]


class Prepared(msgspec.Struct, frozen=True):
    """A stream on disk, ready to be played, and what a check needs to know about it.

    `kinds` counts messages by good, duplicate and bad; `phases` by opening and year; `types` good
    ones and duplicates by event type, odd ones by what is odd about them.
    """

    stream_path: Path
    config_path: Path
    units_path: Path
    sha256: str
    config_text: str
    events: int
    lines: int
    kinds: dict[str, int]
    phases: dict[str, int]
    types: dict[str, int]

    @property
    def planted_duplicates(self) -> int:
        """Messages that repeat an earlier one."""
        return self.kinds.get("duplicate", 0)

    @property
    def planted_dead(self) -> int:
        """Messages that must end in dead letters."""
        return self.kinds.get("bad", 0)


def sales_of(*, months: int | None, synthetic: bool) -> Sales:
    """Return the sale lines that a demo is made from (the made-up chain has no months)."""
    return made_up_trading() if synthetic else read_trading(months)


def stream_of(sales: Sales, one_in: int = ONE_IN) -> Iterator[StreamEvent]:
    """Yield the messages of a chain that sells `sales`, harm included."""
    return harmed(Story(sales).facts(), one_in)


def dump(stream: Iterable[StreamEvent], path: Path) -> str:
    """Write a stream as JSON lines and return the SHA-256 of the file in hex.

    A line is `{n, topic, key, headers: [[name, value]], value, business_ms, phase, kind, type,
    lines}`; a value is text, `{"base64": ...}` if it is not UTF-8, or null. `n` counts from 0.
    """
    hashed = sha256()
    with path.open("wb") as file:
        for n, event in enumerate(stream):
            line = _line(n, event)
            hashed.update(line)
            file.write(line)
    return hashed.hexdigest()


def read_dump(path: Path) -> Iterator[StreamEvent]:
    """Yield the stream that `dump` wrote, message by message."""
    with path.open("rb") as file:
        for line in file:
            fields = orjson.loads(line)
            key = fields["key"]
            yield StreamEvent(
                business_ms=fields["business_ms"],
                topic=fields["topic"],
                key=None if key is None else key.encode(),
                headers=tuple([(name, value.encode()) for name, value in fields["headers"]]),
                value=_bytes(fields["value"]),
                kind=fields["kind"],
                event_type=fields["type"],
                lines=fields["lines"],
                phase=fields["phase"],
            )


def prepare(
    months: int | None,
    *,
    synthetic: bool,
    workdir: Path,
    progress: Progress | None = None,
) -> Prepared:
    """Write the stream, its `penstock.yaml` and the units of its sales into `workdir`.

    `progress` is called with the step, how much of it is done, and how much there is.

    Raises:
        DemoError: if the data is not installed.
    """
    report = progress or (lambda _step, _done, _total: None)
    report("reading", 0, 1)
    sales = sales_of(months=months, synthetic=synthetic)
    units = units_by_product(sales)
    report("planning", 0, 1)
    story = Story(sales)
    tally = _Tally(report, len(story))
    stream_path = workdir / "stream.jsonl"
    events = harmed(story.facts(), SYNTHETIC_ONE_IN if synthetic else ONE_IN)
    hexdigest = dump(tally.counted(events), stream_path)

    config_path, units_path = workdir / "penstock.yaml", workdir / "units.csv"
    best_seller = max(units, key=lambda product: (units[product], product))
    config = config_text(sorted(set(sales.store.tolist())), str(best_seller), int(sales.time_ms[0]))
    config_path.write_text(config)
    rows = (f"{product},{quantity}\n" for product, quantity in sorted(units.items()))
    units_path.write_text("product_id,quantity\n" + "".join(rows))
    return Prepared(
        stream_path=stream_path,
        config_path=config_path,
        units_path=units_path,
        sha256=hexdigest,
        config_text=config,
        events=sum(tally.kinds.values()),
        lines=tally.lines,
        kinds=dict(tally.kinds),
        phases=dict(tally.phases),
        types=dict(tally.types),
    )


class _Tally:
    """Counts the messages that pass through."""

    def __init__(self, report: Progress, total: int) -> None:
        self._report = report
        self._total = total
        self.lines = 0
        self.kinds: Counter[str] = Counter()
        self.phases: Counter[str] = Counter()
        self.types: Counter[str] = Counter()

    def counted(self, stream: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        while batch := list(islice(stream, _EVENTS_PER_STEP)):
            self.kinds.update(event.kind for event in batch)
            self.phases.update(event.phase for event in batch)
            self.types.update(event.event_type for event in batch)
            self.lines += sum(event.lines for event in batch)
            self._report("writing", sum(self.kinds.values()), self._total)
            yield from batch


def _line(n: int, event: StreamEvent) -> bytes:
    return orjson.dumps(
        {
            "n": n,
            "topic": event.topic,
            "key": None if event.key is None else event.key.decode(),
            "headers": [[name, value.decode()] for name, value in event.headers],
            "value": text_or_base64(event.value),
            "business_ms": event.business_ms,
            "phase": event.phase,
            "kind": event.kind,
            "type": event.event_type,
            "lines": event.lines,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    return b64decode(value["base64"]) if isinstance(value, dict) else value.encode()
