"""`penstock import`: what lies where, out of a file, as counts in the log; all of it or nothing."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from connectors.config.positions_file import Names, Positions, read_positions
from connectors.config.yaml_reader import Lint
from connectors.log.base import AppendFailed, LogUnavailable, Partition
from flows.cli import output
from flows.cli.progress import Told, bar
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK, USAGE
from flows.runtime.idle import LOOK_EVERY_S
from flows.runtime.retry import insist
from flows.runtime.session import reached_or_made
from flows.services.corrections import import_counts as importing
from flows.services.corrections.import_counts import Plan
from flows.services.policy.overlay import steer
from state.events.timestamps import rfc3339_ms
from state.policy import overlay
from state.protocol.common import ABSENT

PROBLEMS_SHOWN: Final = 20
BATCH: Final = 20
"""Events appended at once: half a MiB, so that nobody who reads is handed too much."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was asked for."""

    file: Path
    as_of: str | None = None
    dry_run: bool = False
    complete: bool = False
    """The file names all that lies at each of its locations."""
    empty: tuple[str, ...] = ()
    """Locations at which nothing lies."""
    by: str = ""
    timeout_s: float = 60.0
    as_json: bool = False


@dataclass(slots=True)
class Sent:
    """What became of the events."""

    events: int = 0
    failed: int = 0
    away: bool = False
    last: dict[Partition, int] = field(default_factory=dict)
    """The last offset of each partition."""


def import_file(wanted: Wanted) -> int:
    """Check a file and send it; declare its locations complete, if it is, once all is applied."""
    with reached_or_made() as run:
        run.follow_policy()
        as_of_ms = _as_of_ms(run, wanted.as_of)
        found = None if as_of_ms is None else _read(run, wanted)
        if as_of_ms is None or found is None:
            return USAGE
        whole = [*wanted.empty, *(found if wanted.complete else ())]
        with bar("import: looking at the store") as told:
            made = importing.plan(found, as_of_ms, run.store, whole, told)
        sent = Sent(sum(1 for _ in made.events())) if wanted.dry_run else _send(run, made)
        _tell(made, sent, wanted)
        code = AWAY_EXIT if sent.away else FINDING if sent.failed else OK
        if whole and code == OK and not wanted.dry_run:
            code = _declare(run, whole, sent, wanted)
        output.line(f"import: positions={made.positions} events={sent.events} failed={sent.failed}")
        return code


def _as_of_ms(run: Runtime, text: str | None) -> int | None:
    if text is None:
        return run.business_now_ms()
    try:
        as_of_ms = rfc3339_ms(text)
    except ValueError as error:
        output.fault("import", f"--as-of: expected {error}, got {text!r}")
        return None
    if as_of_ms > run.clock.now_ms():
        output.fault("import", f"--as-of: expected a time that has passed, got {text!r}")
        return None
    return as_of_ms


def _read(run: Runtime, wanted: Wanted) -> Positions | None:
    """Return what the file says, None after what is wrong was told."""
    file, compiled, codes = wanted.file, run.policy.compiled, run.policy.codes
    lint, now_ms = Lint(file.name), run.clock.now_ms()

    def sku(code: str) -> tuple[str, int] | None:
        return (code, 1) if codes is None else codes(importing.SOURCE, code, now_ms)

    names = Names(compiled.knows_location, compiled.locations, sku)
    try:
        with (
            file.open(encoding="utf-8-sig", newline="") as lines,
            bar("import: reading", file.stat().st_size) as told,
        ):
            found = read_positions(_measured(lines, told), names, lint)
    except OSError as error:
        output.fault("import", f"{file}: expected a readable file, got {error.strerror}")
        return None
    for location in wanted.empty:
        if location in found or not compiled.knows_location(location):
            expected = "one without lines in the file" if location in found else "a listed one"
            lint.add(1, "--empty", f"expected {expected}, got {location!r}")
    for problem in lint.problems[:PROBLEMS_SHOWN]:
        output.fault("import", str(problem))
    if len(lint.problems) > PROBLEMS_SHOWN:
        output.fault("import", f"and {len(lint.problems) - PROBLEMS_SHOWN} more problems")
    if lint.problems:
        output.fault("import", "nothing was sent")
        return None
    return found


def _measured(lines: Iterator[str], told: Told) -> Iterator[str]:
    for line in lines:
        told(len(line))
        yield line


def _send(run: Runtime, made: Plan) -> Sent:
    """Append the events, each batch confirmed before the next; the first failure ends it."""
    sent, events = Sent(), made.events()
    with bar("import: sending", made.positions + made.set_aside) as told:
        while (some := list(islice(events, BATCH))) and not sent.failed:
            for result in run.log.append([event for event, _ in some]):
                if isinstance(result, AppendFailed):
                    sent.failed += 1
                    sent.away = sent.away or isinstance(result.error, LogUnavailable)
                    output.fault("import", result.reason)
                else:
                    sent.events += 1
                    sent.last[Partition(result.topic, result.partition)] = result.offset
            told(sum(lines for _, lines in some))
    return sent


def _tell(made: Plan, sent: Sent, wanted: Wanted) -> None:
    summary = {
        "positions": made.positions,
        "locations": len(made.counts),
        "emptied": made.emptied,
        "unavailable_changed": made.set_aside,
        "units": sum(units for lines in made.counts.values() for _, units, _ in lines),
        "events": sent.events,
        "failed": sent.failed,
        "dry_run": wanted.dry_run,
    }
    if output.wants_json(asked=wanted.as_json):
        output.json_line(summary)
    else:
        output.fields(summary)


def _declare(run: Runtime, whole: Sequence[str], sent: Sent, wanted: Wanted) -> int:
    """Declare locations complete once every shard has applied what was sent, not before."""
    if not _applied(run, sent.last, wanted.timeout_s):
        output.fault(
            "import",
            f"sent, but not applied within {wanted.timeout_s:g} s: no location was declared complete; "
            "see `penstock run`, then import the file with the same --as-of again: it counts once",
        )
        return FINDING
    declare = partial(overlay.declare_complete, now_ms=run.clock.now_ms())
    steer(run, lambda known: declare(known, whole, by=wanted.by, why=wanted.file.name))
    return OK


def _applied(run: Runtime, last: dict[Partition, int], timeout_s: float) -> bool:
    """Wait until all shards have applied everything up to these offsets."""
    until_s = time.monotonic() + timeout_s
    marks = {f"{run.log.log_id(p.topic)}/{p.n}": offset for p, offset in last.items()}
    while True:
        shards = insist(run.store.marks)
        if all(s.get(mark, ABSENT) >= offset for s in shards for mark, offset in marks.items()):
            return True
        if time.monotonic() >= until_s or stop.wait(LOOK_EVERY_S):
            return False
