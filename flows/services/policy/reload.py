"""Reading the policy file again while a flow runs: at SIGHUP, and with `PENSTOCK_CONFIG_WATCH=1` when it changes.

A file with problems changes nothing: they are logged, and counted. A good one is activated for all
processes of the store, which follow it as they follow any policy.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from connectors.config.policy_file import DEFAULT_PATH, ConfigError
from connectors.redis.server import ServerAway
from flows.runtime import signals
from flows.runtime.context import Runtime
from flows.runtime.retry import is_unavailable
from flows.runtime.session import beside
from flows.services.policy.activate import activate
from monitoring import metrics
from state.store.policy_history import By

LOOK_S = 1.0
STOP_S = 5.0
TOLD_MAX = 20
"""Problems of a file that are logged."""

_log = structlog.get_logger(__name__)


@contextmanager
def reloading(run: Runtime) -> Iterator[None]:
    """Read the policy file again while the block lasts, whenever that is asked for."""
    reload = Reload(run)
    thread = threading.Thread(target=reload.run, name="reload", daemon=True)
    thread.start()
    try:
        yield
    finally:
        reload.stop()
        thread.join(STOP_S)


class Reload:
    """The watch over the policy file. `run` it in a thread."""

    def __init__(self, run: Runtime, look_s: float = LOOK_S) -> None:
        self._runtime, self._look_s = run, look_s
        self._file = run.settings.config or DEFAULT_PATH
        self._stopped = threading.Event()
        self._loaded = self._seen = _stamp(self._file)

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stopped.set()
        signals.hangup.set()

    def run(self) -> None:
        """Look at the file until stopped."""
        while True:
            signals.hangup.wait(self._look_s)
            if self._stopped.is_set():
                return
            # Asked again: a signal may come as the time is over, and must not be cleared away unseen.
            if signals.hangup.is_set():
                signals.hangup.clear()
                self.read("SIGHUP")
            elif self._runtime.settings.config_watch == "1" and self._has_changed():
                self.read("the file changed")

    def read(self, why: str) -> None:
        """Activate the file. An error is logged, and never ends the process."""
        self._loaded = self._seen = _stamp(self._file)
        try:
            with beside(self._runtime) as own:
                changed = activate(own, self._runtime.settings.config, By("reload", why))
        except ConfigError as error:
            metrics.POLICY_RELOADS.labels("refused").inc()
            problems = [str(problem) for problem in error.problems[:TOLD_MAX]]
            _log.warning("policy not reloaded", problems=problems)
        except Exception as error:  # noqa: BLE001 - what it meets may not end the process
            metrics.POLICY_RELOADS.labels("failed").inc()
            problems = [f"{type(error).__name__}: {error}"]
            _log.warning("policy not reloaded", problems=problems)
            if is_unavailable(error) or isinstance(error, ServerAway):
                self._loaded = None
                self._stopped.wait(self._look_s)
                signals.hangup.set()
        else:
            metrics.POLICY_RELOADS.labels("changed" if changed else "same").inc()

    def _has_changed(self) -> bool:
        """Say whether the file is another than the one read, and stays as it is: no process is writing it."""
        before, self._seen = self._seen, _stamp(self._file)
        return self._seen is not None and self._seen != self._loaded and self._seen == before


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """Return what distinguishes one state of a file from another, None when there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
