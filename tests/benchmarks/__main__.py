"""`python -m tests.benchmarks`: measure the engine against what one would take in its place.

Throughput: a pre-filled topic is drained, by every system in every round. Latency, scaling and soak are the modules
of these names. Exit codes: 0 measured, 1 a system was wrong, 2 usage, or a server that cannot be had.
"""

import signal
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from rich.console import Console

from tests.benchmarks.machine import machine
from tests.benchmarks.race import Arena
from tests.benchmarks.result import Result
from tests.benchmarks.rounds import Plan, Tell, compete
from tests.benchmarks.system import System, Work
from tests.servers.fixtures import AT_ONCE
from tests.servers.kafka import ROOT, ServerMissing, running_kafka

WORKS = {
    "W1": Work("W1", "structured", 1, 5_000, 8, 5, 0),
    "W1-wide": Work("W1-wide", "structured", 1, 68_000, 433, 5, 0),
    "W1-many-channels": Work("W1-many-channels", "structured", 1, 5_000, 50, 50, 0),
    "W2": Work("W2", "binary", 1, 5_000, 8, 5, 0),
    "W3": Work("W3", "structured", 0, 68_000, 433, 5, 0),
}
"""The number of sales is chosen by the time they take."""
PARTS = ("throughput", "latency", "scaling", "soak")
QUICK = Plan(rounds=1, seconds=5)
FINDING, USAGE = 1, 2
WIDTH = 180


def systems() -> list[System]:
    """Return a system of each class in `systems/` that has configurations, the engine first.

    `x_app.py` beside `x.py` is a program of that system, and may want another environment: it is not imported.
    """
    found: list[System] = []
    paths = {path.stem: path for path in Path(__file__).with_name("systems").glob("*.py")}
    for path in paths.values():
        first, _, rest = path.stem.partition("_")
        if rest and first in paths:
            continue
        module = import_module(f"tests.benchmarks.systems.{path.stem}")
        found += [
            each()
            for each in vars(module).values()
            if isinstance(each, type)
            and each.__module__ == module.__name__
            and hasattr(each, "running")
        ]
    return sorted(found, key=lambda system: (system.name != "engine", system.name))


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for. Return the exit code."""
    given = _parsed(words)
    try:
        return _main(given)
    except ServerMissing as error:
        sys.stderr.write(f"bench: missing service: {error}\n")
        return USAGE


def _main(given: Namespace) -> int:
    # Streams lie in a temporary folder, which is removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    # A table that goes to a file is not cut at the 80 columns of a terminal that is not there.
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    result = Result(machine(), [sys.argv[0], *sys.argv[1:]])
    if "throughput" in given.only:
        _throughput(given, result, console)
    if "latency" in given.only:
        _latency(given, result, console)
    for part in ("scaling", "soak"):
        if part in given.only:
            module = import_module(f"tests.benchmarks.{part}")
            result.more[part] = module.measure(tell=_teller(console))
    result.write(given.json)
    for reason in result.reasons():
        console.print(f"no figure for {reason}", markup=False, highlight=False)
    sys.stdout.write(f"{result.line()}\n")
    wrong = [s for s in result.standings if not s.missing and not s.is_right]
    return FINDING if wrong else 0


def _throughput(given: Namespace, result: Result, console: Console) -> None:
    plan = QUICK if given.quick else Plan(given.rounds, given.seconds, given.events)
    chosen = [s for s in systems() if given.systems is None or s.name in given.systems]
    tell = _teller(console)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with console.status("starting Kafka") as status:

            def progress(namespace: str, done: int, total: int) -> None:
                status.update(f"{namespace}: {done:,} of {total:,} sales are laid in")

            with contextmanager(running_kafka)(folder / "kafka", AT_ONCE) as kafka:
                for work in given.works:
                    status.update(f"{work}: running")
                    arena = Arena(folder / work, kafka, progress)
                    result.standings += compete(arena, chosen, WORKS[work], plan, tell)
                    result.write(given.json)
                    arena.forget()
    for work in given.works:
        console.print(result.table(work))


def _latency(given: Namespace, result: Result, console: Console) -> None:
    """Measure how old updates are, by load; see `latency`."""
    from tests.benchmarks import latency, scene

    shape = latency.Shape(seconds=3) if given.quick else latency.Shape()
    with scene.servers() as servers:
        result.latency += latency.measure(
            latency.ENGINE,
            servers,
            shape=shape,
            trial_s=2 if given.quick else 10,
            tell=_teller(console),
        )


def _teller(console: Console) -> Tell:
    """Return what prints a line as it is."""
    return lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)


def _parsed(words: Sequence[str] | None) -> Namespace:
    names = [system.name for system in systems()]
    parser = ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=["throughput", "latency"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60, help="of a run, behind its warm-up")
    parser.add_argument(
        "--events", type=int, default=0, help="of every stream, whatever time it takes"
    )
    parser.add_argument("--systems", nargs="+", choices=names, help="only these")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=["W1", "W2", "W3"])
    parser.add_argument("--quick", action="store_true", help="one round of some seconds: rough")
    parser.add_argument("--json", type=Path, default=ROOT / ".bench" / "result.json")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
