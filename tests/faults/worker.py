"""`python -m tests.faults.worker --record FILE [--without RULE] [--patch MODULE]... run ingest`.

A worker as the command line starts it, with a recorder: how many batches it was handed, and how many of them
it had emitted and finished, stand in a small file mapped into memory, which outlives a `kill -9`. It also logs every
repetition of a call; a worker by itself tells of the first alone.
"""

import mmap
import sys
from argparse import REMAINDER, ArgumentParser
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

_FIGURES = Struct("<3q")


class Record(NamedTuple):
    """Batches (of events, or of claims) since the worker began."""

    handed: int = 0
    emitted: int = 0
    finished: int = 0

    @property
    def in_hand(self) -> int:
        """Batches read or claimed, and not acknowledged by the store."""
        return self.handed - self.finished

    @property
    def unsettled(self) -> int:
        """Batches whose messages the log has confirmed, and that are not settled."""
        return self.emitted - self.finished


def read_record(path: Path) -> Record:
    """Return what a worker recorded, also after its end."""
    found = path.read_bytes()
    return Record(*_FIGURES.unpack(found)) if len(found) == _FIGURES.size else Record()


class Recorder:
    """Counts in a file mapped into memory."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(_FIGURES.pack(0, 0, 0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _FIGURES.size)
        self._counts = [0, 0, 0]

    def counting(self, index: int, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call, counted whenever it returned something."""

        @wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            if result is not None:
                self._counts[index] += 1
                self._map[:] = _FIGURES.pack(*self._counts)
            return result

        return counted


def record(path: Path) -> None:
    """Count what the flows of this process do."""
    from flows.ingest.read_session import ReadSession
    from flows.ingest.reader import Reader
    from flows.publish import steps as publish_steps
    from flows.publish.claimer import Claimer
    from flows.runtime.claim_loop import ClaimLoop

    recorder: Any = Recorder(path)
    handed, emitted, finished = range(3)
    for owner, name, index in (
        (Reader, "_read", handed),
        (ReadSession, "wait_in_flight", finished),
        (Claimer, "next_claims", handed),
        (publish_steps, "emit", emitted),
        (ClaimLoop, "wait_in_flight", finished),
    ):
        setattr(owner, name, recorder.counting(index, getattr(owner, name)))


def tell_repetitions() -> None:
    """Log each call that is made again, with the error that made it so."""
    import structlog

    from flows.runtime import retry

    log, note = structlog.get_logger(), retry._note_unavailable

    def noted(error: Exception, attempt: int) -> None:
        note(error, attempt)
        if retry.is_unavailable(error):
            log.warning("call repeated", error=f"{type(error).__name__}: {error}")

    retry._note_unavailable = noted


def main() -> None:
    """Take rules out, begin to record, and be the command that was asked for."""
    parser = ArgumentParser()
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--without")
    parser.add_argument("--patch", action="append", default=[])
    parser.add_argument("command", nargs=REMAINDER)
    given = parser.parse_args()
    if given.without is not None:
        from tests.rules.catalogue import by_id
        from tests.rules.means import InWorker

        by_id(InWorker)[given.without].take_out()
    for module in given.patch:
        import_module(module)
    record(given.record)
    tell_repetitions()
    # Only now: the modules of the command line bind what was patched above.
    from flows.cli.app import main as cli

    sys.argv = ["penstock", *given.command]
    cli()


if __name__ == "__main__":
    main()
