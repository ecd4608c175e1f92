import math
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.monitoring.svg import Chart, picture, shown
from tests.servers.prometheus import Line


def chart(points: list[tuple[float, float]], **other: Any) -> Chart:
    line = Line({}, points)
    plain = {
        "title": "Freshness <p99>",
        "kind": "timeseries",
        "unit": "s",
        "grid": {"x": 0, "y": 0, "w": 12, "h": 8},
        "lines": [("p99", line)] if points else [],
        "steps": [(-math.inf, "green")],
        "most": None,
    }
    return Chart(**(plain | other))


def drawn(*charts: Chart) -> tuple[list[str], list[str]]:
    """The words of a picture, and the paths of its lines."""
    root = ET.fromstring(picture("A title", "told", charts, 100.0, 160.0))  # noqa: S314 - our own file
    paths = [e.attrib["d"] for e in root.iter() if e.attrib.get("stroke-width") == "1.5"]
    return [e.text for e in root.iter() if e.text and e.text.strip()], paths


def test_a_chart_has_its_title_its_names_and_units_on_both_axes() -> None:
    words, paths = drawn(chart([(100.0, 0.01), (130.0, 0.04), (160.0, 0.02)]))
    assert {"Freshness <p99>", "p99", "0 s", "30 s", "1 min", "0 ms", "40 ms"} <= set(words)
    assert len(paths) == 1


def test_a_higher_value_lies_higher() -> None:
    _, (path,) = drawn(chart([(100.0, 1.0), (101.0, 2.0)]))
    first, second = (float(point.split()[1]) for point in path[1:].split("L"))
    assert second < first


def test_a_gap_in_time_is_a_gap_of_the_line() -> None:
    _, (path,) = drawn(chart([(100.0, 1.0), (101.0, 2.0), (150.0, 2.0), (151.0, 1.0)]))
    assert path.count("M") == 2


def test_a_flat_run_is_drawn_by_its_ends() -> None:
    _, (path,) = drawn(chart([(100.0 + n, 0.0) for n in range(60)]))
    assert path.count("L") == 1


def test_a_panel_that_found_nothing_says_so() -> None:
    assert "no data" in drawn(chart([]))[0]
    assert "no data" in drawn(chart([], kind="stat"))[0]


def test_a_share_near_its_top_is_drawn_where_it_differs() -> None:
    near = chart(
        [(100.0, 0.9991), (110.0, 1.0)], unit="percentunit", most=1,
        steps=[(-math.inf, "red"), (0.999, "green")],
    )  # fmt: skip
    words, _ = drawn(near)
    assert {"100.00 %", "99.95 %", "99.90 %"} <= set(words)
    assert "0 %" not in words


def test_an_axis_of_bytes_has_round_numbers_of_mib() -> None:
    words, _ = drawn(chart([(100.0, 0.0), (110.0, 95 << 20)], unit="bytes"))
    assert {"0 MiB", "50 MiB", "100 MiB"} <= set(words)


def test_many_names_are_cut_with_a_word_on_the_rest() -> None:
    line = Line({}, [(100.0, 1.0), (101.0, 1.0)])
    words, paths = drawn(chart([], lines=[(f"line {n}", line) for n in range(12)]))
    assert len(paths) == 12
    assert "and 5 more" in words


@pytest.mark.parametrize(
    ("value", "unit", "step", "text"),
    [
        (0.0, "s", None, "0 s"),
        (0.0004, "s", None, "400 µs"),
        (0.0123, "s", None, "12 ms"),
        (2.0, "s", 0.5, "2.0 s"),
        (90.0, "s", None, "90 s"),
        (5400.0, "dtdurations", None, "90 min"),
        (0.9987, "percentunit", None, "99.87 %"),
        (1.0, "percentunit", None, "100 %"),
        (0.25, "percentunit", 0.05, "25 %"),
        (3 << 20, "bytes", None, "3 MiB"),
        (1990.0, "eps", None, "1,990/s"),
        (0.5, "cps", 0.25, "0.5/s"),
        (7.0, "short", None, "7"),
    ],
)
def test_a_value_is_told_with_its_unit(
    value: float, unit: str, step: float | None, text: str
) -> None:
    assert shown(value, unit, step) == text
