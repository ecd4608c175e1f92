"""Whether a recorded history of holds on one SKU could have happened one call after the other.

A call may have taken effect at any moment between its begin and its end; a history is linearizable if there is an
order of such moments in which every answer is right. Found by search over orders (Wing and Gong), each pair of
calls done and state met once (Lowe). Calls of which no answer came, and lapses, may have taken effect at any time
after their begin, or never.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

NEVER: Final = 1 << 62

State = frozenset[str]
"""The holds that live."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, in ns. `units` are those asked for; `left` what a refusal said there would be.

    `held` and `short` are answers to a new hold, `released` and `absent` to a release; `lapsed` is the end of a
    hold whose time was over.
    """

    kind: Literal["held", "short", "released", "absent", "lapsed"]
    hold: str
    begin: int
    end: int = NEVER
    units: int = 0
    left: int = 0


class Sku:
    """What a history is about: a SKU of so many units."""

    def __init__(self, stock: int, calls: Sequence[Call]) -> None:
        self._stock = stock
        self._calls = sorted(calls, key=lambda call: call.begin)
        self._units = {call.hold: call.units for call in calls if call.kind == "held"}

    def order(self) -> list[Call] | None:
        """Return an order in which the calls could have happened, None when there is none."""
        calls = self._calls
        every = sum(1 << at for at, call in enumerate(calls) if call.end < NEVER)
        met: set[tuple[int, State]] = set()
        done, live, path = 0, frozenset[str](), list[int]()
        stack: list[tuple[int, State, list[int]]] = [(done, live, self._next(done))]
        while stack:
            done, live, following = stack[-1]
            if done & every == every:
                return [calls[at] for at in path]
            if not following:
                stack.pop()
                if path:
                    path.pop()
                continue
            at = following.pop()
            after = self._after(calls[at], live)
            if after is None or (key := (done | 1 << at, after)) in met:
                continue
            met.add(key)
            path.append(at)
            stack.append((*key, self._next(key[0])))
        return None

    def _next(self, done: int) -> list[int]:
        """Return the calls that may come next: begun before any that is not done has ended."""
        found: list[int] = []
        first_end = NEVER
        for at, call in enumerate(self._calls):
            if call.begin > first_end:
                break
            if not done >> at & 1:
                found.append(at)
                first_end = min(first_end, call.end)
        # Those that need not be are tried last: the stack is taken from its end.
        return sorted(
            (at for at in found if self._calls[at].begin <= first_end),
            key=lambda at: (self._calls[at].end, self._calls[at].begin),
            reverse=True,
        )

    def _after(self, call: Call, live: State) -> State | None:
        """Return the holds that live after a call, None when its answer would be wrong."""
        is_live = call.hold in live
        left = self._stock - sum(self._units[hold] for hold in live)
        match call.kind:
            case "held":
                # The same request may come again.
                return live if is_live else live | {call.hold} if left >= call.units else None
            case "short":
                return live if not is_live and left == call.left < call.units else None
            case "absent":
                return None if is_live else live
            case _:
                return live - {call.hold} if is_live else None
