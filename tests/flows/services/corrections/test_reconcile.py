"""A list of another system, checked line by line."""

from pathlib import Path

import pytest

from connectors.redis.embedded import Embedded
from flows.services.bad_file import BadFile
from flows.services.corrections.reconcile import rows_of
from tests.flows.harness import engine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sku,on_hand\n", "wms.csv:1: expected the header location,sku,on_hand, got sku,on_hand"),
        (
            "location,sku,on_hand\nmars,A,1\n",
            "wms.csv:2: location: expected a known one, got 'mars'",
        ),
        ("location,sku,on_hand\nwh,A,x\n", "wms.csv:2: on_hand: expected an integer, got 'x'"),
        (
            "location,sku,on_hand\nwh,A,1\nwh,A,2\n",
            "wms.csv:3: expected each sku once at a location, got it again",
        ),
    ],
)
def test_a_list_that_is_wrong_is_refused_with_its_line(
    valkey: Embedded, config: Path, text: str, expected: str
) -> None:
    path = config.parent / "wms.csv"
    path.write_text(text)
    with engine(valkey, config) as e, pytest.raises(BadFile) as refused:
        list(rows_of(path, "wms", e.run))
    assert str(refused.value) == expected
