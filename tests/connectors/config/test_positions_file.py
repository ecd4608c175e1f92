from collections.abc import Iterable

import pytest

from connectors.config.positions_file import Counted, Names, Positions, read_positions
from connectors.config.yaml_reader import Lint

HEADER = "location,sku,on_hand,unavailable"
CODES = {"A": ("A", 1), "B": ("B", 1), "box-A": ("A", 12)}
NAMES = Names({"wh", "s1"}.__contains__, ["warehouse", "s1"], CODES.get)


def read(*rows: str, header: str = HEADER) -> tuple[Positions, list[str]]:
    lint = Lint("positions.csv")
    lines: Iterable[str] = (line + "\n" for line in (header, *rows))
    found = read_positions(lines, NAMES, lint)
    return found, [str(problem) for problem in lint.problems]


def test_a_file_says_what_lies_where() -> None:
    found, problems = read("wh,A,5,2", "", "wh, B ,0,", "s1,box-A,3,1")
    assert not problems
    assert found == {
        "wh": {"A": Counted(5, 2, 2), "B": Counted(0, None, 4)},
        "s1": {"A": Counted(36, 12, 5)},
    }


def test_the_last_column_may_be_missing() -> None:
    found, problems = read("wh,A,5", header="location,sku,on_hand")
    assert (found, problems) == ({"wh": {"A": Counted(5, None, 2)}}, [])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("wh,A", "expected 4 cells, got 2"),
        ("warehous,A,1,0", "location: expected a listed location, got 'warehous': did you mean warehouse?"),
        (",A,1,0", "location: expected 1..128 characters, got 0"),
        ("wh,C,1,0", "sku: expected a known code, got 'C'"),
        ("wh,,1,0", "sku: expected 1..128 characters, got 0"),
        ("wh,A,-1,0", "on_hand: expected integer 0..1000000000, got '-1'"),
        ("wh,A,1.5,0", "on_hand: expected integer 0..1000000000, got '1.5'"),
        ("wh,A,2000000000,0", "on_hand: expected integer 0..1000000000, got '2000000000'"),
        (
            "wh,box-A,900000000,",
            "on_hand: expected integer 0..1000000000, got '900000000' (12 units each)",
        ),
        ("wh,A,1,x", "unavailable: expected integer 0..1000000000, got 'x'"),
        ("wh,A,1,2", "unavailable: expected at most on_hand (1), got 2"),
        ("wh,box-A,1,0", "sku: expected each SKU once at a location, got 'box-A' at 'wh' again (first in line 2)"),
    ],
)  # fmt: skip
def test_every_line_that_is_wrong_is_told_with_its_number(row: str, problem: str) -> None:
    first = "wh,A,1,0" if "again" in problem else "wh,B,1,0"
    _, problems = read(first, row)
    assert problems == [f"positions.csv:3: {problem}"]


def test_a_file_of_another_kind_is_told_at_its_first_line() -> None:
    _, problems = read("1,2", header="sku,stock")
    assert problems == [f"positions.csv:1: expected the header {HEADER}, got sku,stock"]


def test_a_quote_that_is_never_closed_is_no_csv() -> None:
    _, problems = read('wh,"A,1,0', "wh,B,1,0")
    assert len(problems) == 1
    assert "expected CSV" in problems[0]
