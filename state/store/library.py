"""The function library, as Redis loads it."""

from importlib.resources import files

LIBRARY = (
    "common",
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
ENDS = frozenset({"apply", "recover", "settle", "promises"})
"""Files of it on which no other builds."""


def library_source() -> str:
    """Return the text of the function library, as `FUNCTION LOAD` takes it."""
    folder = files("state").joinpath("functions")
    texts = [_part(name, folder.joinpath(f"{name}.lua").read_text()) for name in LIBRARY]
    return "#!lua name=penstock\n" + "\n".join(texts)


def _part(name: str, text: str) -> str:
    """Return a file of the library; one on which no other builds keeps its names to itself.

    A chunk of Lua may have 200 of them.
    """
    return f"do {text}\nend" if name in ENDS else text
