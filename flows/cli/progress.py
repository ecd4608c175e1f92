"""How far long work has come: a bar on standard error when that is a terminal, else nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Told = Callable[[int], None]
"""Takes how much was done since the last call."""


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Told]:
    """Show a bar while the block lasts; without `total` it only shows that something goes on."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - needed on a terminal only
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield lambda count: shown.advance(task, count)
