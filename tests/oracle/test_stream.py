"""Which messages of a dump count, and in which forms they come."""

from pathlib import Path

import pytest

from tests.oracle.columns import InputError
from tests.oracle.stream import Names, envelope, read_stream, rfc3339_ms
from tests.oracle.units import source_units
from tests.oracle.world import (
    LATE,
    NOON,
    at,
    dumped,
    event,
    line,
    write_lines,
)


def test_binary_mode_and_structured_mode_say_the_same() -> None:
    structured = event("pos.sale", at("s1", line("A", 1)))
    headers = [[f"ce_{name}", structured[name]] for name in ("id", "source", "type", "time")]
    binary = dumped(structured["data"], headers=headers)
    expected = {name: structured[name] for name in ("id", "source", "type", "time", "data")}
    assert envelope(binary) == expected


def test_an_event_sent_again_counts_once(tmp_path: Path) -> None:
    sale = event("pos.sale", at("s1", line("A", 1)))
    again = {**sale, "time": LATE}
    write_lines(tmp_path / "dump", [dumped(sale), dumped(again, "duplicate"), dumped("x", "bad")])
    names = Names()
    stream = read_stream(tmp_path / "dump", names)
    assert (stream.good, stream.duplicates, stream.bad) == (1, 1, 1)
    assert stream.batch("pos.sale").quantity.tolist() == [1]
    assert stream.newest_ms == rfc3339_ms(NOON)


def test_a_duplicate_of_nothing_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "dump", [dumped(event("pos.sale", at("s1", line("A", 1))), "duplicate")])
    with pytest.raises(InputError, match="is marked duplicate but is not"):
        read_stream(tmp_path / "dump", Names())


def test_the_units_of_the_real_year_are_the_published_ones() -> None:
    units = source_units("data")
    assert units is not None
    assert (len(units), sum(units.values())) == (68_151, 1_899_454)
