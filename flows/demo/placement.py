"""Where the demo plays: a store and a namespace of its own, so that nothing of yours is read or changed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.redis.embedded import await_end
from flows.runtime.context import Runtime
from flows.runtime.session import TOPICS

TICK_MS = "300"
"""Unless set otherwise. A second of the demo is days of trading, and each event has 29 lines: SKUs gather their
changes for longer than when live."""


@contextmanager
def own_place(folder: Path, config: Path) -> Iterator[None]:
    """Set what this process and its children work with, until the block ends.

    On servers of yours, named by `PENSTOCK_REDIS` or `PENSTOCK_KAFKA`, it is a namespace under yours.
    Behind the block no server writes to the folder any more, so that it can be removed.
    """
    data = folder / "data"
    changes = {
        "PENSTOCK_CONFIG": str(config),
        "PENSTOCK_DATA": str(data),
        "PENSTOCK_CLOCK": "event",
        "PENSTOCK_TICK_MS": os.environ.get("PENSTOCK_TICK_MS", TICK_MS),
    }
    if os.environ.keys() & {"PENSTOCK_REDIS", "PENSTOCK_KAFKA"}:
        above = os.environ.get("PENSTOCK_NAMESPACE", "")
        changes["PENSTOCK_NAMESPACE"] = f"{above}{'-' if above else ''}demo-{folder.name[-8:]}"
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        await_end(data)


def forget(run: Runtime) -> None:
    """Remove topics and keys of the demo from servers of yours; a store of its own goes with its folder."""
    if not run.settings.namespace:
        return
    if run.settings.kafka is not None:
        for topic in TOPICS:
            run.log.delete(topic)
    if run.primaries.store is None:
        run.primaries.remove_keys(f"{run.settings.namespace}:")
