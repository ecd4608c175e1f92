"""Rules taken out by another text: of the function library, or of a method, in a worker's process.

The text must be there exactly once, or the patch says so. The engine has no switch for any of it.
"""

import inspect
import textwrap
from types import FunctionType, ModuleType
from typing import Any

from state.store import library


class RuleMoved(Exception):
    """The text that makes up a rule is not where it was: the patch must be rewritten."""


def changed(source: str, old: str, new: str, where: str) -> str:
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
        source = changed(source, old, new, "function library")
    library.library_source = lambda: source


def in_method(owner: type | ModuleType, name: str, old: str, new: str) -> None:
    """Replace a text of a method, or of a function of a module."""
    method: FunctionType = owner.__dict__[name]
    source = textwrap.dedent(inspect.getsource(method))
    patched = changed(source, old, new, f"{owner.__name__}.{name}")
    made: dict[str, Any] = {}
    exec(compile(patched, method.__code__.co_filename, "exec"), method.__globals__, made)  # noqa: S102
    setattr(owner, name, made[name])
