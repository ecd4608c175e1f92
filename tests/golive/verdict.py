"""What the channels were told, and what is stored in the end, held against the truth."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from connectors.log.base import history
from flows.demo.listener import Listener
from flows.runtime.context import Runtime
from tests.evidence import Json, event_of, inputs, stock
from tests.golive.monday import Monday
from tests.golive.shop import Shop, json_lines
from tests.oracle.case import case_of
from tests.oracle.compare import check_levels, check_positions, check_skus
from tests.oracle.course import Course
from tests.oracle.policy import policy_of
from tests.oracle.stream import marked, rfc3339_ms
from tests.oracle.verdict import examples

LAG_MS = 20_000
"""What was told may be so much older than what the log held by then: a flow was killed in between."""
EXAMPLES = 5
IMPORT = "/penstock/import"


@dataclass(slots=True)
class Moments:
    """When something happened that the verdict has to know of, in ms by this machine's clock."""

    live_ms: int = 0
    second_import_ms: int = 0
    killed_ms: int = 0
    open_ms: int = 0
    silent_from_ms: int = 0
    silent_to_ms: int = 0
    right_again_ms: int = 0
    good_feeds: set[str] = field(default_factory=set)
    """Ids of the supplier's feeds that were right."""
    hot: list[str] = field(default_factory=list)
    """SKUs that checkouts were after."""


class Scene(Protocol):
    """The part of the morning that a verdict needs."""

    shop: Shop
    run: Runtime
    day: Monday
    heard: Listener
    silent_shop: str
    moments: Moments
    frozen: int
    wrong: list[str]

    @property
    def rules(self) -> dict[str, Any]:
        """The configuration as it should be."""

    @property
    def journals(self) -> list[Path]:
        """What the checkouts wrote down."""


class Verdict(NamedTuple):
    """The figures of the last line, and examples of what is wrong."""

    false_zeros: int
    oversold: int
    frozen: int
    explained: int
    pairs: int
    wrong: list[str]

    @property
    def is_right(self) -> bool:
        """Say whether nothing is wrong."""
        counted = self.false_zeros == self.oversold == 0 and self.explained == self.pairs
        return counted and not self.wrong

    def __str__(self) -> str:
        """Return the last line."""
        return (
            f"golive: false_zeros={self.false_zeros} oversold={self.oversold} "
            f"frozen={self.frozen} explained={self.explained}/{self.pairs}"
        )


class Arrivals(NamedTuple):
    """One stock update."""

    sku: str
    at_ms: int
    cause_ms: int
    levels: dict[str, int]


def course_of(at: Scene) -> Course:
    """Follow the pool through all that is in the log by now, and through what the checkouts held."""
    course = Course(
        at.day.stock, policy_of(at.rules), at.silent_shop,
        (at.moments.silent_from_ms, at.moments.silent_to_ms),
    )  # fmt: skip
    for at_ms, what, data in sorted(_happened(at), key=lambda each: each[0]):
        if what == "held":
            course.hold(data["sku"], data["units"], at_ms)
        else:
            course.apply(what, data, at_ms)
    return course


def judge(at: Scene) -> Verdict:
    """Judge the morning, once all is idle."""
    course = course_of(at)
    wrong = [*at.wrong, *_early(at), *_counts_differ(at), *_end_differs(at, course)]
    zeros = list(_false_zeros(at, course))
    oversold = course.oversold()
    wrong += [f"false zero: {each}" for each in zeros[:EXAMPLES]]
    wrong += [f"oversold: {sku} by {units}" for sku, units in sorted(oversold.items())[:EXAMPLES]]
    explained, pairs, unexplained = _explained(at)
    wrong += [f"explain: {each}" for each in unexplained[:EXAMPLES]]
    return Verdict(len(zeros), sum(oversold.values()), at.frozen, explained, pairs, wrong)


def _happened(at: Scene) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield `(log time, type, data)` of what took effect, and `(time, "held", {sku, units})`."""
    sent, times = _in_log_order(at)
    for (kind, event), at_ms in zip(marked(sent), times, strict=True):
        if kind == "good" and event["source"] != IMPORT:
            yield at_ms, event["type"], event["data"]
    for journal in at.journals:
        for line in journal.read_bytes().splitlines() if journal.exists() else ():
            note = orjson.loads(line)
            if "sku" in note:
                yield note["at_ms"], "held", note


def _in_log_order(at: Scene) -> tuple[list[Json], list[int]]:
    """Return the events and their log times; a feed that must have been held back is empty."""
    records = sorted(
        inputs(at.run.log),
        key=lambda each: (each.timestamp_ms, each.topic, each.partition, each.offset),
    )
    events = map(event_of, records)
    good = at.moments.good_feeds
    return [
        event if event["type"] != "supplier.stock" or event["id"] in good else {}
        for event in events
    ], [record.timestamp_ms for record in records]


def _updates(at: Scene) -> Iterator[Arrivals]:
    with at.heard.files["stock.updates"].open("rb") as lines:
        for line in lines:
            record = orjson.loads(line)
            data = record["value"]["data"]
            cause_ms = rfc3339_ms(data["cause_time"])
            yield Arrivals(data["sku"], record["timestamp_ms"], cause_ms, data["levels"])


def _false_zeros(at: Scene, course: Course) -> Iterator[str]:
    """Yield every zero told to a channel that had something to show all the while."""
    last: dict[tuple[str, str], int] = {}
    for update in _updates(at):
        for channel, level in update.levels.items():
            before = last.get((update.sku, channel))
            last[update.sku, channel] = level
            if level or before == 0:
                continue
            since_ms = min(update.cause_ms, update.at_ms) - LAG_MS
            if not course.could_be_zero(update.sku, channel, since_ms, update.at_ms):
                yield f"{update.sku} on {channel} (before: {before})"


def _early(at: Scene) -> list[str]:
    """Return what was told to channels of whose locations half was not known."""
    between = range(at.moments.live_ms, at.moments.second_import_ms)
    found = defaultdict[str, int](int)
    for update in _updates(at):
        if update.at_ms in between:
            for channel in update.levels:
                found[channel] += channel != "momo"
    return [
        f"gate: {channel} was told {count} levels too early"
        for channel, count in found.items()
        if count
    ]


def _counts_differ(at: Scene) -> list[str]:
    """Return where what was imported is not what lay there."""
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    for record in history(at.run.log, "wms.receipts"):
        event = event_of(record)
        if event["source"] == IMPORT:
            data = event["data"]
            counted[data["location"]].update({x["sku"]: x["quantity"] for x in data["lines"]})
    return [
        f"import: {location}: expected {len(there)} positions as they lay there, got {len(counted[location])}"
        for location, there in at.day.stock.items()
        if counted[location] != there
    ][:EXAMPLES]


def _end_differs(at: Scene, course: Course) -> list[str]:
    """Return where the end in the store is not that of the truth: positions, what is promised, levels emitted."""
    policy = policy_of(at.rules)
    case = case_of(marked(_in_log_order(at)[0]), policy, stock(at.run))
    expected, snapshot = case.expected, case.snapshot
    checks = [
        check_positions(expected, snapshot.positions),
        check_skus(expected, snapshot.figures),
        check_levels(expected, snapshot.levels, policy),
        course.check_end(expected),
    ]
    found, differ = examples(checks)[:EXAMPLES], sum(check.differ for check in checks)
    return found + ([f"and {differ - EXAMPLES} more"] if differ > EXAMPLES else [])


def _explained(at: Scene) -> tuple[int, int, list[str]]:
    """Ask the program itself to explain every level."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "explain", "--all", "--json"],
        cwd=at.shop.folder, env=at.shop.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        return 0, 1, [done.stderr.strip()[-500:]]
    *findings, total = json_lines(done.stdout)
    return total["explained"], total["pairs"], [str(each) for each in findings]
