"""Import a file of positions, step by step: read and check it, append its counts, declare locations complete.

All of a file or nothing: with a problem in any line nothing is appended. Delivery guarantee: as
`flows.services.corrections.import_counts`; each batch is confirmed before the next, and the first failure ends it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from connectors.config.positions_file import Names, Positions, read_positions
from connectors.config.yaml_reader import Lint
from connectors.log.base import AppendFailed, LogUnavailable, Partition
from flows.runtime import signals
from flows.runtime.context import Runtime
from flows.runtime.idle import LOOK_EVERY_S
from flows.runtime.retry import retry_until_available
from flows.services.bad_file import BadFile
from flows.services.corrections.import_counts import SOURCE, Plan
from flows.services.policy.overlay import change_overlay
from state.events.timestamps import rfc3339_ms
from state.policy import overlay
from state.protocol.common import ABSENT

BATCH: Final = 20
"""Events appended at once: half a MiB, so that no reader is handed too much."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class AppendedCounts:
    """What became of the events of an import."""

    events: int = 0
    failures: list[str] = field(default_factory=list)
    """Why events were not appended."""
    is_away: bool = False
    """The log was unavailable."""
    last: dict[Partition, int] = field(default_factory=dict)
    """The last offset of each partition."""


def as_of_ms(run: Runtime, text: str | None) -> int:
    """Return the time of an import; without one it is now.

    Raises:
        ValueError: with what was expected and what came.
    """
    if text is None:
        return run.business_now_ms()
    try:
        found_ms = rfc3339_ms(text)
    except ValueError as error:
        raise ValueError(f"expected {error}, got {text!r}") from None
    if found_ms > run.clock.now_ms():
        raise ValueError(f"expected a time that has passed, got {text!r}")
    return found_ms


def read_file(run: Runtime, file: Path, empty: Sequence[str], progress: Progress) -> Positions:
    """Return what a file says, with the codes of other systems read as SKUs.

    Args:
        run: knows locations and codes.
        file: CSV `location,sku,on_hand,unavailable`.
        empty: locations at which there is nothing; the file may not name them.
        progress: gets the number of characters read since it was last called.

    Raises:
        BadFile: with every problem.
        OSError: it cannot be opened.
    """
    compiled, codes, now_ms = run.policy.compiled, run.policy.codes, run.clock.now_ms()
    lint = Lint(file.name)

    def sku(code: str) -> tuple[str, int] | None:
        return (code, 1) if codes is None else codes(SOURCE, code, now_ms)

    names = Names(compiled.knows_location, compiled.locations, sku)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        positions = read_positions(_measured(lines, progress), names, lint)
    for location in empty:
        if location in positions or not compiled.knows_location(location):
            expected = "one without lines in the file" if location in positions else "a listed one"
            lint.add(1, "--empty", f"expected {expected}, got {location!r}")
    if lint.problems:
        raise BadFile(*map(str, lint.problems))
    return positions


def _measured(lines: Iterator[str], progress: Progress) -> Iterator[str]:
    for line in lines:
        progress(len(line))
        yield line


def append(run: Runtime, plan: Plan, progress: Progress) -> AppendedCounts:
    """Append the events of a plan; `progress` gets the number of lines appended since it was last called."""
    appended, events = AppendedCounts(), plan.events()
    while (batch := list(islice(events, BATCH))) and not appended.failures:
        for result in run.log.append([event for event, _ in batch]):
            if isinstance(result, AppendFailed):
                appended.failures.append(result.reason)
                appended.is_away = appended.is_away or isinstance(result.error, LogUnavailable)
            else:
                appended.events += 1
                appended.last[Partition(result.topic, result.partition)] = result.offset
        progress(sum(lines for _, lines in batch))
    return appended


def declare_complete(
    run: Runtime,
    locations: Sequence[str],
    appended: AppendedCounts,
    timeout_s: float,
    *,
    by: str,
    why: str,
) -> bool:
    """Declare locations complete once every shard has applied what was appended, not before.

    Return False, and declare nothing, if that takes longer than `timeout_s`.
    """
    if not _applied(run, appended.last, timeout_s):
        return False
    declare = partial(overlay.declare_complete, now_ms=run.clock.now_ms())
    change_overlay(run, lambda known: declare(known, locations, by=by, why=why))
    return True


def _applied(run: Runtime, last: Mapping[Partition, int], timeout_s: float) -> bool:
    """Wait until all shards have applied everything up to these offsets."""
    until_s = time.monotonic() + timeout_s
    marks = {f"{run.log.log_id(p.topic)}/{p.n}": offset for p, offset in last.items()}
    while True:
        shards = retry_until_available(run.store.marks)
        if all(s.get(mark, ABSENT) >= offset for s in shards for mark, offset in marks.items()):
            return True
        if time.monotonic() >= until_s or signals.wait(LOOK_EVERY_S):
            return False
