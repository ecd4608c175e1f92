"""The pages for a retailer: the walk from many counts to one pool is walked, what they name exists."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.redis.embedded import EmbeddedError, embedded
from tests.patience import PATIENCE_S
from tests.rules.catalogue import by_id
from tests.rules.means import Unprotected
from tests.test_readme import CONSOLE, FILE, ROOT, RUN, Terminal, help_of, text_of

DOCS = ROOT / "docs"
WALK = DOCS / "tutorial" / "one-pool.md"
CAPABILITIES = DOCS / "explanation" / "capabilities.md"
PAGES = (WALK, DOCS / "guides" / "explain.md", CAPABILITIES)
SYSTEMS = ("MSI", "SAL", "MED", "SHO", "SF", "IBM", "HW", "F/K", "LW")


@contextmanager
def flows_at_work(terminal: Terminal) -> Iterator[None]:
    """What goes on in the other window."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "run", role],
            cwd=terminal.folder, env=terminal.env, stdin=subprocess.DEVNULL,
        )
        for role in ("ingest", "publish")
    ]  # fmt: skip
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        ends = [process.wait(PATIENCE_S) for process in started]
    assert ends == [0, 0]


@pytest.mark.slow
def test_the_walk_to_one_pool_goes_as_shown(tmp_path: Path, missing: Callable[[str], None]) -> None:
    terminal = Terminal(tmp_path)
    for name, content in FILE.findall(text_of(WALK)):
        (terminal.folder / name).write_text(content, encoding="utf-8")
    first, *rest = RUN.findall(text_of(WALK))
    try:
        with embedded(terminal.folder / ".penstock"):
            terminal.goes_as(first)
            with flows_at_work(terminal):
                for block in rest:
                    terminal.goes_as(block)
    except EmbeddedError as error:
        missing(str(error))


def test_every_command_shown_is_one_that_is_run() -> None:
    assert len(RUN.findall(text_of(WALK))) == len(CONSOLE.findall(text_of(WALK)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_link_of_the_pages_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)) if "://" not in link]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", text_of(target), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in heads}


def test_every_command_and_option_named_on_the_pages_exists() -> None:
    named: set[str] = set()
    for page in PAGES:
        consoles = "\n".join(CONSOLE.findall(text_of(page)))
        named |= set(re.findall(r"`penstock ([^`]+)`", text_of(page)))
        named |= set(re.findall(r"^\$ penstock (.+)$", consoles, re.MULTILINE))
    assert len(named) > 20
    for line in named:
        words = re.split(r"\|", line)[0].split()
        is_group = "COMMAND [ARGS]" in help_of(words[0])
        told = help_of(*words[: 2 if is_group else 1])
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"\s{option}\s", told), line


def test_every_protection_that_can_be_taken_out_is_told() -> None:
    for protection in by_id(Unprotected):
        assert f"`{protection}`" in text_of(WALK) or f"--break {protection}`" in text_of(WALK)


def capabilities() -> list[list[str]]:
    """The rows of the table: number, capability, ours, where it is shown, then the others."""
    rows = re.findall(r"^\| (\d+ \|.*) \|$", text_of(CAPABILITIES), re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


def test_the_table_of_capabilities_is_whole_and_every_yes_is_shown() -> None:
    rows = capabilities()
    assert [int(row[0]) for row in rows] == list(range(1, 41))
    for row in rows:
        number, capability, ours, shown, *others = row
        assert len(others) == len(SYSTEMS), capability
        assert ours in {"Y", "P", "N"}, number
        is_shown = "](" in shown or "`penstock " in shown
        assert is_shown or ours == "N", f"{number}: expected a link or a command, got {shown!r}"
