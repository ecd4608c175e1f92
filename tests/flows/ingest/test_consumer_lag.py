"""How far a reader is behind, and the oldest change that is not told yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.log.base import Partition, Record
from connectors.redis.embedded import Embedded
from flows.ingest.consumer_lag import ConsumerLag
from flows.publish.publish_lag import PublishLag
from monitoring import metrics
from state.protocol.claim import Claimed, Due
from tests.flows.harness import engine
from tests.flows.shop import lines

NOW_MS = 1_700_000_000_000
ONE, TWO = Partition("pos.sales", 71), Partition("pos.sales", 72)


@pytest.fixture
def lag() -> Iterator[ConsumerLag]:
    made = ConsumerLag()
    yield made
    made.end()


@pytest.fixture(autouse=True)
def at_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.LAG_AGE, "_now_ms", lambda: NOW_MS)
    monkeypatch.setattr(metrics.UNSETTLED_AGE, "_now_ms", lambda: NOW_MS)


def record(partition: Partition, offset: int, age_ms: int) -> Record:
    return Record(partition.topic, partition.n, offset, NOW_MS - age_ms, b"k", (), b"v")


def age(partition: Partition) -> float | None:
    labels = {"topic": partition.topic, "partition": str(partition.n)}
    return metrics.REGISTRY.get_sample_value("penstock_lag_seconds", labels)


def messages(partition: Partition) -> float | None:
    labels = {"topic": partition.topic, "partition": str(partition.n)}
    return metrics.REGISTRY.get_sample_value("penstock_lag_messages", labels)


def test_what_is_handed_on_is_behind_by_its_oldest_until_it_is_applied(lag: ConsumerLag) -> None:
    lag.handed_on([record(ONE, 0, 9_000), record(ONE, 1, 3_000), record(TWO, 0, 2_000)])
    assert (age(ONE), age(TWO)) == (9, 2)
    lag.handed_on([record(ONE, 2, 1_000)])
    lag.applied({ONE: 1, TWO: 0})
    assert (age(ONE), age(TWO)) == (1, 0)
    lag.applied({ONE: 2})
    assert age(ONE) == 0


def test_a_partition_that_goes_on_beyond_the_batch_is_still_behind(lag: ConsumerLag) -> None:
    lag.look({ONE: -1}, {ONE: 10}, NOW_MS)
    lag.handed_on([record(ONE, 0, 9_000), record(ONE, 4, 8_000)])
    lag.applied({ONE: 4})
    assert age(ONE) == 9, "what is left is younger"
    lag.look({ONE: 4}, {ONE: 10}, NOW_MS)
    assert (age(ONE), messages(ONE), lag.behind) == (9, 5, frozenset({ONE}))
    lag.handed_on([record(ONE, 5, 2_000), record(ONE, 9, 1_000)])
    lag.applied({ONE: 9})
    assert age(ONE) == 0


def test_what_was_not_read_is_no_older_than_the_last_look_that_found_nothing(
    lag: ConsumerLag,
) -> None:
    lag.look({ONE: 4}, {ONE: 5}, NOW_MS - 3_000)
    assert (age(ONE), lag.behind) == (0, frozenset())
    lag.look({ONE: 4}, {ONE: 6}, NOW_MS - 2_000)
    assert (age(ONE), messages(ONE)) == (3, 1)
    lag.look({ONE: 4}, {ONE: 7}, NOW_MS)
    assert age(ONE) == 3, "it is still the same message"


def test_a_partition_given_up_is_told_no_more(lag: ConsumerLag) -> None:
    lag.look({ONE: 1, TWO: 1}, {ONE: 5, TWO: 2}, NOW_MS)
    lag.look({TWO: 1}, {TWO: 2}, NOW_MS)
    assert (age(ONE), messages(ONE)) == (None, None)
    assert (age(TWO), messages(TWO)) == (0, 0)


def test_what_was_dropped_is_told_when_it_is_read_again(lag: ConsumerLag) -> None:
    lag.handed_on([record(ONE, 0, 9_000)])
    lag.drop()
    lag.applied({ONE: 0})
    lag.handed_on([record(ONE, 0, 9_000)])
    assert age(ONE) == 9
    lag.applied({ONE: 0})
    assert age(ONE) == 0


def due(sku: str, age_ms: int) -> Due:
    cause_ms = NOW_MS - age_ms if age_ms else 0
    return Due(sku, 1, True, False, 0, 0, 0, (), cause_ms, (), 0, "", "", ())  # noqa: FBT003


def claimed(*dues: Due) -> Claimed:
    return Claimed(1, False, 0, dues, ())  # noqa: FBT003


def unsettled() -> float | None:
    return metrics.REGISTRY.get_sample_value("penstock_unsettled_age_seconds")


def test_the_oldest_change_claimed_is_told_until_it_is_settled() -> None:
    one = PublishLag()
    one.claimed([claimed(due("A", 4_000), due("B", 0)), claimed(due("C", 6_000))])
    assert unsettled() == 6
    one.settled((), NOW_MS)
    assert unsettled() == 0
    one.claimed([claimed(due("A", 0))])
    assert unsettled() == 0, "a look without a change"


def test_rounds_are_settled_in_the_order_of_their_claims() -> None:
    one = PublishLag()
    one.claimed([claimed(due("A", 7_000))])
    one.claimed([claimed(due("B", 4_000))])
    assert unsettled() == 7
    one.settled((), NOW_MS)
    assert unsettled() == 4
    one.settled((), NOW_MS)
    assert unsettled() == 0


def test_what_could_not_be_emitted_is_told_until_its_lease_ends() -> None:
    one = PublishLag()
    one.claimed([claimed(due("A", 4_000), due("B", 7_000))])
    one.settled([due("B", 7_000)], NOW_MS + 5_000)
    assert unsettled() == 7
    one.due(1, NOW_MS - 1_000, NOW_MS + 4_999)
    assert unsettled() == 7
    one.due(1, NOW_MS - 1_000, NOW_MS + 5_000)
    assert unsettled() == 1, "from now on another may have claimed it"
    one.due(1, 0, NOW_MS + 5_000)


def test_what_was_due_at_the_last_tick_has_not_waited_once_all_is_claimed() -> None:
    one = PublishLag()
    one.due(1, NOW_MS - 1_000, NOW_MS)
    assert unsettled() == 1
    one.all_claimed()
    assert unsettled() == 0


def test_a_flow_at_work_ends_with_no_age(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, tick_ms=1) as e:
        e.send("wms.receipt", location="wh", reference="r", lines=lines(A1=5))
        e.ingest()
        e.publish()
        mine = [labels for labels in metrics.LAG_AGE._since if labels[0] == "wms.receipts"]
        assert mine
        assert all(metrics.LAG_AGE._since[labels] == {"": 0} for labels in mine)
        e.reader._session.lag.end()
        assert not [labels for labels in metrics.LAG_AGE._since if labels[0] == "wms.receipts"]
