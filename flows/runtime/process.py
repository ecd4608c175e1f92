"""One process that runs a flow: signals, metrics server, readiness, and what its failure means."""

import atexit
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import stamina.instrumentation
import structlog

from connectors.config import settings as environment
from connectors.log.base import LogError
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING, verdict
from flows.runtime.session import runtime
from monitoring.server import serve

Background = Callable[[Runtime], AbstractContextManager[None]]
"""A task that runs beside a flow, in a thread of its own, while its context lasts."""

_log = structlog.get_logger(__name__)


def set_up_logging() -> None:
    """Log one JSON line per thing to act on, to standard error; normal operation logs nothing."""
    # That library logs every retry; `retry_until_available` logs and counts them.
    stamina.instrumentation.set_on_retry_hooks(())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def collect_rarely() -> None:
    """Let the garbage collector look for cycles rarely.

    A batch makes tens of thousands of values that live for a moment and are in no cycle; by default
    they are walked again and again, which costs a fifth of the time of a flow.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@contextmanager
def running(background: Sequence[Background] = ()) -> Iterator[Runtime]:
    """Be a process that runs a flow, with the settings of the environment, until the block ends.

    The tasks of `background` run beside the flow; the last one ends first.
    """
    stop.catch_hangups()
    stop.install()  # the last: what was held until now comes, and finds its handlers
    set_up_logging()
    collect_rarely()
    settings = environment.load()
    for warning in environment.unknown_variables():
        _log.warning("unknown setting", problem=warning)
    with ExitStack() as stack:
        run = stack.enter_context(runtime(settings))
        if settings.metrics_address is not None:
            web = serve(settings.metrics, lambda: _readiness(run))
            stack.callback(web.stop)
        for task in background:
            stack.enter_context(task(run))
        yield run


def serving(name: str, background: Sequence[Background]) -> Runtime:
    """Enter `running` for as long as this process lives, for a flow that the engine itself starts."""
    stack = ExitStack()
    try:
        run = stack.enter_context(running(background))
    except Exception as error:
        code, text = verdict(error)
        if code == FINDING:
            raise
        sys.stderr.write(f"penstock {name}: {text}\n")
        raise SystemExit(code) from None
    atexit.register(stack.close)
    return run


def _readiness(run: Runtime) -> dict[str, str | None]:
    checks = {"clock": None, **run.problems}
    problem = run.primaries.ping()
    checks["redis"] = f"redis: {problem}" if problem else None
    if run.settings.kafka is not None:
        try:
            run.log.reach()
            checks["log"] = None
        except LogError as error:
            checks["log"] = f"log: {error}"
    return checks
