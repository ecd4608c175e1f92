"""Deferred failure: how a flow ends at an error that has words for its user.

The engine is written in Rust: when an error leaves a step, it first prints a stack of its own. An error with words is
therefore deferred: the sources end, the steps drop what is in flight, and the error is raised when the engine has
ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class DeferredFailure:
    """The error that ends a flow. `defers` says which errors are deferred; by default none is."""

    defers: Callable[[Exception], bool] = lambda _error: False
    error: Exception | None = None

    def step(self, work: Callable[[Item], Answer]) -> Callable[[Item], Answer]:
        """Return a step that does nothing any more once an error was deferred."""

        def guarded(item: Item) -> Answer:
            if self.error is None:
                try:
                    return work(item)
                except Exception as error:
                    if not self.defers(error):
                        raise
                    self.error = error
            # No later step looks at it: all of them drop their items.
            return cast("Answer", None)

        return guarded

    def source(self, ask: Callable[[], Answer]) -> Callable[[], Answer]:
        """Return a source that raises StopIteration once an error was deferred."""

        def guarded() -> Answer:
            if self.error is None:
                try:
                    return ask()
                except StopIteration:
                    raise
                except Exception as error:
                    if not self.defers(error):
                        raise
                    self.error = error
            raise StopIteration

        return guarded

    def reraise(self) -> None:
        """Raise the error that was deferred, if there is one."""
        if self.error is not None:
            raise self.error
