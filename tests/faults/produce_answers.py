"""A tap on connections to a Kafka broker: answers to produce requests are held up, or never come.

A batch of a producer is one request for each partition. When the answers of some never come, it is partly
acknowledged: the broker has all of it, the producer knows of a part.
"""

import struct
import threading

from tests.faults.proxy import Way

PRODUCE = 0
_SIZE = struct.Struct(">i")
_REQUEST = struct.Struct(">ihhi")  # size, what is asked, its version, correlation id
_ANSWER = struct.Struct(">ii")  # size, correlation id


class ProduceAnswers:
    """Common to the connections of one proxy; call it for the tap of each."""

    def __init__(self) -> None:
        self.passed = 0
        """Answers that passed since answers were last kept back."""
        self.kept_back = 0
        self._left: int | None = None
        self._is_held = False
        self._changed = threading.Condition()

    def __call__(self) -> "_Frames":
        return _Frames(self)

    def keep_back(self, after: int) -> None:
        """Let so many more answers pass, and none behind them, until `let_pass`."""
        with self._changed:
            self.passed, self._left = 0, after

    def hold(self) -> None:
        """Let answers, and what comes behind them on their connections, wait until `let_pass`."""
        with self._changed:
            self._is_held = True

    def let_pass(self) -> None:
        """Let all answers pass again; those that were kept back, not held, never come."""
        with self._changed:
            self._left, self._is_held = None, False
            self._changed.notify_all()

    def wait(self, kept_back: int, within_s: float) -> bool:
        """Wait until so many answers were kept back in all; say whether they were."""
        with self._changed:
            return self._changed.wait_for(lambda: self.kept_back >= kept_back, within_s)

    def may_pass(self) -> bool:
        """Decide on one answer, when it may go on."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_held)
            if self._left is None:
                return True
            if self._left > 0:
                self._left -= 1
                self.passed += 1
                return True
            self.kept_back += 1
            self._changed.notify_all()
            return False


class _Frames:
    """The frames of one connection, put together from what passes."""

    def __init__(self, answers: ProduceAnswers) -> None:
        self._answers = answers
        self._rest: dict[Way, bytes] = {"asked": b"", "answered": b""}
        self._produced: set[int] = set()

    def passing(self, way: Way, data: bytes) -> bytes:
        """Return the whole frames among what has come that may pass."""
        held, kept, at = self._rest[way] + data, [], 0
        head = _REQUEST if way == "asked" else _ANSWER
        while len(held) - at >= head.size:
            end = at + _SIZE.size + _SIZE.unpack_from(held, at)[0]
            if end > len(held):
                break
            if way == "asked":
                self._asked(held, at)
                kept.append(held[at:end])
            elif self._may_pass(held, at):
                kept.append(held[at:end])
            at = end
        self._rest[way] = held[at:]
        return b"".join(kept)

    def _asked(self, held: bytes, at: int) -> None:
        _, what, _, number = _REQUEST.unpack_from(held, at)
        if what == PRODUCE:
            self._produced.add(number)

    def _may_pass(self, held: bytes, at: int) -> bool:
        _, number = _ANSWER.unpack_from(held, at)
        if number not in self._produced:
            return True
        self._produced.discard(number)
        return self._answers.may_pass()
