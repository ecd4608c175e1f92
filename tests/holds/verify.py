"""Counting again, from the log alone: what was received, what was sold, and what the store says of it."""

from dataclasses import dataclass, field

from flows.runtime.context import Runtime
from flows.services.scrub.scan import Findings, Scan
from tests.evidence import event_of, inputs, stock
from tests.oracle.case import case_of
from tests.oracle.compare import check_levels, check_positions, check_skus, check_sold
from tests.oracle.policy import Policy
from tests.oracle.stream import marked
from tests.oracle.verdict import examples


@dataclass(slots=True)
class Verdict:
    """Units over all SKUs, and what does not agree."""

    units: int = 0
    sold: int = 0
    oversold: int = 0
    stranded: int = 0
    faults: list[str] = field(default_factory=list)


def judge(run: Runtime, policy: Policy) -> Verdict:
    """Compare the log with itself and with the store, which has come to rest, and let the walk look at the store."""
    case = case_of(marked(map(event_of, inputs(run.log))), policy, stock(run))
    expected, snapshot = case.expected, case.snapshot
    sold, oversold, stranded = check_sold(expected)
    checks = [
        sold,
        check_positions(expected, snapshot.positions),
        check_skus(expected, snapshot.figures),
        check_levels(expected, snapshot.levels, policy),
    ]
    walk = Scan(run, run, Findings(), 0)
    for _ in walk.steps():
        pass
    walked = [f"{f.invariant} of {f.sku}: {f.expected}, {f.found}" for f in walk.findings.faults]
    units = int(case.stream.batch("wms.receipt").quantity.sum())
    return Verdict(
        units, int(expected.units.sum()), oversold, stranded, [*examples(checks), *walked]
    )
