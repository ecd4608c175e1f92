"""The proxy does to a connection what it is told, and tells what it did."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.produce_answers import ProduceAnswers
from tests.faults.proxy import Proxy
from tests.patience import PATIENCE_S

BIG = bytes(range(256)) * 1_000


class Echo:
    """Sends everything back, and says goodbye only when its client has."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.ends: list[str] = []
        """How its connections ended."""
        self.ended = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        end = "goodbye"
        with client:
            try:
                while data := client.recv(4096):
                    client.sendall(data)
            except OSError:
                end = "reset"
        self.ends.append(end)
        self.ended.release()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.listener.shutdown(socket.SHUT_RDWR)
    made.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as made:
        yield made


def client_of(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)


def ask_in_vain(proxy: Proxy) -> None:
    # The reset may come while it connects, or later.
    with closing(client_of(proxy)) as client:
        client.recv(1)


def received(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := client.recv(size - len(found))):
        found += data
    return found


def test_what_is_sent_arrives_and_is_counted(proxy: Proxy) -> None:
    with closing(client_of(proxy)) as client:
        sender = threading.Thread(target=client.sendall, args=(BIG,))
        sender.start()
        assert received(client, len(BIG)) == BIG
        sender.join()
    assert (proxy.passed.connections, proxy.passed.asked) == (1, len(BIG))
    assert proxy.passed.dropped == 0


def test_a_cut_resets_both_sides_and_refuses_who_comes_until_it_is_mended(
    proxy: Proxy, echo: Echo
) -> None:
    with closing(client_of(proxy)) as client:
        client.sendall(b"before")
        assert received(client, 6) == b"before"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert echo.ended.acquire(timeout=PATIENCE_S)
    assert echo.ends == ["reset"]
    with pytest.raises(ConnectionResetError):
        ask_in_vain(proxy)
    proxy.mend()
    with closing(client_of(proxy)) as client:
        client.sendall(b"after")
        assert received(client, 5) == b"after"
    assert (proxy.passed.reset, proxy.passed.refused) == (1, 1)


def test_a_frozen_connection_stays_open_and_loses_nothing(proxy: Proxy) -> None:
    with closing(client_of(proxy)) as client, proxy.mended():
        proxy.freeze("answered")
        client.sendall(b"held")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(4)
        assert proxy.passed.asked == 4
        proxy.mend()
        client.settimeout(PATIENCE_S)
        assert received(client, 4) == b"held"


def test_a_cut_ends_what_was_frozen_and_counts_it_as_dropped(proxy: Proxy) -> None:
    with closing(client_of(proxy)) as client:
        proxy.freeze()
        client.sendall(b"held")
        time.sleep(0.05)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.passed.asked + proxy.passed.dropped == 4
    assert proxy.connections == 0


def test_a_slow_connection_lets_so_many_bytes_pass_in_a_second(proxy: Proxy) -> None:
    with closing(client_of(proxy)) as client:
        proxy.slow(10_000)
        began_s = time.monotonic()
        client.sendall(bytes(2_000))
        assert len(received(client, 2_000)) == 2_000
        # On its way there and on its way back.
        assert time.monotonic() - began_s >= 0.3


def test_the_receiver_of_a_half_closed_connection_is_told_and_the_other_way_stays_open(
    proxy: Proxy,
) -> None:
    with closing(client_of(proxy)) as client:
        client.sendall(b"one")
        assert received(client, 3) == b"one"
        proxy.half_close("answered")
        assert client.recv(1) == b""
        client.sendall(b"two")
        client.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + PATIENCE_S
        while proxy.connections and time.monotonic() < deadline:
            time.sleep(0.01)
    assert (proxy.passed.asked, proxy.passed.answered) == (6, 3)
    assert (proxy.passed.dropped, proxy.passed.half_closed) == (3, 1)


def test_without_its_server_a_connection_is_refused(echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Proxy(port) as proxy:
        with pytest.raises(ConnectionResetError):
            ask_in_vain(proxy)
        assert proxy.passed.refused == 1


def frame(*values: int, more: bytes = b"") -> bytes:
    """A request (what, version, number), or an answer (number), as Kafka frames it."""
    head = struct.pack(">hhi", *values) if len(values) == 3 else struct.pack(">i", *values)
    return struct.pack(">i", len(head) + len(more)) + head + more


def test_answers_to_produce_requests_are_kept_back_and_others_pass() -> None:
    answers = ProduceAnswers()
    tap = answers()
    requests = [frame(0, 9, 1, more=b"batch"), frame(3, 12, 2), frame(0, 9, 3), frame(0, 9, 4)]
    assert tap.passing("asked", b"".join(requests)) == b"".join(requests)
    answers.keep_back(after=1)
    told = [frame(1, more=b"done"), frame(2, more=b"topics"), frame(3), frame(4)]
    assert tap.passing("answered", b"".join(told)) == b"".join(told[:2])
    assert (answers.passed, answers.kept_back) == (1, 2)
    assert answers.wait(2, within_s=0)
    answers.let_pass()
    assert tap.passing("asked", frame(0, 9, 5)) == frame(0, 9, 5)
    assert tap.passing("answered", frame(5)) == frame(5)


def test_frames_that_come_in_pieces_are_put_together() -> None:
    answers = ProduceAnswers()
    tap = answers()
    request, answer = frame(0, 9, 7, more=bytes(40)), frame(7, more=bytes(40))
    assert b"".join(tap.passing("asked", bytes([each])) for each in request) == request
    answers.keep_back(after=0)
    assert b"".join(tap.passing("answered", bytes([each])) for each in answer) == b""
    assert answers.kept_back == 1


def test_a_held_answer_waits_and_is_not_lost() -> None:
    answers = ProduceAnswers()
    tap = answers()
    tap.passing("asked", frame(0, 9, 7))
    answers.hold()
    passed: list[bytes] = []
    pump = threading.Thread(target=lambda: passed.append(tap.passing("answered", frame(7))))
    pump.start()
    pump.join(0.1)
    assert passed == []
    answers.let_pass()
    pump.join(PATIENCE_S)
    assert passed == [frame(7)]
