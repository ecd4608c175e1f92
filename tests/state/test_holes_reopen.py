"""Each rule taken out of the memory pool in turn: its trace must then end badly."""

import pytest

from tests.rules.catalogue import taken_out
from tests.rules.means import Traced
from tests.state import traces
from tests.state.pools import Bench, MemoryPool

REOPENED = [
    pytest.param(trace, means, id=f"{traces.hole_of(trace)}: {rule.says}")
    for rule, means in taken_out(Traced)
    for trace in means.traces
]


@pytest.mark.parametrize(("trace", "rule"), REOPENED)
def test_without_its_rule_the_hole_is_open(trace: traces.Trace, rule: Traced) -> None:
    shard = rule.over(MemoryPool)
    with rule.taken_out(), pytest.raises((AssertionError, StopIteration)):
        trace(Bench(shard()))


def test_every_trace_that_names_a_hole_of_the_pool_is_known_to_fail_without_its_rule() -> None:
    tried = {trace for _, means in taken_out(Traced) for trace in means.traces}
    assert tried == set(traces.ALL)
