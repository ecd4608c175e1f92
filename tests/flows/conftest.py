from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.embedded import EmbeddedError, embedded
from tests.flows.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[Shop]:
    """A shop whose embedded store stays up between its commands."""
    made = Shop(tmp_path)
    try:
        with embedded(tmp_path / "data"):
            yield made
    except EmbeddedError as error:
        missing(str(error))
    finally:
        made.close()
