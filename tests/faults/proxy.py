"""A TCP proxy on loopback that does to connections what networks do: it cuts, slows, freezes and half closes them.

Every connection has two pumps, one for each way. A pump takes what has come, waits until it may go on, and hands
it on. What one side sent and the other never got is counted as dropped.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

CHUNK = 16 * 1024
BACKLOG = 128
CONNECT_S = 5.0
LOOK_S = 0.1
"""So often a pump that waits for a peer looks whether its connection was cut."""

Way = Literal["asked", "answered"]
"""From client to server, or back."""

_NO_GOODBYE = struct.pack("ii", 1, 0)
"""SO_LINGER for a close that resets."""


class Tap(Protocol):
    """Sees what passes one connection, and may keep parts of it back."""

    def passing(self, way: Way, data: bytes) -> bytes:
        """Return what is handed on."""


@dataclass(slots=True)
class Passed:
    """What a proxy has done, in connections and bytes."""

    connections: int = 0
    refused: int = 0
    """New connections while it was cut, or its server away."""
    reset: int = 0
    half_closed: int = 0
    asked: int = 0
    answered: int = 0
    dropped: int = 0
    """Bytes that one side sent and the other never got."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **counts: int) -> None:
        """Add to figures by name."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)


class Proxy:
    """Leads `127.0.0.1:<port>` to `127.0.0.1:<target>`; a context manager that leaves nothing open.

    `tap` makes the tap of each new connection.
    """

    def __init__(self, target: int, tap: Callable[[], Tap] | None = None) -> None:
        self.passed = Passed()
        self._target = target
        self._tap = tap
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._cut = False
        self._frozen: set[Way] = set()
        self._bytes_per_s = 0
        self._open: set[_Connection] = set()
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut()

    @property
    def address(self) -> str:
        """Host and port, as clients are told."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections lead through it now."""
        return len(self._open)

    def cut(self) -> None:
        """Reset every connection, and every new one, until `mend`."""
        with self._changed:
            self._cut = True
            cut, self._open = self._open, set()
            for each in cut:
                each.cut()
            self._changed.notify_all()
        self.passed.add(reset=len(cut))

    def freeze(self, *ways: Way) -> None:
        """Let nothing pass on these ways, both if none is named, until `mend`; connections stay open."""
        with self._changed:
            self._frozen = set(ways) or {"asked", "answered"}

    def slow(self, bytes_per_s: int) -> None:
        """Let about so many bytes a second pass each way of each connection, until `mend`."""
        with self._changed:
            self._bytes_per_s = bytes_per_s

    def half_close(self, way: Way) -> None:
        """End one way of every connection: its receiver is told that no more comes, its sender is not.

        What still comes on that way is dropped; the other way stays open until its sender ends it.
        """
        with self._changed:
            closed = list(self._open)
        for each in closed:
            each.half_close(way)
        self.passed.add(half_closed=len(closed))

    def mend(self) -> None:
        """Let everything pass again, first what was frozen."""
        with self._changed:
            self._cut, self._bytes_per_s = False, 0
            self._frozen.clear()
            self._changed.notify_all()

    @contextmanager
    def mended(self) -> Iterator[Self]:
        """Mend when the block ends, in whatever way."""
        try:
            yield self
        finally:
            self.mend()

    def hinder(self, connection: "_Connection", way: Way, size: int) -> None:
        """Wait until so many bytes may go on, or the connection is cut."""
        with self._changed:
            rate = self._bytes_per_s
            if rate:
                self._changed.wait_for(lambda: connection.is_cut, size / rate)
            self._changed.wait_for(lambda: connection.is_cut or way not in self._frozen)

    def forget(self, connection: "_Connection") -> None:
        """Take note that a connection has ended by itself."""
        with self._changed:
            self._open.discard(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._lead(client)

    def _lead(self, client: socket.socket) -> None:
        """Begin a connection, unless it is refused here or by the server."""
        server = None
        if not self._cut:
            with suppress(OSError):
                server = socket.create_connection(("127.0.0.1", self._target), CONNECT_S)
        if server is not None:
            connection = _Connection(self, client, server, self._tap and self._tap())
            with self._changed:
                if not self._cut:
                    self._open.add(connection)
                    connection.start()
                    self.passed.add(connections=1)
                    return
            _reset(server)
        self.passed.add(refused=1)
        _reset(client)


class _Connection:
    """A client and a server, and a pump for each way between them."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, server: socket.socket, tap: Tap | None
    ) -> None:
        self.is_cut = False
        self._proxy = proxy
        self._client, self._server = client, server
        self._tap = tap
        self._ended: set[Way] = set()
        self._closed: set[Way] = set()
        self._lock = threading.Lock()
        for each in (client, server):
            each.settimeout(LOOK_S)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Begin to pump."""
        ways: tuple[tuple[Way, socket.socket, socket.socket], ...] = (
            ("asked", self._client, self._server),
            ("answered", self._server, self._client),
        )
        for way in ways:
            threading.Thread(target=self._pump, args=way, daemon=True).start()

    def cut(self) -> None:
        """Let both pumps end; then both sides are reset."""
        self.is_cut = True

    def half_close(self, way: Way) -> None:
        """Say goodbye to the receiver of a way."""
        self._closed.add(way)
        with suppress(OSError):
            (self._server if way == "asked" else self._client).shutdown(socket.SHUT_WR)

    def _pump(self, way: Way, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := self._received(source):
                self._proxy.hinder(self, way, len(data))
                kept = data if self._tap is None else self._tap.passing(way, data)
                handed_on = self._hand_on(way, kept, sink)
                self._proxy.passed.add(**{way: handed_on}, dropped=len(data) - handed_on)
            if not self.is_cut:
                sink.shutdown(socket.SHUT_WR)
        self._end(way)

    def _received(self, source: socket.socket) -> bytes:
        """Return what has come; nothing at the end, or when the connection is cut."""
        while not self.is_cut:
            with suppress(TimeoutError):
                return source.recv(CHUNK)
        return b""

    def _hand_on(self, way: Way, data: bytes, sink: socket.socket) -> int:
        """Send; return how many bytes went before the way was closed."""
        sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < len(data) and way not in self._closed and not self.is_cut:
                with suppress(TimeoutError):
                    sent += sink.send(data[sent:])
        return sent

    def _end(self, way: Way) -> None:
        with self._lock:
            self._ended.add(way)
            if len(self._ended) == 1:
                return
        self._proxy.forget(self)
        for each in (self._client, self._server):
            if self.is_cut:
                _reset(each)
            each.close()


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_GOODBYE)
    connection.close()
