"""Folders for programs: tests have `tmp_path`."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.redis.embedded import await_end


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Yield a folder of its own, and remove it when no embedded store in it is at work any more."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name).resolve()
        try:
            yield folder
        finally:
            for lock in folder.rglob("server.lock"):
                await_end(lock.parent)
