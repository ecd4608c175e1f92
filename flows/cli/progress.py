"""A progress bar on standard error, when that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import console
from rich import progress as rich_progress

Advance = Callable[[int], None]
"""Takes how much was done since the last call."""


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Advance]:
    """Show a bar while the block lasts; without `total` it only shows that work goes on."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    with rich_progress.Progress(console=console.Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield lambda count: shown.advance(task, count)
