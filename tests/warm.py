"""Commands of `penstock` without the second that a Python takes to import it: one that has done so forks for each.

Each command is a process of its own, with its own environment, streams and end, as `python -m flows.cli` makes one.
What it shares with the others is what was imported. Elsewhere than on Linux it is just that: a Python for each.
"""

import atexit
import gc
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import msgspec

import flows
from flows.cli.app import main

ROOT: Final = Path(__file__).parents[1]
STREAMS: Final = 3
LEFT_OUT: Final = {"demo", "__main__"}
"""What starts threads when it is imported, and programs."""

_ASKED = msgspec.json.Decoder(tuple[list[str], str, dict[str, str]])
_SIZE_BYTES = 4


def run(
    words: Sequence[str], folder: Path, env: Mapping[str, str], given: bytes, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run `penstock` to its end.

    Raises:
        subprocess.TimeoutExpired: it does not come to an end; it was killed.
    """
    if sys.platform != "linux":
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *words], cwd=folder, env=env, input=given,
            capture_output=True, check=False, timeout=timeout_s,
        )  # fmt: skip
    file = tempfile.TemporaryFile
    with file() as stdin, file() as stdout, file() as stderr:
        stdin.write(given)
        stdin.seek(0)
        streams = [each.fileno() for each in (stdin, stdout, stderr)]
        code = _code(words, folder, env, streams, timeout_s)
        told = []
        for each in (stdout, stderr):
            each.seek(0)
            told.append(each.read())
    return subprocess.CompletedProcess(list(words), code, *told)


def _code(
    words: Sequence[str], folder: Path, env: Mapping[str, str], streams: list[int], timeout_s: float
) -> int:
    asked = msgspec.json.encode((list(words), str(folder), dict(env)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as us:
        us.settimeout(timeout_s)
        us.connect(_address())
        socket.send_fds(us, [len(asked).to_bytes(_SIZE_BYTES, "big")], streams)
        us.sendall(asked)
        pid = int.from_bytes(_received(us, _SIZE_BYTES), "big")
        try:
            return int.from_bytes(_received(us, _SIZE_BYTES), "big", signed=True)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(words), timeout_s) from None


@cache
def _address() -> str:
    """Start the process that forks, for as long as this one lives. Return the socket on which it listens."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    address = f"{folder.name}/socket"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, address], cwd=ROOT, env=kept | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip

    def end() -> None:
        with process:
            process.kill()
        folder.cleanup()

    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return address


def _received(peer: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = peer.recv(size - len(found))
        if not more:
            raise ConnectionError("the process that forks has ended")
        found += more
    return found


def _serve(address: str) -> NoReturn:
    """Fork for each who asks, until standard input closes."""
    for module in pkgutil.walk_packages(flows.__path__, f"{flows.__name__}."):
        if not LEFT_OUT & set(module.name.split(".")):
            import_module(module.name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    # Else a collection would copy all of it for each command.
    gc.freeze()
    handlers: set[int] = set()
    while True:
        ready, _, _ = select.select([listener.fileno(), 0], [], [])
        if 0 in ready:
            os._exit(0)
        peer, _ = listener.accept()
        handlers = {each for each in handlers if os.waitpid(each, os.WNOHANG)[0] == 0}
        if (handler := os.fork()) == 0:
            listener.close()
            _handle(peer)
        handlers.add(handler)
        peer.close()


def _handle(peer: socket.socket) -> NoReturn:
    """Fork once more, and tell the one who asked about the command: its process, then how it ended."""
    head, streams, _, _ = socket.recv_fds(peer, _SIZE_BYTES, STREAMS)
    words, folder, env = _ASKED.decode(_received(peer, int.from_bytes(head, "big")))
    if (pid := os.fork()) == 0:
        peer.close()
        _be(words, folder, env, streams)
    peer.sendall(pid.to_bytes(_SIZE_BYTES, "big"))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    peer.sendall(code.to_bytes(_SIZE_BYTES, "big", signed=True))
    os._exit(0)


def _be(words: list[str], folder: str, env: dict[str, str], streams: list[int]) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["penstock", *words]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
        code = 1
    # To take all apart that was imported would cost more than most commands do.
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as an interpreter does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
