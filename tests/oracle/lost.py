"""What is lost and what is doubled: of the events by their number, of wrong figures by the sizes of their events."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.oracle.case import Case
from tests.oracle.columns import ints, unpack
from tests.oracle.expected import netting
from tests.oracle.positions import movements
from tests.oracle.stream import Stream
from tests.oracle.verdict import Check, Finding


class Counted(NamedTuple):
    """What became of the messages, by the engine's own counters and by the log.

    `rejected` are dead letters where none was planted; `missing` was confirmed by the log and is not in it.
    """

    applied: int
    duplicates: int
    rejected: int = 0
    missing: int = 0


def check_events(stream: Stream, counted: Counted) -> tuple[Check, int, int]:
    """Every event took effect once, its copies were known as copies; also how many are lost, and how many doubled."""
    check = Check("events", compared=stream.good)
    lost = counted.missing + max(0, stream.good - counted.applied) + counted.rejected
    doubled = max(0, counted.applied - stream.good) or abs(stream.duplicates - counted.duplicates)
    if lost:
        check.found(
            f"expected {stream.good} applied and none rejected, got {counted.applied} applied, "
            f"{counted.rejected} rejected, {counted.missing} not in the log"
        )
    if doubled:
        check.found(
            f"expected {stream.good} applied and {stream.duplicates} known as copies, "
            f"got {counted.applied} and {counted.duplicates}"
        )
    return check, lost, doubled


def blame(case: Case, findings: Sequence[Finding], *, too_many: bool) -> tuple[int, int]:
    """Count wrong figures as lost or as doubled, by the sizes of their events: which of them explains it?

    Where both would do, or none, `too_many` decides: what most events are by their number.
    """
    lost = doubled = 0
    sizes = _sizes(case, findings)
    for finding in findings:
        known = sizes[finding.sku, finding.location]
        is_one_less, is_one_more = -finding.units in known, finding.units in known
        if (is_one_more and not is_one_less) or (is_one_more == is_one_less and too_many):
            doubled += 1
        else:
            lost += 1
    return lost, doubled


def _sizes(case: Case, findings: Sequence[Finding]) -> dict[tuple[str, str], set[int]]:
    """By how much single events moved a position or, without a location, the open units of orders: (SKU, location)."""
    sizes: dict[tuple[str, str], set[int]] = defaultdict(set)
    names, stream = case.names, case.stream
    skus, locations = list(names.sku), list(names.location)
    wrong = ints(sorted({names.sku[finding.sku] for finding in findings}))
    moved = movements(stream, names, netting(case.policy, names))
    sku, location = unpack(moved.key)
    mine = np.isin(sku, wrong)
    for code, place, units in zip(
        sku[mine], location[mine], moved.on_hand[mine].tolist(), strict=True
    ):
        sizes[skus[code], locations[place]].add(units)
    for event_type, sign in (("order.placed", 1), ("order.cancelled", -1), ("wms.shipment", -1)):
        batch = stream.batch(event_type)
        mine = np.isin(batch.sku, wrong)
        for code, units in zip(batch.sku[mine], batch.quantity[mine].tolist(), strict=True):
            sizes[skus[code], ""].add(sign * units)
    return sizes
