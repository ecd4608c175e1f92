"""One run laid before the judge: what was sent, what must have come of it, what the store shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.oracle.expected import Expected, work_out
from tests.oracle.policy import Policy
from tests.oracle.snapshot import Snapshot, snapshot_of
from tests.oracle.stream import Names, Sent, Stream, stream_of


@dataclass(frozen=True, slots=True)
class Case:
    """What the checks of `compare` need, and `lost`."""

    names: Names
    policy: Policy
    stream: Stream
    snapshot: Snapshot
    expected: Expected


def case_of(sent: Iterable[Sent], policy: Policy, stock: Iterable[dict[str, Any]]) -> Case:
    """Work out what must have come of the messages; `stock` is each SKU as `penstock stock` prints it.

    Raises:
        InputError: the messages are marked wrongly, or a SKU or a location of it stands in the stock twice.
    """
    names = Names()
    stream = stream_of(sent, names)
    known = len(names.sku)
    snapshot = snapshot_of(stock, names, [channel.id for channel in policy.channels])
    return Case(names, policy, stream, snapshot, work_out(stream, policy, names, known))
