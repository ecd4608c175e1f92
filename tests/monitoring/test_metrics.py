import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from monitoring import metrics
from monitoring.gauges import Age, OptionalGauge
from monitoring.labels import LABELS, listed
from monitoring.latency import BUCKETS_MS, Latency
from monitoring.reasons import REASON_CLASSES, reason_class
from state.events.messages import TYPES
from tools.pages.markdown import named

ROOT = Path(__file__).parents[2]


def declared() -> dict[str, tuple[str, ...]]:
    """Every metric of ours, as Prometheus sees its name, with its labels."""
    found: dict[str, tuple[str, ...]] = {}
    for collector in vars(metrics).values():
        if isinstance(collector, Latency):
            found[collector.name] = ()
        elif isinstance(collector, OptionalGauge | Age):
            found[collector.name] = collector.labels
        elif isinstance(collector, MetricWrapperBase):
            family = next(iter(collector.describe()))
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            found[family.name + suffix] = collector._labelnames
    found["penstock_build_info"] = ("version",)
    return found


def helps() -> dict[str, str]:
    """The help of every metric of ours, as Prometheus is given it."""
    found = {}
    for collector in vars(metrics).values():
        if isinstance(collector, Latency | OptionalGauge | Age):
            found[collector.name] = collector.documentation
        elif isinstance(collector, MetricWrapperBase):
            family = next(iter(collector.describe()))
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            found[family.name + suffix] = family.documentation
    return found


def documented() -> dict[str, tuple[str, ...]]:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(penstock_\w+)` \| \w+ \|(.*?)\|", page, re.MULTILINE)
    return {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_each_metric_is_on_the_page_with_its_labels_and_the_page_has_no_other() -> None:
    assert declared() == documented()
    assert next(iter(metrics.BUILD.collect())).samples[0].labels.keys() == {"version"}


def test_the_labels_that_are_explained_are_those_that_a_metric_has() -> None:
    assert {name: tuple(labels) for name, labels in LABELS.items()} == {
        name: labels for name, labels in declared().items() if labels
    }


def test_the_help_of_a_metric_is_its_text_on_the_page_and_lists_the_values_of_its_labels() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    rows = dict(re.findall(r"^\| `(penstock_\w+)` \| \w+ \|.*?\| (.*) \|$", page, re.MULTILINE))
    assert rows.keys() == helps().keys()
    for name, text in helps().items():
        values = listed(name) if name in LABELS else ""
        assert text.endswith(values)
        assert rows[name].startswith(named(text.removesuffix(values))), name
        assert 5 < len(text) < 300, name


def test_each_value_of_a_label_is_on_the_page_with_its_meaning() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for labels in LABELS.values():
        for values in labels.values():
            for value, meaning in {} if isinstance(values, str) else values.items():
                assert f"`{value}`" in page
                assert meaning.partition("](")[0] in page


def test_each_class_of_reasons_is_on_the_page_and_the_page_has_no_other() -> None:
    page = (
        (ROOT / "docs" / "reference" / "metrics.md")
        .read_text()
        .partition("## Classes of reasons")[2]
    )
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == tuple(
        sorted(REASON_CLASSES, key=page.index)
    )
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(REASON_CLASSES)


def test_no_metric_outside_the_process_ones_lacks_the_prefix() -> None:
    for family in metrics.REGISTRY.collect():
        assert family.name.startswith(("penstock_", "process_"))


@pytest.mark.parametrize("outcome", metrics.OUTCOMES)
def test_a_batch_of_events_is_counted_by_type_and_outcome(outcome: str) -> None:
    before = value("penstock_events_total", type="pos.sale", outcome=outcome)
    metrics.count_events({("pos.sale", outcome): 500})
    after = value("penstock_events_total", type="pos.sale", outcome=outcome)
    assert after - before == 500


@given(st.text())
def test_a_type_from_outside_adds_no_series(event_type: str) -> None:
    metrics.count_events({(event_type, "dead"): 1})
    labels = {
        sample.labels["type"]
        for family in metrics.EVENTS.collect()
        for sample in family.samples
        if sample.name == "penstock_events_total"
    }
    assert labels <= {*TYPES, metrics.UNKNOWN_TYPE}


def test_an_outcome_that_is_not_declared_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected one of applied, duplicate, dead, absorbed"):
        metrics.count_events({("pos.sale", "lost"): 1})


def test_dead_letters_are_counted_by_the_class_of_their_reason() -> None:
    before = value("penstock_dead_letters_total", reason="bad_value")
    metrics.count_dead_letters(
        ["lines[0].quantity: expected integer >= 1, got 0", "lines[1].sku: expected text, got 7"]
    )
    assert value("penstock_dead_letters_total", reason="bad_value") - before == 2


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("data: expected JSON, got at character 3: unexpected end", "not_json"),
        ("value: expected JSON, got 'hello'", "not_json"),
        ("value: expected UTF-8, got byte 0xff", "not_utf8"),
        ("value: expected at most 1048576 bytes, got 10485760", "too_large"),
        ("value: expected a CloudEvent, got nothing", "tombstone"),
        ("value: expected a CloudEvent, got a tombstone", "tombstone"),
        ("location: expected text of 1 to 128 characters, got nothing", "missing_field"),
        ("lines[0]: unknown field 'quantty'; did you mean 'quantity'?", "unknown_field"),
        ("unknown field 'quantty'; did you mean 'quantity'?", "unknown_field"),
        ("lines[3].quantity: expected integer >= 1, got 0", "bad_value"),
        ("lines: expected 1 to 1000 lines, got 10000", "bad_value"),
        ("type: expected one of order.placed, pos.sale, got 'x'", "unknown_type"),
        ("location: unknown location 's999'", "unknown_location"),
        ("channel: unknown channel 'x'", "unknown_channel"),
        ("lines[2].sku: no code 'X' for system 'pos'", "unknown_sku"),
        (
            "time_in_future: expected time at most 24 h after the log timestamp, got",
            "time_in_future",
        ),
        ("", "other"),
        ("something else", "other"),
    ],
)
def test_a_reason_falls_into_its_class(reason: str, name: str) -> None:
    assert reason_class(reason) == name


def test_text_from_the_message_cannot_choose_the_class() -> None:
    for text in ("nothing", "JSON", "UTF-8", "a tombstone, got nothing", "unknown location"):
        assert reason_class(f"sku: expected no control characters, got {text!r}") == "bad_value"
        assert reason_class(f"location: unknown location {text!r}") == "unknown_location"


@given(st.text())
def test_any_text_has_a_class(reason: str) -> None:
    assert reason_class(reason) in REASON_CLASSES


def test_the_buckets_resolve_one_millisecond_to_ten_seconds() -> None:
    assert (BUCKETS_MS[0], BUCKETS_MS[-1]) == (1, 10_000)
    assert all(high <= 2 * low for low, high in pairwise(BUCKETS_MS))


@given(st.lists(st.integers(min_value=-5_000, max_value=20_000)))
def test_a_batch_of_latencies_lands_as_if_observed_one_by_one(ages_ms: list[int]) -> None:
    registry = CollectorRegistry()
    latency = Latency("batch_seconds", "A batch.", registry)
    latency.observe_ages(100_000, [100_000 - age_ms for age_ms in ages_ms])

    real_ms = [max(0, age_ms) for age_ms in ages_ms]
    assert registry.get_sample_value("batch_seconds_count") == len(ages_ms)
    assert registry.get_sample_value("batch_seconds_sum") == sum(real_ms) / 1000
    for bound_ms in BUCKETS_MS:
        below = registry.get_sample_value("batch_seconds_bucket", {"le": str(bound_ms / 1000)})
        assert below == sum(age_ms <= bound_ms for age_ms in real_ms)


def test_the_whole_registry_can_be_written_out() -> None:
    text = generate_latest(metrics.REGISTRY).decode()
    assert 'penstock_log_to_applied_seconds_bucket{le="0.001"}' in text
    assert f'penstock_build_info{{version="{metrics.build_version()}"}} 1.0' in text
