"""What goes wrong on the way: messages sent twice, and messages that no process can use.

Of the facts one in `one_in` is sent again, half of them at once, half 1 to 40 hours later in
business time; half of the late ones carry another `time`. After one in `one_in`, other ones, comes
a message out of `bad_input.KINDS`, turn by turn. Nothing is taken away and no good message is
touched, so the units of the stream stay those of the sales.
"""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from flows.demo.bad_input import odd_message
from flows.demo.events import CLOSING_ID, Fact, StreamEvent, message
from flows.demo.sales import digest, number
from state.durations import HOUR_MS

ONE_IN = 1_000
_LATE_MS = (HOUR_MS, 40 * HOUR_MS)


def harmed(facts: Iterable[Fact], one_in: int = ONE_IN) -> Iterator[StreamEvent]:
    """Yield the messages of `facts`, with repeats and bad messages between them, in time order."""
    late: list[tuple[int, int, StreamEvent]] = []
    odd = 0
    for ordinal, fact in enumerate(facts):
        while late and late[0][0] < fact.business_ms:
            yield heappop(late)[2]
        good = message(fact)
        yield good
        if fact.id == CLOSING_ID:
            continue
        some = digest(f"{fact.source} {fact.id}")
        if number(some, 0) % one_in == 0:
            again = _again(fact, some)
            if again.business_ms == fact.business_ms:
                yield again
            else:
                heappush(late, (again.business_ms, ordinal, again))
        if number(some, 1) % one_in == 0:
            yield odd_message(odd, fact)
            odd += 1
    yield from (heappop(late)[2] for _ in range(len(late)))


def _again(fact: Fact, some: bytes) -> StreamEvent:
    if number(some, 2) % 2:
        return message(fact, kind="duplicate")
    low_s, high_s = _LATE_MS[0] // 1000, _LATE_MS[1] // 1000
    sent_ms = fact.business_ms + (low_s + number(some, 3) % (high_s - low_s + 1)) * 1000
    time_ms = sent_ms if number(some, 4) % 2 else fact.business_ms
    return message(fact, kind="duplicate", sent_ms=sent_ms, time_ms=time_ms)
