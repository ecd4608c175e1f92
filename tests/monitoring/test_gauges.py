from prometheus_client import CollectorRegistry

from monitoring import metrics
from monitoring.busy import timed, timed_source
from monitoring.gauges import Age, OptionalGauge


def test_what_nobody_knows_is_not_exported() -> None:
    registry = CollectorRegistry()
    found = OptionalGauge("found", "Found.", ("rule",), registry=registry)
    assert list(registry.collect()) == []
    found.put({("a",): 1, ("b",): 0})
    assert registry.get_sample_value("found", {"rule": "b"}) == 0
    found.put({("a",): 2})
    assert registry.get_sample_value("found", {"rule": "a"}) == 2
    assert registry.get_sample_value("found", {"rule": "b"}) is None
    found.clear()
    assert list(registry.collect()) == []


def test_an_age_grows_until_the_scrape_and_the_oldest_part_counts() -> None:
    registry, now_ms = CollectorRegistry(), 10_000
    age = Age("age_seconds", "Age.", ("topic",), registry=registry, now_ms=lambda: now_ms)
    assert list(registry.collect()) == []
    age.since(8_000, "t", by=1)
    age.since(9_000, "t", by=2)
    assert registry.get_sample_value("age_seconds", {"topic": "t"}) == 2
    now_ms = 13_000
    assert registry.get_sample_value("age_seconds", {"topic": "t"}) == 5
    age.since(0, "t", by=1)
    assert registry.get_sample_value("age_seconds", {"topic": "t"}) == 4
    age.forget("t", by=2)
    assert registry.get_sample_value("age_seconds", {"topic": "t"}) == 0
    age.forget("t", by=1)
    assert list(registry.collect()) == []


def test_something_from_the_future_is_of_no_age() -> None:
    registry = CollectorRegistry()
    Age("age_seconds", "Age.", registry=registry, now_ms=lambda: 5).since(1_000)
    assert registry.get_sample_value("age_seconds") == 0


def busy(flow: str, step: str) -> float:
    return (
        metrics.REGISTRY.get_sample_value(
            "penstock_busy_seconds_total", {"flow": flow, "step": step}
        )
        or 0.0
    )


def batches(flow: str) -> float:
    return metrics.REGISTRY.get_sample_value("penstock_batches_total", {"flow": flow}) or 0.0


def test_a_step_adds_the_time_it_takes_also_when_it_fails() -> None:
    def work(item: int) -> float:
        return 1 / item

    step = timed("ingest", "decode", work)
    before = busy("ingest", "decode")
    assert step(4) == 0.25
    after = busy("ingest", "decode")
    assert after > before
    try:
        step(0)
    except ZeroDivisionError:
        assert busy("ingest", "decode") > after


def test_a_source_counts_what_it_hands_on_and_time_by_its_clock() -> None:
    found, clock = iter([None, 7]), iter([1.0, 3.0, 10.0, 14.0])
    ask = timed_source("publish", "claim", lambda: next(found), lambda: next(clock))
    seconds, handed = busy("publish", "claim"), batches("publish")
    assert [ask(), ask()] == [None, 7]
    assert busy("publish", "claim") - seconds == 6
    assert batches("publish") - handed == 1
