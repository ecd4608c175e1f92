"""Lazy imports: help is fast, and a command module still imports all that it needs at its top.

A command is imported when it runs. While that happens, the modules of `DEFERRED` that it names are found, and executed
at their first use (`importlib.util.LazyLoader`), so that `penstock hold confirm --help` loads no client of Redis or
Kafka. A command module therefore imports these as modules, `from flows.runtime import session`; a name out of one,
`from flows.runtime.session import reached`, executes it at once. Once the command is imported, imports are ordinary
again. `state` is light and needs none of this, but for `state.store`, which services use and commands do not.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any, ClassVar, Final, NamedTuple

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

DEFERRED: Final = ("connectors.", "flows.", "monitoring.", "rich.", "structlog")
AT_ONCE: Final = "flows.cli."


class CommandEntry(NamedTuple):
    """Where a command is, and the line that help shows of it: the first of its docstring."""

    module: str
    help: str


class LazyGroup(TyperGroup):
    """A group of commands that are imported when they run; until then a name and a line of help stand for each."""

    entries: ClassVar[Mapping[str, CommandEntry]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=entry.help) for name, entry in self.entries.items()
        }

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """Import the command that runs."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, self.load(name) if name else None, rest

    def load(self, name: str) -> Any:
        """Return the command of this name: that of the `app` of its module."""
        return get_command(imported(self.entries[name].module).app)


def imported(name: str) -> ModuleType:
    """Import a command module; what it imports of `DEFERRED` is executed at its first use."""
    sys.meta_path.insert(0, _Deferring)
    try:
        return import_module(name)
    finally:
        sys.meta_path.remove(_Deferring)


class _Deferring:
    """Finds what may wait, on the path where it would be found anyway."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that waits for its first use, None for one that does not wait."""
        if not name.startswith(DEFERRED) or name.startswith(AT_ONCE):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
