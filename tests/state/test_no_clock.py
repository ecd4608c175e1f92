"""The clock is an argument: what the state does depends on what it is told, and on nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

STATE = Path(__file__).parents[2] / "state"
MEASURES = {("store/shards.py", "perf_counter")}
"""The one look at a clock: how long a round trip took, for the metrics."""

_MODULES = {"time", "random", "secrets", "uuid"}
_CALLS = {"now", "utcnow", "today", "urandom", "getrandom"}
_IN_LUA = re.compile(
    r"'TIME'|\"TIME\"|\bos\.(?:time|clock|date)\b|\bmath\.random|RANDOMKEY|SRANDMEMBER|SPOP",
    re.IGNORECASE,
)


def looks(name: str, source: str) -> Iterator[tuple[str, str]]:
    """Yield (file, what) for everything in a module that could tell the time, or draws by chance."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((name, alias.name) for alias in node.names if alias.name in _MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in _MODULES:
            yield from ((name, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr in _CALLS:
            yield name, node.attr
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "hash"
        ):
            yield name, "hash"


def test_nothing_in_state_reads_a_clock_or_draws_by_chance() -> None:
    modules = sorted(STATE.rglob("*.py"))
    assert len(modules) > 20
    found = {
        look for path in modules for look in looks(str(path.relative_to(STATE)), path.read_text())
    }
    assert found == MEASURES


def test_no_function_in_redis_reads_a_clock_or_draws_by_chance() -> None:
    functions = sorted(STATE.glob("functions/*.lua"))
    assert len(functions) > 8
    for path in functions:
        code = "\n".join(line.partition("--")[0] for line in path.read_text().splitlines())
        assert not _IN_LUA.search(code), path.name


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import randint",
        "x = datetime.now(UTC)",
        "x = hash(sku)",
        "import uuid",
    ],
)
def test_a_look_at_the_clock_is_found(source: str) -> None:
    assert list(looks("a.py", source))
