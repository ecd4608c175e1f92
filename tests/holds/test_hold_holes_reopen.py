"""Without its rule each hole of holds is there: the pool in memory with the rule taken out."""

import pytest

from tests.holds import traces
from tests.rules.catalogue import taken_out
from tests.rules.means import Held
from tests.state.pools import Bench, MemoryPool

REOPENED = [pytest.param(means, id=f"{rule.id}: {rule.says}") for rule, means in taken_out(Held)]


@pytest.mark.parametrize("rule", REOPENED)
def test_without_its_rule_the_hole_is_open(rule: Held) -> None:
    shard = rule.over(MemoryPool)
    with rule.taken_out():
        assert rule.trace(Bench(shard())) == rule.ends


@pytest.mark.parametrize(
    ("trace", "ends"), traces.KEPT, ids=lambda part: getattr(part, "__name__", "")
)
def test_with_all_rules_kept_each_trace_ends_well(
    bench: Bench, trace: traces.Trace, ends: traces.End
) -> None:
    assert trace(bench) == ends


def test_every_trace_is_known_to_end_badly_without_a_rule() -> None:
    assert {means.trace for _, means in taken_out(Held)} == {trace for trace, _ in traces.KEPT}
