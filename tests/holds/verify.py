"""Counting again, from the log alone: what was received, what was sold, and what the store says of it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors.log.base import history
from flows.runtime.context import Runtime
from flows.services.scrub.scan import Findings, Scan


@dataclass(slots=True)
class Verdict:
    """Units over all SKUs, and what does not agree."""

    units: int = 0
    sold: int = 0
    oversold: int = 0
    stranded: int = 0
    faults: list[str] = field(default_factory=list)


def _events(run: Runtime, topic: str) -> Iterator[dict[str, Any]]:
    """Yield each event of a topic once."""
    seen: set[tuple[str, str]] = set()
    for record in history(run.log, topic):
        event = json.loads(record.value or b"{}")
        name = (event["source"], event["id"])
        if name not in seen:
            seen.add(name)
            yield event


def _units(event: dict[str, Any]) -> Counter[str]:
    return Counter({line["sku"]: line["quantity"] for line in event["data"]["lines"]})


def judge(run: Runtime) -> Verdict:
    """Compare the log with itself and with the store, which has come to rest."""
    received: Counter[str] = Counter()
    sold: Counter[str] = Counter()
    ordered: Counter[str] = Counter()
    for event in _events(run, "wms.receipts"):
        received.update(_units(event))
    for event in _events(run, "pos.sales"):
        sold.update(_units(event))
    placed: set[tuple[str, str]] = set()
    for event in _events(run, "marketplace.orders"):
        order = (event["data"]["channel"], event["data"]["order"])
        if order not in placed:
            placed.add(order)
            ordered.update(_units(event))
    verdict = Verdict(units=received.total(), sold=sold.total() + ordered.total())
    for state in run.store.read_many(sorted(received)):
        if state is None:
            verdict.faults.append("a SKU of the log is not in the store")
            continue
        sku = state.sku
        left = received[sku] - sold[sku] - ordered[sku]
        verdict.oversold += max(0, -left)
        verdict.stranded += max(0, left)
        reserved = sum(position.reserved for position in state.positions)
        said = (state.base - state.unrouted - state.held, state.unrouted, state.held, reserved)
        expected = (left, ordered[sku], 0, 0)
        if said != expected:
            verdict.faults.append(
                f"{sku}: expected available, unrouted, held, reserved {expected}, got {said}"
            )
    walk = Scan(run, run, Findings(), 0)
    for _ in walk.steps():
        pass
    verdict.faults += [
        f"{f.invariant} of {f.sku}: {f.expected}, {f.found}" for f in walk.findings.faults
    ]
    return verdict
