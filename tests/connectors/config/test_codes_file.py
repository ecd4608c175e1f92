"""Code tables: rows of a file, and what a code meant at a moment of the log."""

import msgspec
import pytest

from connectors.config.codes_file import read_csv
from connectors.config.yaml_reader import Lint
from state.events.codes import CodeRow, CodeTable, Mapping, additions, codes
from state.policy.compiled import compiled
from state.policy.document import Policy, Source, Unknown

HEADER = "system,code,sku,units\n"


def mappings(text: str) -> list[Mapping]:
    lint = Lint("codes.csv")
    found = read_csv(HEADER + text, lint)
    assert lint.problems == []
    return found


def test_a_code_stands_for_a_number_of_units_of_a_sku() -> None:
    assert mappings('pos,"47,1",A1,6\npos,472,A1,\n\npos,473,A1\n') == [
        Mapping("pos", "47,1", "A1", 6),
        Mapping("pos", "472", "A1", 1),
        Mapping("pos", "473", "A1", 1),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: expected the header system,code,sku,units, got nothing"),
        ("a,b\n", "1: expected the header system,code,sku,units, got a,b"),
        (HEADER + "pos,1,A,x\n", "2: units: expected integer 1..1000000, got 'x'"),
        (HEADER + "pos,1,A,-1\n", "2: units: expected integer 1..1000000, got '-1'"),
        (HEADER + "pos,,A,1\n", "2: code: expected 1..128 characters, got 0"),
        (HEADER + "pos,1,A\x01,1\n", "2: sku: expected no control characters, got 'A\\x01'"),
        (HEADER + "pos,1\n", "2: expected 4 cells, got 2"),
        (
            HEADER + "pos,1,A,1\npos,1,B,1\n",
            "3: code: expected each code once, got '1' again (first in line 2)",
        ),
        (HEADER + 'pos,"1"2,A,1\n', "2: expected CSV, got a syntax error: ',' expected after '\"'"),
    ],
)
def test_a_wrong_line_is_told_exactly(text: str, expected: str) -> None:
    lint = Lint("codes.csv")
    read_csv(text, lint)
    assert [str(problem) for problem in lint.problems] == [f"codes.csv:{expected}"]


def test_a_replayed_message_finds_the_row_it_found_the_first_time() -> None:
    table = CodeTable(additions(CodeTable(), mappings("pos,1,A,1\n"), 1_000))
    later = CodeTable(
        [CodeRow("pos", "1", "A", 1, 0), *additions(table, mappings("pos,1,B,2\n"), 2_000)]
    )
    assert [later.look_up("pos", "1", ms) for ms in (5, 1_999, 2_000, 9_000)] == [
        ("A", 1),
        ("A", 1),
        ("B", 2),
        ("B", 2),
    ]


def test_a_code_is_not_known_before_its_row_nor_in_another_system() -> None:
    table = CodeTable([CodeRow("pos", "1", "A", 1, 500)])
    assert table.look_up("pos", "1", 499) is None
    assert table.look_up("wms", "1", 500) is None
    assert (table.knows_sku("A", 499), table.knows_sku("A", 500)) == (False, True)


def test_the_first_load_holds_for_all_of_the_log_and_later_ones_from_now() -> None:
    first = additions(CodeTable(), mappings("pos,1,A,1\npos,2,B,1\n"), 1_000)
    assert {row.valid_from_ms for row in first} == {0}
    table = CodeTable(first)
    assert additions(table, mappings("pos,2,B,1\npos,1,A,1\n"), 2_000) == []
    assert additions(table, mappings("pos,1,A,2\npos,3,C,1\n"), 2_000) == [
        CodeRow("pos", "1", "A", 2, 2_000),
        CodeRow("pos", "3", "C", 1, 2_000),
    ]


def test_a_clock_that_went_back_does_not_put_a_row_before_older_ones() -> None:
    table = CodeTable([CodeRow("pos", "1", "A", 1, 5_000)])
    assert additions(table, mappings("pos,1,B,1\n"), 4_000)[0].valid_from_ms == 5_000
    grown = CodeTable([CodeRow("pos", "1", "A", 1, 5_000), CodeRow("pos", "1", "B", 1, 5_000)])
    assert grown.look_up("pos", "1", 5_000) == ("B", 1)


def test_rows_survive_the_way_through_json() -> None:
    row = CodeRow("pos", "1", "A", 1, 5_000)
    assert msgspec.json.decode(msgspec.json.encode(row), type=CodeRow) == row


def test_only_a_source_with_a_table_is_mapped() -> None:
    table = CodeTable([CodeRow("pos", "1", "A", 6, 0)])
    sources = (Source("/pos/", "pos", has_codes=True), Source("/wms/", "wms"))
    look_up = codes(compiled(Policy(sources=sources)), table)
    assert look_up is not None
    assert look_up("/pos/7", "1", 0) == ("A", 6)
    assert look_up("/pos/7", "A", 0) is None
    assert look_up("/wms/7", "1", 0) == ("1", 1)
    assert codes(compiled(Policy()), table) is None


def test_a_sku_that_no_table_knows_is_refused_where_unknown_ones_are_rejected() -> None:
    table = CodeTable([CodeRow("pos", "1", "A", 6, 0)])
    look_up = codes(compiled(Policy(unknown=Unknown(sku="reject"))), table)
    assert look_up is not None
    assert [look_up("/wms/7", sku, 0) for sku in ("A", "B")] == [("A", 1), None]
