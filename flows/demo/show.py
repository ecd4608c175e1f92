"""What the demo does: prepare the stream, play it through the engine, check every unit, report."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connectors.config import settings as environment
from connectors.log.base import Partition
from flows.demo import check
from flows.demo.dump import FULL_YEAR_SHA256, Prepared, prepare, read_dump
from flows.demo.events import StreamEvent
from flows.demo.governor import Governor
from flows.demo.listener import Listener
from flows.demo.placement import forget, own_place
from flows.demo.player import Faulty, Played, forged_update, play
from flows.runtime import signals as stop
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING
from flows.runtime.idle import Idle
from flows.runtime.session import runtime

IDLE_TIMEOUT_S = 900.0
SHOW_EVERY_S = 0.25


class Plant(StrEnum):
    """A fault that the self-check must find."""

    drop = "drop"
    double = "double"
    level = "level"
    stale = "stale"


class DemoFailed(Exception):
    """The demo could not be carried through; the text says why."""


@dataclass(slots=True)
class Options:
    """What the command line asked for."""

    speed: float | None
    months: int | None
    synthetic: bool
    dump: Path | None
    plant: Plant | None
    keep: Path | None


@dataclass(slots=True)
class Stage:
    """What is on while the demo runs."""

    run: Runtime
    prepared: Prepared
    heard: Listener
    console: Console
    children: list[subprocess.Popen[bytes]]
    played: Played = field(default_factory=Played)


def run_demo(options: Options, console: Console) -> int:
    """Prepare, play, check, report. Return the exit code."""
    with ExitStack() as stack:
        folder = _folder(options, stack)
        prepared = _prepare(options, folder, console)
        if options.dump is not None:
            shutil.copyfile(prepared.stream_path, options.dump)
        stack.enter_context(own_place(folder, prepared.config_path))
        run = stack.enter_context(runtime(environment.load()))
        if options.keep is None:
            stack.callback(forget, run)
        if run.primaries.store is not None:
            # This store is thrown away: rewriting its append-only file would only take time from the flows.
            run.primaries.never_rewrite()
        heard = Listener(run.log, folder)
        children = [_start(role, folder) for role in ("ingest", "publish")]
        stack.callback(_stop_children, children)
        heard.start()
        stack.callback(heard.abandon)
        stage = Stage(run, prepared, heard, console, children)
        _play(stage, options)
        if options.plant in {Plant.level, Plant.stale}:
            _forge(stage, options.plant)
        heard.finish()
        if failed := [code for code in _stop_children(children) if code]:
            raise DemoFailed(f"a flow ended with exit code {failed[0]}; see {folder}/*.log")
        console.print("checking every position, level and ad state against the stream ...")
        snapshot = check.take_snapshot(run, folder / "snapshot.jsonl")
        units = (
            "synthetic"
            if options.synthetic
            else f"data:{options.months}"
            if options.months
            else "data"
        )
        found = check.judge(run, prepared, snapshot, heard, stage.played.appended, units)
        return _tell(stage, found, snapshot)


def _prepare(options: Options, folder: Path, console: Console) -> Prepared:
    with Progress(
        TextColumn("preparing the stream: {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("reading", total=1)
        prepared = prepare(
            options.months, synthetic=options.synthetic, workdir=folder,
            progress=lambda step, done, total: bar.update(task, description=step, completed=done, total=total),
        )  # fmt: skip
    if not options.synthetic and options.months is None and prepared.sha256 != FULL_YEAR_SHA256:
        raise DemoFailed(
            f"stream: expected SHA-256 {FULL_YEAR_SHA256}, got {prepared.sha256}: another version of the data?"
        )
    return prepared


def _folder(options: Options, stack: ExitStack) -> Path:
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return options.keep.resolve()
    parent = environment.load().data
    parent.mkdir(parents=True, exist_ok=True)
    return Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-", dir=parent))
    ).resolve()


def _start(role: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{role}.log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", "flows.cli", "run", role], stderr=log)  # noqa: S603


def _stop_children(children: list[subprocess.Popen[bytes]]) -> list[int]:
    for child in children:
        if child.poll() is None:
            child.terminate()
    return [child.wait() for child in children]


def _play(stage: Stage, options: Options) -> None:
    """Load the opening stock, play the year, and close it, each when all before it is settled.

    The last event carries business time past every dwell. An ad that was paused behind it, because an older level
    was still being decided, would wait for a time that never comes.
    """
    stream = read_dump(stage.prepared.stream_path)
    if options.plant in {Plant.drop, Plant.double}:
        victim = stage.prepared.phases.get("opening", 0) + stage.prepared.phases["year"] // 2
        stream = Faulty(options.plant.value, victim).events(stream)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("{task.fields[live]}"))  # fmt: skip
    with Progress(*columns, console=stage.console) as bar:
        events = _Peek(stream)
        opening = list(_until_year(events))
        task = bar.add_task("opening stock", total=len(opening), live="")
        loaded = play(stage.run.log, opening, None, seen=lambda events: bar.advance(task, events))
        _await_idle(stage)
        task = bar.add_task("the year", total=stage.prepared.phases["year"], live="")
        stage.heard.since_ms = now_ms()
        began = time.monotonic()
        shown = _Live(stage, bar, task)
        governor = Governor(stage.run) if options.speed is not None else None
        last: list[StreamEvent] = []
        year = play(stage.run.log, _all_but_last(events, last), options.speed, governor, shown.seen)
        _await_idle(stage)
        took_s = time.monotonic() - began - Idle.QUIET_S
        closed = play(stage.run.log, last, None, seen=shown.seen)
        _await_idle(stage)
        shown.show()
    stage.played = Played(
        loaded.appended
        + year.appended
        + closed.appended
        + (options.plant is Plant.drop)
        - (options.plant is Plant.double),
        took_s,
    )
    if governor is not None and governor.held_s >= 1:
        stage.console.print(
            f"the player waited {governor.held_s:.0f} s for the engine: this machine does not carry "
            f"{options.speed:,.0f} events/s"
        )


class _Peek:
    """An iterator that shows its next item."""

    def __init__(self, items: Any) -> None:
        self._items = iter(items)
        self._next: list[StreamEvent] = []

    def __iter__(self) -> "_Peek":
        return self

    def __next__(self) -> StreamEvent:
        return self._next.pop() if self._next else next(self._items)

    def put_back(self, event: StreamEvent) -> None:
        self._next.append(event)


def _until_year(events: _Peek) -> Any:
    for event in events:
        if event.phase == "year":
            events.put_back(event)
            return
        yield event


def _all_but_last(events: Iterable[StreamEvent], last: list[StreamEvent]) -> Iterator[StreamEvent]:
    """Yield all events but the last one, which is added to `last`."""
    held: StreamEvent | None = None
    for event in events:
        if held is not None:
            yield held
        held = event
    if held is not None:
        last.append(held)


class _Live:
    """What one sees while the year is played."""

    def __init__(self, stage: Stage, bar: Progress, task: Any) -> None:
        self._stage, self._bar, self._task = stage, bar, task
        self._done = 0
        self._began = self._shown_s = time.monotonic()

    def seen(self, events: int) -> None:
        self._done += events
        if time.monotonic() - self._shown_s >= SHOW_EVERY_S:
            self.show()

    def show(self) -> None:
        self._shown_s = time.monotonic()
        heard = self._stage.heard
        recent = sorted(heard.ages_ms[-2_000:])
        p99 = recent[int(len(recent) * 0.99)] if recent else 0
        rate = self._done / max(0.001, self._shown_s - self._began)
        live = (
            f"{rate:,.0f} events/s  {heard.counts['stock.updates']:,} updates  p99 {p99} ms  "
            f"{len(heard.paused):,} ads paused"
        )
        self._bar.update(self._task, completed=self._done, live=live)


def _await_idle(stage: Stage) -> None:
    idle, deadline = Idle(stage.run), time.monotonic() + IDLE_TIMEOUT_S
    while not idle.for_long(time.monotonic()):
        if stop.wanted():
            raise DemoFailed("stopped")
        for child in stage.children:
            if child.poll() is not None:
                raise DemoFailed(f"a flow ended early with exit code {child.returncode}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"the engine was not idle within {IDLE_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def _forge(stage: Stage, plant: Plant) -> None:
    """Put a message on stock.updates that is wrong (`level`) or comes from the past (`stale`)."""
    log = stage.run.log
    for n in range(log.partitions("stock.updates")):
        records = log.read(
            {Partition("stock.updates", n): log.start_offsets("stock.updates")[n]}, 1
        )
        if not records or records[0].value is None:
            continue
        first = orjson.loads(records[0].value)["data"]
        levels = {channel: level + 1 for channel, level in first["levels"].items()}
        version = first["version"] if plant is Plant.stale else now_ms() * 1000
        message = forged_update(
            first["sku"], version, first["available"], levels, now_ms(), first["cause_time"]
        )
        log.append([message])
        return
    raise DemoFailed("no update to forge")


def _tell(stage: Stage, found: dict[str, Any], snapshot: check.Snapshot) -> int:
    """Print the findings and the last line. Return the exit code."""
    for example in found["examples"]:
        stage.console.print(f"  {example}", markup=False, highlight=False)
    for each in snapshot.findings:
        finding = f"  explain: {each.sku} on {each.channel}: {'; '.join(each.findings)}"
        stage.console.print(finding, markup=False, highlight=False)
    heard, played = stage.heard, stage.played
    rate = stage.prepared.phases["year"] / played.took_s
    print(f"explained={snapshot.explained}/{snapshot.pairs}")
    print(f"end state: sha256={snapshot.sha256}")
    print(
        f"demo: events={played.appended} updates={found['updates']} pauses={found['pauses']} "
        f"resumes={found['resumes']} dead={found['dead']} planted_dead={found['planted_dead']} "
        f"duplicates={found['duplicates']} planted_duplicates={found['planted_duplicates']} "
        f"lost={found['lost']} doubled={found['doubled']} mismatched={found['mismatched']} "
        f"p50_ms={heard.percentile_ms(0.5):.0f} p99_ms={heard.percentile_ms(0.99):.0f} "
        f"events_per_s={rate:.0f} sha256={stage.prepared.sha256}",
        flush=True,
    )
    clean = not (found["lost"] or found["doubled"] or found["mismatched"])
    clean = clean and snapshot.explained == snapshot.pairs
    planted = (
        found["dead"] == found["planted_dead"]
        and found["duplicates"] == found["planted_duplicates"]
    )
    return 0 if clean and planted else FINDING
