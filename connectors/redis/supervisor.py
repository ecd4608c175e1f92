"""The keeper of an embedded store: runs its server while it has users, stops it behind the last.

A program of the standard library alone, `python keeper.py DATA SERVER SOCKET`. It goes to the
background as soon as it holds `DATA/server.lock`, and then

- runs the server, and starts it again when it dies, under a new identity: something may be lost;
- blocks for an exclusive lock on `DATA/users.lock`, of which each user holds a shared one: the
  kernel frees the locks of a killed user, so that no user has to sign off;
- with that lock in hand stops the server, leaves the marker `DATA/clean` if it ended well, and
  exits: a process that comes meanwhile waits for the lock and then starts afresh.

The server inherits `server.lock`, so that it is free only when neither keeper nor server is alive,
and on Linux asks the kernel to be stopped should the keeper die.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

ALREADY_KEPT = 75

_PR_SET_PDEATHSIG = 1
_SHORT_LIFE_S = 2.0
_SHORT_LIVES_MAX = 5

_SETTINGS = (
    ("port", "0"),
    ("unixsocketperm", "700"),
    ("daemonize", "no"),
    ("appendonly", "yes"),
    ("appendfsync", "everysec"),
    ("maxmemory-policy", "noeviction"),
    ("save", ""),
    ("auto-aof-rewrite-min-size", "512mb"),
    # A SKU of few locations, and what was emitted of it, fit in one block each.
    ("hash-max-listpack-entries", "64"),
    ("hash-max-listpack-value", "512"),
)


def keep(data: Path, server: str, socket: str) -> int:
    """Keep the server until it has no users. Returns the exit code of the program."""
    lock = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_KEPT
    if os.fork() > 0:
        # The process that started this program may go on: the lock is held from here.
        os._exit(0)
    return _Keeper(data, server, socket, lock).run()


class _Keeper:
    def __init__(self, data: Path, server: str, socket: str, lock: int) -> None:
        self._data = data
        self._server = server
        self._socket = socket
        self._lock = lock
        self._running: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def run(self) -> int:
        """Run the server, again if it must be; return 0 after a clean end."""
        clean = self._data / "clean"
        identity = self._data / "identity"
        if not (clean.exists() and identity.exists()):
            _renew(identity)
        clean.unlink(missing_ok=True)
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: self._stop())
        threading.Thread(target=self._watch_users, daemon=True).start()
        short_lives = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._serve()
            if self._stopping.is_set():
                if code == 0:
                    clean.touch()
                return 0
            short_lives = short_lives + 1 if time.monotonic() - started < _SHORT_LIFE_S else 0
            _say(f"the server ended with code {code}")
            if short_lives >= _SHORT_LIVES_MAX:
                _say(
                    f"given up: it ended {short_lives} times within {_SHORT_LIFE_S} s of its start"
                )
                return 1
            _renew(identity)
        return 0

    def _serve(self) -> int:
        settings = [
            *_SETTINGS,
            ("unixsocket", self._socket),
            ("dir", str(self._data / "store")),
        ]
        self._running = subprocess.Popen(  # noqa: S603 - the server that the starter found
            [
                *(sys.executable, "-I", "-S", __file__, "--exec", str(os.getpid())),
                self._server,
                *(word for name, value in settings for word in (f"--{name}", value)),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=[self._lock],
        )
        if self._stopping.is_set():
            # `_stop` may have come when there was nothing to stop.
            self._running.send_signal(signal.SIGTERM)
        return self._running.wait()

    def _watch_users(self) -> None:
        users = os.open(self._data / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_EX)
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        if self._running is not None:
            self._running.send_signal(signal.SIGTERM)


def _exec(parent: int, command: list[str]) -> None:
    """Become the server, to be ended by the kernel when the keeper dies (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the keeper died")
    os.execv(command[0], command)  # noqa: S606 - the process becomes the server


def _renew(identity: Path) -> None:
    """Give the store a new identity, whole or not at all."""
    draft = identity.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(f"{uuid.uuid4()}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(identity)


def _say(text: str) -> None:
    sys.stderr.write(f"keeper {os.getpid()}: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    if sys.argv[1] == "--exec":
        _exec(int(sys.argv[2]), sys.argv[3:])
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
