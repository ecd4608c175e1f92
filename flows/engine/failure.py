"""How a flow ends at an error that is to be told in words.

The engine is written in Rust: an error that leaves a step makes it print a stack of its own first. An error that
has words is therefore kept, the sources end, what is under way is let go, and the error is raised when the
engine has ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Ending:
    """The error that ends a flow. `keeps` says which ones are kept; by default none is."""

    keeps: Callable[[Exception], bool] = lambda _error: False
    error: Exception | None = None

    def step(self, step: Callable[[Item], Answer]) -> Callable[[Item], Answer]:
        """Return a step that does nothing any more once an error was kept."""

        def guarded(item: Item) -> Answer:
            if self.error is None:
                try:
                    return step(item)
                except Exception as error:
                    if not self.keeps(error):
                        raise
                    self.error = error
            # No step looks at it: all are let go.
            return cast("Answer", None)

        return guarded

    def source(self, ask: Callable[[], Answer]) -> Answer:
        """Return what a source has to hand on.

        Raises:
            StopIteration: the source has ended, by itself or because an error was kept.
        """
        if self.error is None:
            try:
                return ask()
            except StopIteration:
                raise
            except Exception as error:
                if not self.keeps(error):
                    raise
                self.error = error
        raise StopIteration

    def tell(self) -> None:
        """Raise the error that was kept, if one was."""
        if self.error is not None:
            raise self.error
