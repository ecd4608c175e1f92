"""The figures of `penstock top`: arithmetic over readings of many processes."""

from typing import Any

import pytest

from flows.cli.top_screen import rate, screen, size
from flows.cli.top_screen import span as time_span
from flows.services.board.figures import figures
from flows.services.board.rates import Percentiles, Rates, quantile
from flows.services.board.scrape import Reading, parsed, place, span

INFO = 'penstock_build_info{version="1"} 1\n'


def reading(address: str, at_s: float, text: str) -> Reading:
    return Reading(address, at_s, parsed(INFO + text))


def rates(before: str, now: str, took_s: float = 2.0) -> Rates:
    return Rates([reading("a:1", 10.0, before)], [reading("a:1", 10.0 + took_s, now)])


def test_a_rate_is_the_increase_by_the_time_between_two_readings() -> None:
    found = rates("penstock_updates_total 100\n", "penstock_updates_total 160\n")
    assert found.total("penstock_updates_total") == 30.0


def test_the_rates_of_processes_add_up() -> None:
    before = [reading(f"a:{n}", 0.0, "penstock_updates_total 5\n") for n in (1, 2)]
    now = [reading(f"a:{n}", 1.0, "penstock_updates_total 8\n") for n in (1, 2)]
    assert Rates(before, now).total("penstock_updates_total") == 6.0


def test_a_label_that_was_not_there_counts_from_zero() -> None:
    found = rates("", 'penstock_dead_letters_total{reason="not_json"} 4\n')
    assert found.by("penstock_dead_letters_total", "reason") == {"not_json": 2.0}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("penstock_updates_total 100\n", "penstock_updates_total 6\n"),
        (
            "process_start_time_seconds 1\npenstock_updates_total 5\n",
            "process_start_time_seconds 2\npenstock_updates_total 6\n",
        ),
    ],
)
def test_a_counter_of_a_process_that_began_anew_counts_from_zero(before: str, now: str) -> None:
    assert rates(before, now).total("penstock_updates_total") == 3.0


def test_a_process_that_was_not_there_says_nothing_of_rates() -> None:
    found = Rates([], [reading("a:1", 1.0, "penstock_updates_total 8\n")])
    assert found.total("penstock_updates_total") is None


def test_a_percentile_lies_even_within_its_bucket() -> None:
    assert quantile({"0.1": 50, "0.2": 100, "+Inf": 100}, 0.5) == pytest.approx(0.1)
    assert quantile({"0.1": 50, "0.2": 100, "+Inf": 100}, 0.75) == pytest.approx(0.15)


def test_a_percentile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile({"0.1": 1, "10.0": 1, "+Inf": 100}, 0.99) == 10.0


def test_a_histogram_without_values_has_no_percentile() -> None:
    assert quantile({"0.1": 0, "+Inf": 0}, 0.5) is None
    assert quantile({}, 0.5) is None


def test_percentiles_are_those_of_the_interval_and_not_of_all_time() -> None:
    name = "penstock_log_to_emitted_seconds"
    slow = f'{name}_bucket{{le="0.1"}} 0\n{name}_bucket{{le="5.0"}} 900\n{name}_bucket{{le="+Inf"}} 900\n'
    fast = f'{name}_bucket{{le="0.1"}} 10\n{name}_bucket{{le="5.0"}} 910\n{name}_bucket{{le="+Inf"}} 910\n'
    found = rates(f"# TYPE {name} histogram\n{slow}", f"# TYPE {name} histogram\n{fast}")
    latency = found.latency(name)
    assert latency.p50_s == pytest.approx(0.05)
    assert latency.p99_s == pytest.approx(0.099)


def test_the_busiest_process_of_a_flow_is_told() -> None:
    def at(ports: dict[int, float], at_s: float) -> list[Reading]:
        text = 'penstock_busy_seconds_total{{flow="ingest",step="{}"}} {}\n'
        return [
            reading(
                f"a:{port}", at_s, text.format("read", busy_s) + text.format("apply", 2 * busy_s)
            )
            for port, busy_s in ports.items()
        ]

    found = Rates(at({1: 0.0, 2: 0.0}, 0.0), at({1: 0.1, 2: 0.3}, 1.0))
    assert found.busiest("ingest") == pytest.approx(0.9)
    assert found.busiest("publish") is None


def shown(*texts: str, **other: Any) -> Any:
    """Figures of one reading of each process."""
    now = [reading(f"a:{n}", 1.0, text) for n, text in enumerate(texts, 1)]
    return figures([], now, other.get("time_s", 1000.0), other.get("silent", ()))


def test_of_a_gauge_the_worst_of_all_processes_counts() -> None:
    found = shown("penstock_due_depth 3\n", "penstock_due_depth 7\n")
    assert found.publish.due_skus == 7


def test_lag_is_the_sum_over_partitions_however_many_processes_tell_of_one() -> None:
    lag = 'penstock_lag_messages{{topic="pos.sales",partition="{}"}} {}\n'
    found = shown(lag.format(0, 5) + lag.format(1, 1), lag.format(0, 2))
    assert found.ingest.lag_messages == 6


def test_what_nobody_serves_is_none() -> None:
    found = shown("")
    assert (found.stock.oversold_skus, found.publish.unsettled_age_s) == (None, None)
    assert found.publish.log_to_emitted == Percentiles(None, None)
    assert "oversold SKUs -" in screen(found, 1.0).plain


def test_it_tells_which_flows_a_process_runs() -> None:
    ingest = 'penstock_lag_messages{topic="pos.sales",partition="0"} 0\n'
    publish = 'penstock_redis_seconds_count{verb="claim"} 9\n'
    found = shown(ingest, publish, ingest + publish, "")
    assert [process.flows for process in found.processes] == [
        ["ingest"], ["publish"], ["ingest", "publish"], [],
    ]  # fmt: skip


def test_the_walk_is_as_old_as_its_last_round() -> None:
    found = shown("penstock_walk_finished_timestamp_seconds 990\npenstock_walk_skus 40\n")
    assert found.stock.walked_s_ago == 10.0
    assert "SKUs looked at 40, 10 s ago" in screen(found, 1.0).plain


def styles(found: Any, word: str) -> set[str]:
    """How the figure after a word is shown."""
    text = screen(found, 1.0)
    start = text.plain.index(word) + len(word) + 1
    return {str(each.style) for each in text.spans if each.start <= start < each.end} - {""}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("penstock_unsettled_age_seconds 6\n", "not emitted for"),
        ('penstock_invariant_violations{invariant="out"} 1\n', "invariants broken"),
        ('penstock_lag_seconds{topic="pos.sales",partition="0"} 9\n', "oldest"),
    ],
)
def test_what_is_wrong_stands_out(text: str, word: str) -> None:
    assert styles(shown(text), word) == {"bold red"}
    (name, _, _) = text.rpartition(" ")
    assert styles(shown(f"{name} 0\n"), word) == set()


def test_a_silent_location_and_a_broken_invariant_are_named() -> None:
    text = (
        'penstock_location_silent_seconds{location="s001"} 5400\npenstock_locations_silent 1\n'
        'penstock_invariant_violations{invariant="reserved"} 2\npenstock_invariant_violations{invariant="out"} 0\n'
    )
    plain = screen(shown(text), 1.0).plain
    assert "silent locations 1   s001 90 min" in plain
    assert "reserved 2" in plain
    assert "out 0" not in plain


def test_channels_that_are_held_and_locations_left_out_are_named() -> None:
    text = (
        'penstock_channel_held{channel="shopee",mode="frozen",by="breaker"} 1\n'
        'penstock_channel_held{channel="momo",mode="zero",by="hand"} 1\n'
        'penstock_location_left_out{location="s001"} 1\n'
    )
    found = shown(text, text)
    assert found.stock.channels_held == {"momo": "zero by hand", "shopee": "frozen by breaker"}
    assert found.stock.locations_left_out == ["s001"]
    plain = screen(found, 1.0).plain
    assert "locations left out 1   s001" in plain
    assert "channels held 2   momo zero by hand   shopee frozen by breaker" in plain
    assert (styles(found, "momo"), styles(found, "shopee")) == ({"yellow"}, {"bold red"})


def test_where_nothing_is_held_or_left_out_no_line_is_spent_on_it() -> None:
    plain = screen(shown(""), 1.0).plain
    assert "left out" not in plain
    assert "held " not in plain.replace("held back", "")


def test_a_named_address_that_does_not_answer_is_shown() -> None:
    assert "shop2:9464   no answer" in screen(shown("", silent=["shop2:9464"]), 1.0).plain


def test_control_characters_of_a_label_do_not_reach_the_terminal() -> None:
    found = shown('penstock_ads_paused{rule="a\x1b[2Jb"} 1\n')
    assert "\x1b" not in screen(found, 1.0).plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (time_span(None), "-"),
        (time_span(0.0), "0 ms"),
        (time_span(0.0041), "4.1 ms"),
        (time_span(0.2504), "250 ms"),
        (time_span(1.25), "1.2 s"),
        (time_span(90.0), "90 s"),
        (time_span(600.0), "10 min"),
        (time_span(9000.0), "2.5 h"),
        (rate(None), "-"),
        (rate(0.0), "0/s"),
        (rate(0.25), "0.2/s"),
        (rate(1990.4), "1,990/s"),
        (size(3 << 20), "3 MiB"),
    ],
)
def test_figures_are_short(text: str, expected: str) -> None:
    assert text == expected


def test_an_address_may_be_of_ipv6() -> None:
    assert place("[::1]:9464") == ("::1", 9464)


@pytest.mark.parametrize("address", ["", "9464", ":9464", "a:", "a:b", "a:0", "a:65536", "a b:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected host:port, got"):
        place(address)


def test_a_setting_stands_for_its_port_and_the_nine_above() -> None:
    assert span("127.0.0.1:9464") == [f"127.0.0.1:{port}" for port in range(9464, 9474)]
    assert span("127.0.0.1:65530")[-1] == "127.0.0.1:65535"
