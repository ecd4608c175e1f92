"""One run judged: read each file once, work out the answers, compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.oracle.case import case_of
from tests.oracle.compare import (
    check_last_messages,
    check_levels,
    check_positions,
    check_skus,
    check_units,
    check_versions,
)
from tests.oracle.compare_ads import check_ads
from tests.oracle.policy import read_policy
from tests.oracle.snapshot import stock_in
from tests.oracle.stream import sent_in
from tests.oracle.topics import count_dead, read_signals, read_updates
from tests.oracle.units import source_units
from tests.oracle.verdict import Counters, Totals, report


@dataclass(frozen=True, slots=True)
class Files:
    """Where the run's outcome lies; `folded` tells how to read the updates."""

    stream: Path
    config: Path
    snapshot: Path
    updates: Path
    signals: Path
    dead: Path
    counters: Path
    source_units: str
    folded: bool


def judge(files: Files) -> dict[str, Any]:
    """The report of `tests.oracle.verdict` on one run.

    Raises:
        InputError: a file is not in the form that its reader's docstring gives.
    """
    policy = read_policy(files.config)
    case = case_of(sent_in(files.stream), policy, stock_in(files.snapshot))
    signals = read_signals(files.signals)
    wanted = {sku for _, sku in signals.by_key}
    channels = [channel.id for channel in policy.channels]
    updates = read_updates(files.updates, channels, wanted, folded=files.folded)
    counters = Counters(**orjson.loads(files.counters.read_bytes()))

    stream, snapshot, expected = case.stream, case.snapshot, case.expected
    units, missing, surplus = check_units(expected, source_units(files.source_units))
    checks = [
        units,
        check_positions(expected, snapshot.positions),
        check_skus(expected, snapshot.figures),
        check_levels(expected, snapshot.levels, policy),
        check_last_messages(expected, updates, policy),
        check_versions(expected, updates, snapshot.figures),
        *check_ads(expected, policy, snapshot, signals, updates),
    ]
    totals = Totals(
        good=stream.good,
        planted_duplicates=stream.duplicates,
        planted_dead=stream.bad,
        dead=count_dead(files.dead),
        pauses=signals.pauses,
        resumes=signals.resumes,
        updates=updates.count,
        units_missing=missing,
        units_surplus=surplus,
    )
    return report(totals, counters, checks)
