"""Markdown: tables, code marks, templates, and links that begin at the project's root."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_NAME = re.compile(r"\b[A-Za-z]\w*(?:[._]\w+)+")
_FROM_THE_ROOT = re.compile(r"\]\(/([^)#\s]+)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell may hold any text in one line."""
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    marked = [f"| {' | '.join(line)} |" for line in lines]
    marked[1] = marked[1].replace(" ", "")
    return "".join(f"{line}\n" for line in marked)


def code(text: str) -> str:
    """Return a text marked as code."""
    return f"`{text}`"


def codes(names: Iterable[str]) -> str:
    """Return names marked as code, separated by commas."""
    return ", ".join(map(code, names))


def named(text: str) -> str:
    """Mark in a plain text what only a name can be: words with a dot or an underscore inside."""
    return _NAME.sub(lambda found: code(found[0]), text)


def filled(template: Path, **parts: str) -> str:
    """Return a template with `<!-- name -->` replaced by the part of that name.

    Raises:
        ValueError: a part has no place, or a place no part.
    """
    text = template.read_text(encoding="utf-8")
    for name, part in parts.items():
        place = f"<!-- {name} -->\n"
        if text.count(place) != 1:
            raise ValueError(
                f"{template.name}: expected one {place.strip()}, got {text.count(place)}"
            )
        text = text.replace(place, part)
    if "<!--" in text:
        raise ValueError(
            f"{template.name}: expected a part for each place, got {text.partition('<!--')[2][:40]}"
        )
    return text


def linked(text: str, root: Path, folder: Path) -> str:
    """Return a page of `folder` with its links from the root of the project made relative."""
    return _FROM_THE_ROOT.sub(
        lambda found: f"]({Path(os.path.relpath(root / found[1], folder)).as_posix()}", text
    )
