"""The function library, as Redis loads it.

A constant that Python knows, too, is said in Python. A Lua file names it where it uses it, without a value,

    local AGAIN_MS, BEGIN -- from state/protocol/control.py

and the library that is loaded has the values there: `local AGAIN_MS, BEGIN = 60000, 1 -- from ...`. So it is a local
as any other: it costs nothing more, and one in a `do` block is none of the 200 that a chunk of Lua may have.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import ModuleType
from typing import Any, Final

from state.demand import velocity
from state.events import ops, order_key
from state.protocol import apply, claim, common, control, figures, holds, keys

LIBRARY: Final = (
    "common",
    "leased_queue",
    "figures",
    "positions",
    "references",
    "answers",
    "orders",
    "holds",
    "guard",
    "apply",
    "tick",
    "hold",
    "recover",
    "claim",
    "settle",
    "rebuild",
    "inspect",
    "promises",
)
"""Files of the function library, in the order in which they build on each other."""
ENDS: Final = frozenset({"apply", "recover", "settle", "promises"})
"""Files of it on which no other builds."""

OWNERS: Final[Mapping[str, ModuleType]] = {
    f"{module.__name__.replace('.', '/')}.py": module
    for module in (
        apply, claim, common, control, figures, holds, keys, ops, order_key, velocity
    )
}  # fmt: skip
"""The files that say constants of the library."""

DECLARED: Final = re.compile(r"^( *local ([A-Z_]+(?:, [A-Z_]+)*))( -- from (\S+))$", re.MULTILINE)


def library_source() -> str:
    """Return the text of the function library, as `FUNCTION LOAD` takes it."""
    folder = files("state").joinpath("functions")
    texts = [_part(name, folder.joinpath(f"{name}.lua").read_text()) for name in LIBRARY]
    return "#!lua name=penstock\n" + "\n".join(texts)


def _part(name: str, text: str) -> str:
    """Return a file of the library with its constants; one on which no other builds keeps its names to itself.

    A chunk of Lua may have 200 of them.
    """
    text = DECLARED.sub(_with_values, text)
    return f"do {text}\nend" if name in ENDS else text


def _with_values(declared: re.Match[str]) -> str:
    """Return a declaration of constants with their values.

    Raises:
        KeyError: the file is none of `OWNERS`. AttributeError: it does not say the constant.
    """
    local, names, comment, owner = declared.groups()
    values = (_in_lua(getattr(OWNERS[owner], name)) for name in names.split(", "))
    return f"{local} = {', '.join(values)}{comment}"


def _in_lua(value: Any) -> str:
    """Return a constant as Lua writes it."""
    match value:
        case int():
            return str(value)
        case str():
            return f"'{''.join(_escaped(value))}'"
        case _:
            items = ", ".join(f"[{_in_lua(key)}] = {_in_lua(each)}" for key, each in value.items())
            return f"{{ {items} }}"


def _escaped(text: str) -> Iterator[str]:
    for letter in text:
        plain = letter.isascii() and letter.isprintable() and letter not in "'\\"
        yield letter if plain else "".join(f"\\{byte:03d}" for byte in letter.encode())
