"""Retry: calls that are repeated for as long as a server is unavailable."""

import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import redis
import stamina
import structlog

from connectors.log.base import LogError, LogUnavailable
from flows.runtime import signals as stop
from monitoring import metrics


class RefusedForNow(Exception):
    """A server refuses for a while; in its own words."""


UNAVAILABLE = (
    RefusedForNow,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    LogUnavailable,
)
"""Errors after which a call is repeated; `is_unavailable` knows more, of which the library makes no classes."""

UNANSWERED = (LogUnavailable, redis.ConnectionError, redis.TimeoutError)
"""Errors after which it is unknown whether an append was done."""
_REFUSED_FOR_NOW = re.compile(r"(?:^|: )(?:BUSY|MISCONF|NOREPLICAS) ")
Answer = TypeVar("Answer")
_log = structlog.get_logger(__name__)


class Stopped(Exception):
    """Raised out of a repeated call when the process was asked to stop."""


def is_unavailable(error: BaseException) -> bool:
    """Say whether a server is unavailable, or refuses for now, so that the call may be repeated.

    For now: while a long script runs (BUSY), its disk is full (MISCONF), its memory is, or too few of its
    replicas follow (NOREPLICAS).
    """
    return isinstance(error, UNAVAILABLE) or (
        isinstance(error, redis.ResponseError) and _REFUSED_FOR_NOW.search(str(error)) is not None
    )


def retry_until_available(call: Callable[[], Answer]) -> Answer:
    """Repeat a call that may be repeated for as long as a server is unavailable, or refuses for now.

    Raises:
        Stopped: the process was asked to stop meanwhile.
    """
    for attempt in stamina.retry_context(
        on=is_unavailable, attempts=None, timeout=None, wait_initial=0.05, wait_max=1.0
    ):
        with attempt:
            if attempt.num > 1 and stop.wanted():
                raise Stopped
            try:
                return call()
            except redis.ResponseError as error:
                _note_unavailable(error, attempt.num)
                if isinstance(error, UNAVAILABLE) or not is_unavailable(error):
                    raise
                # The library's own class would not log the reason.
                raise RefusedForNow(str(error)) from error
            except UNAVAILABLE as error:
                _note_unavailable(error, attempt.num)
                raise
    raise AssertionError("a retry without end ended")


def pipelined_retry(begin: Callable[[], Callable[[], Answer]]) -> Callable[[], Answer]:
    """Begin a call now; what is returned waits for its answer, and retries the call until it has one.

    What was in flight when the connection broke may be done or not: all of it is sent again.
    """
    under_way = [begin()]

    def answer() -> Answer:
        receive = under_way.pop() if under_way else begin()
        return receive()

    return partial(retry_until_available, answer)


def _note_unavailable(error: Exception, attempt: int) -> None:
    """Count a call that is retried, and log the first time of each call: it is waited for until it works."""
    if not is_unavailable(error):
        return
    server = "log" if isinstance(error, LogError) else "store"
    metrics.RETRIES.labels(server).inc()
    if attempt == 1:
        _log.warning("server away", server=server, error=f"{type(error).__name__}: {error}")
