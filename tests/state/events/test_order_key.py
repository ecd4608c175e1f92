import ast
from pathlib import Path

from state.events.order_key import US, order_key, ordered_by, parts

ROOT = Path(__file__).parents[3]


def test_the_parts_of_an_order_key_are_channel_and_number() -> None:
    assert order_key("shopee", "o 1") == "shopee\x1fo 1"
    assert parts(order_key("shopee", "o 1")) == ("shopee", "o 1")


def test_the_text_of_an_ending_by_an_order_ends_in_its_number() -> None:
    assert ordered_by(order_key("shopee", "o1")) == "order shopee\x1fo1"
    assert parts(ordered_by(order_key("shopee", "o1")))[1:] == ("o1",)


def test_a_text_that_names_no_order_is_one_part() -> None:
    assert parts("released") == ("released",)
    assert parts("") == ("",)


def test_the_separator_is_written_in_one_file_of_the_product() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("connectors", "flows", "monitoring", "state")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == US
    }
    assert found == {"state/events/order_key.py"}
