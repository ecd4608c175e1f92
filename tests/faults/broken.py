"""Rules of the engine that can be taken out of a worker, to see whether the check finds it.

A rule goes by replacing a text of the function library or of a Python function, which must be there exactly
once, or by wrapping a call. It happens in the worker's process alone: the engine has no switch for it.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from state.store import library
from state.store.shards import Store


class RuleMoved(Exception):
    """The text that makes up a rule is not where it was: the patch must be written anew."""


def replaced(source: str, old: str, new: str, where: str) -> str:
    """Return the source with one text in place of another.

    Raises:
        RuleMoved: it is not there exactly once.
    """
    times = source.count(old)
    if times != 1:
        raise RuleMoved(f"{where}: expected {old!r} once, got it {times} times")
    return source.replace(old, new)


def in_library(*changes: tuple[str, str]) -> None:
    """Replace texts of the function library that this process loads into the store."""
    source = library.library_source()
    for old, new in changes:
        source = replaced(source, old, new, "function library")
    library.library_source = lambda: source


def in_method(owner: type, name: str, old: str, new: str) -> None:
    """Replace a text of a method."""
    method: FunctionType = owner.__dict__[name]
    source = textwrap.dedent(inspect.getsource(method))
    changed = replaced(source, old, new, f"{owner.__name__}.{name}")
    made: dict[str, Any] = {}
    exec(compile(changed, method.__code__.co_filename, "exec"), method.__globals__, made)  # noqa: S102
    setattr(owner, name, made[name])


def mark() -> None:
    """Effects are applied without a look at the mark."""
    in_library(("if offset <= mark then", "if false then"))


def from_() -> None:
    """A shard does not check whether it has what the call builds on."""
    in_library(("if marks[i] < part[2] then", "if false then"))


def max_() -> None:
    """The mark is set, also to less."""
    in_library(("if part[3] > marks[i] then", "if true then"))


def min_() -> None:
    """Reading resumes after the shard that is ahead."""
    from flows.ingest.reader import Reader

    in_method(
        Reader, "_open", "Chain.starting(mark, min(found),", "Chain.starting(mark, max(found),"
    )


def guard() -> None:
    """Nothing stops an event that was sent again."""
    in_library(
        (
            "if group.known[at] == 1 or (group.added and added_before(run.guard, slice, hash)) then",
            "if false then",
        )
    )


def cut() -> None:
    """An event of several ops is cut over two calls."""
    apply = Store.apply

    def apply_in_two(self: Store, calls: Mapping[int, Any]) -> Any:
        firsts, seconds = {}, {}
        for shard, call in calls.items():
            *others, part = call.parts
            *before, last = part.events
            firsts[shard] = call
            if len(last.ops) > 1:
                half = last._replace(ops=last.ops[:1])
                rest = last._replace(ops=last.ops[1:])
                cut_off = part._replace(events=(*before, half))
                firsts[shard] = call._replace(parts=(*others, cut_off))
                after = part._replace(after=part.upto, events=(rest,))
                seconds[shard] = call._replace(parts=(after,))
        replies = apply(self, firsts)
        apply(self, seconds)
        return replies

    def begin(self: Store, rounds: Sequence[Mapping[int, Any]]) -> Any:
        return lambda: [self.apply(calls) for calls in rounds]

    Store.apply = apply_in_two  # type: ignore[method-assign]  # that is what is wanted
    Store.begin_apply = begin  # type: ignore[method-assign]  # as above


def trust() -> None:
    """What was emitted last is trusted while an emission is still open."""
    in_library(("(open == 0 and generation == meta.generation)", "(generation == meta.generation)"))


def token() -> None:
    """A claim is settled whoever has claimed the SKU since, and whatever the shard has been through."""
    in_library(
        ("if latest ~= token then return nil end", ""),
        ("items[i + 2] == generation\n      and settle_sku(", "settle_sku("),
    )


def settle() -> None:
    """Claims are settled before the log has confirmed what was emitted."""
    from flows.publish import steps as publish_steps

    emit = publish_steps.emit

    def settle_and_emit(runtime: Any, found: Any) -> Any:
        claims, decided = found
        for each in decided:
            revision = claims.policy.revision
            runtime.store.settle(runtime.clock.now_us(), revision, {each.shard: [each.settle]})
        emit(runtime, found)
        return publish_steps.Emitted(claims, [])

    publish_steps.emit = settle_and_emit


def recover() -> None:
    """A shard that went back is left as it is."""
    from flows.runtime import shard_tick

    # Before the reader takes the name from there.
    shard_tick.recover = lambda *_: None


RULES: Mapping[str, Callable[[], None]] = {
    "mark": mark,
    "from": from_,
    "max": max_,
    "min": min_,
    "guard": guard,
    "cut": cut,
    "trust": trust,
    "token": token,
    "settle": settle,
    "recover": recover,
}


def take_out(rule: str) -> None:
    """Take a rule out of this process.

    Raises:
        KeyError: no such rule. RuleMoved: the engine was written anew there.
    """
    RULES[rule]()
