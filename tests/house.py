"""Rules of the house, each a function over a tree: which names modules and classes have, and who may import whom.

Each returns its findings in words, with the place; none means that the tree keeps the rule.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

PRODUCT = ("flows", "connectors", "state", "monitoring")
ENTRIES_MAX = 10
NO_ENTRIES = frozenset({"__init__.py", "__pycache__", "py.typed"})
PAST_THE_WRAPPER = frozenset({"pipeline", "execute_command", "client"})

_PATH = re.compile(
    r"(?<![\w./-])(?:flows|connectors|state|monitoring|tests|tools|docs|deploy)/(?:[\w./-]*[\w/])?"
)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def gerunds(root: Path, allowed: Iterable[str]) -> list[str]:
    """Return modules and folders named by a verb in -ing, where a noun would say what is in them.

    A name is `allowed` for as long as a module has it; a list that allows more than is there is a finding, too.
    """
    found = [path for path in _below(root) if path.stem.endswith("ing")]
    named = {path.stem for path in found}
    return [
        f"{path.relative_to(root)}: expected a noun" for path in found if path.stem not in allowed
    ] + [f"{name}: allowed, but no module has this name" for name in allowed if name not in named]


def doubled_classes(root: Path) -> list[str]:
    """Return names that more than one class of the product has, with the places."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in _modules(root, PRODUCT):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(_place(root, path, node))
    return [f"{name}: {', '.join(at)}" for name, at in sorted(places.items()) if len(at) > 1]


def raw_redis(root: Path) -> list[str]:
    """Return where flows reach Redis past the typed wrapper: an attribute is no import, so no import rule sees it."""
    found: dict[tuple[Path, int], str] = {}
    for path in _modules(root, ("flows",)):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Attribute) and (
                node.attr in PAST_THE_WRAPPER or _last_name(node.value) == "keys"
            ):
                # The walk comes to `client.pipeline` before `client`: of a line the longest is kept.
                found.setdefault((path, node.lineno), ast.unparse(node))
    return [
        f"{path.relative_to(root)}:{line}: {text}" for (path, line), text in sorted(found.items())
    ]


def engine_imports(root: Path) -> list[str]:
    """Return where Bytewax is imported but in `flows/engine/` and the flows' tables of contents, `flows/*/flow.py`."""
    found = [
        f"{_place(root, path, node)}: {ast.unparse(node)}"
        for path in _modules(root, PRODUCT)
        if not _may_know_the_engine(path.relative_to(root))
        for node, name in _imports(_tree(path), path.relative_to(root))
        if name.split(".")[0] == "bytewax"
    ]
    return list(dict.fromkeys(found))


def missing_paths(root: Path, page: str) -> list[str]:
    """Return paths that a page names, in its text or as links, and that the tree does not have."""
    found = []
    at = root / page
    for number, line in enumerate(at.read_text(encoding="utf-8").splitlines(), 1):
        named = [(path, root / path) for path in _PATH.findall(line)]
        named += [(link, at.parent / link) for link in _LINK.findall(line)]
        found += [f"{page}:{number}: {path}" for path, where in named if not where.exists()]
    return found


def circles(root: Path) -> list[str]:
    """Return circles among folders that import each other, each with one import for each of its steps.

    A module belongs to the folder that holds it. Of circles that share a step, one may stand for all.
    """
    arrows: dict[str, dict[str, str]] = defaultdict(dict)
    for path in _modules(root, PRODUCT):
        for node, name in _imports(_tree(path), path.relative_to(root)):
            folder, of = _folder_of(root, name), str(path.parent.relative_to(root))
            if folder is not None and folder != of:
                arrows[of].setdefault(folder, _place(root, path, node))
    found = []
    while circle := _circle({folder: sorted(steps) for folder, steps in arrows.items()}):
        steps = list(pairwise(circle))
        places = ", ".join(arrows[a][b] for a, b in steps)
        found.append(f"{' -> '.join(circle)} ({places})")
        del arrows[steps[-1][0]][steps[-1][1]]
    return found


def crowded(root: Path, folder: str) -> list[str]:
    """Return the entries of a folder when there are more than a reader takes in at a glance."""
    entries = sorted(
        path.name
        for path in (root / folder).iterdir()
        if not path.name.startswith(".") and path.name not in NO_ENTRIES
    )
    if len(entries) <= ENTRIES_MAX:
        return []
    return [
        f"{folder}/: expected at most {ENTRIES_MAX} entries, got {len(entries)}: {', '.join(entries)}"
    ]


def _below(root: Path) -> list[Path]:
    """The modules of the product, and the folders below its top ones."""
    modules = list(_modules(root, PRODUCT))
    folders = {p for path in modules for p in path.relative_to(root).parents if len(p.parts) > 1}
    return sorted([*modules, *(root / folder for folder in folders)])


def _modules(root: Path, folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path)


def _place(root: Path, path: Path, node: ast.stmt | ast.expr) -> str:
    return f"{path.relative_to(root)}:{node.lineno}"


def _last_name(node: ast.expr) -> str:
    """`keys` of both `keys` and `run.store.keys`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _may_know_the_engine(path: Path) -> bool:
    return path.match("flows/*/flow.py") or path.is_relative_to("flows/engine")


def _imports(tree: ast.Module, path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield all imports, also those within functions, each with the whole name of what is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parent.parts[: len(path.parent.parts) + 1 - node.level]
            base = [*(above if node.level else ()), *([node.module] if node.module else ())]
            yield from ((node, ".".join([*base, alias.name])) for alias in node.names)


def _folder_of(root: Path, name: str) -> str | None:
    """Return the folder of the module or package that a name is, or is a part of; None if it is not of the product."""
    parts = name.split(".")
    if parts[0] not in PRODUCT:
        return None
    for length in range(len(parts), 0, -1):
        where = root.joinpath(*parts[:length])
        if where.is_dir():
            return str(where.relative_to(root))
        if where.with_suffix(".py").is_file():
            return str(where.parent.relative_to(root))
    return None


def _circle(arrows: dict[str, list[str]]) -> list[str]:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        # Its members come in the order of arrows turned round.
        circle: list[str] = error.args[1][::-1]
        return circle
    return []
