"""The README: what it shows is run, and what it and the pages on how the engine works name exists."""

import ast
import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import flows
from connectors.config import settings
from connectors.redis.embedded import EmbeddedError, embedded
from flows.runtime.session import TOPICS
from state.events.messages import TYPES
from tests import warm
from tests.patience import PATIENCE_S
from tests.rules.catalogue import by_id
from tests.rules.means import InWorker
from tests.servers.kafka import Kafka

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
GUARANTEES = ROOT / "docs" / "explanation" / "guarantees.md"
PROTOCOL = ROOT / "docs" / "protocol.md"
PAGES = (README, ARCHITECTURE, GUARANTEES, PROTOCOL)
COLUMNS = 100

FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = re.compile(r"^<!-- run -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ON_KAFKA = re.compile(r"^<!-- kafka -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BROKER = "127.0.0.1:9092"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONTROL = re.compile(r"(\r|\n|\x1b\[[0-9;?]*[A-Za-z])")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What differs from run to run; each with something of the same width.
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<------- a time ------->"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<a log id>"),
    (re.compile(r"\b1\d{15}\b"), "<a version     >"),
    (re.compile(r"\b1\d{12}\b"), "<a moment   >"),
    (re.compile(r"\b(updates|pauses|resumes|p50_ms|p99_ms|events_per_s)=\d+"), r"\1=N"),
)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def steps(block: str) -> list[tuple[str, list[str]]]:
    """Each command of a block with the lines shown under it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def masked(line: str) -> str:
    for pattern, instead in MASKS:
        line = pattern.sub(instead, line)
    return line.rstrip()


def pattern_of(shown: list[str]) -> str:
    """A pattern for what a block shows; `...` stands for any lines."""
    lines = ["(?:.*\n)*?" if line == "..." else re.escape(masked(line)) + "\n" for line in shown]
    return "".join(lines)


def seen(text: str) -> list[str]:
    """The lines that are left on the screen: a bar of progress rubs out what it wrote."""
    screen, row = [""], 0
    for part in CONTROL.split(text):
        if part == "\n":
            row += 1
            screen.extend([""] * (row + 1 - len(screen)))
        elif part.startswith("\x1b") and part.endswith("A"):
            row = max(0, row - int(part[2:-1] or 1))
        elif part.startswith("\x1b") and part.endswith("K"):
            screen[row] = ""
        elif not CONTROL.fullmatch(part):
            screen[row] += part
    return [line for line in map(masked, screen) if line]


class Terminal:
    """Runs commands in a folder, as somebody at a terminal does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        programs = folder / "bin"
        for made in (self.folder, programs):
            made.mkdir()
        program = programs / "penstock"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flows.cli "$@"\n')
        program.chmod(0o700)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")} | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PENSTOCK_METRICS": "off",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
        }

    def says(self, command: str) -> str:
        """Run a command, which must succeed; return what is left on the screen, but for blank lines."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        with subprocess.Popen(
            ["sh", "-c", command], cwd=self.folder, env=self.env,
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        ) as process:  # fmt: skip
            os.close(theirs)
            text = b"".join(_until_closed(ours)).decode()
        os.close(ours)
        shown = "".join(f"{line}\n" for line in seen(text))
        assert process.returncode == 0, f"{command}\n{shown}"
        return shown

    def goes_as(self, block: str) -> None:
        for command, shown in steps(block):
            # Here is no environment that make could set up; a test holds its recipe to this.
            given = re.sub(r'^make demo ARGS="(.*)"$', r"penstock demo \1", command)
            said = self.says(given)
            assert re.fullmatch(pattern_of(shown), said), f"$ {command}\n{said}"


def _until_closed(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:
            return  # Linux reports a terminal whose other side is closed as an error
        if not data:
            return
        yield data


@pytest.fixture
def terminal(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[Terminal]:
    """A terminal in a folder whose store stays up between the commands, which saves their starts."""
    made = Terminal(tmp_path)
    try:
        with embedded(made.folder / ".penstock"):
            yield made
    except EmbeddedError as error:
        missing(str(error))


def test_the_walk_goes_as_shown(terminal: Terminal) -> None:
    for name, content in FILE.findall(text_of(README)):
        (terminal.folder / name).write_text(content, encoding="utf-8")
    walk = [block for block in RUN.findall(text_of(README)) if not block.startswith("$ make")]
    assert walk
    for block in walk:
        terminal.goes_as(block)


def test_the_small_demo_ends_as_shown(terminal: Terminal) -> None:
    (block,) = [block for block in RUN.findall(text_of(README)) if block.startswith("$ make")]
    assert "\t@$(BIN)/penstock demo $(ARGS)\n" in text_of(ROOT / "Makefile")
    terminal.goes_as(block)


@pytest.mark.kafka
def test_the_walk_on_kafka_goes_as_shown(
    terminal: Terminal, own_kafka: Kafka, missing: Callable[[str], None]
) -> None:
    if shutil.which("kcat") is None:
        missing("kcat")
    for name, content in FILE.findall(text_of(README)):
        (terminal.folder / name).write_text(content, encoding="utf-8")
    tool = terminal.folder.parent / "bin" / "kafka-consumer-groups.sh"
    tool.write_text(f'#!/bin/sh\nexec {shlex.join(own_kafka.command("consumer-groups"))} "$@"\n')
    tool.chmod(0o700)
    (block,) = ON_KAFKA.findall(text_of(README))
    setting, _, rest = block.replace(BROKER, own_kafka.bootstrap).partition("\n")
    assert setting == f"$ export PENSTOCK_KAFKA={own_kafka.bootstrap}"
    terminal.env["PENSTOCK_KAFKA"] = own_kafka.bootstrap
    terminal.goes_as(rest)


def test_the_diagram_is_the_one_of_the_flows() -> None:
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text_of(README), re.MULTILINE | re.DOTALL)
    assert flows.__doc__ is not None
    drawn = flows.__doc__.split("\n\n`cli`", 1)[0].split("\n\n", 1)[1]
    assert [line.strip() for line in shown.splitlines()] == [
        line.strip() for line in drawn.splitlines()
    ]


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", text_of(ROOT / "Makefile"), re.MULTILINE))
    texts = text_of(README) + text_of(GUARANTEES)
    named = set(re.findall(r"(?:`|^\$ )make ([a-z-]+)", texts, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)) if "://" not in link]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", text_of(target), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in heads}


@cache
def help_of(*command: str) -> str:
    env = os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = warm.run([*command, "--help"], ROOT, env, b"", PATIENCE_S)
    assert done.returncode == 0, f"penstock {' '.join(command)}: {done.stderr.decode()}"
    return ESCAPES.sub("", done.stdout.decode())


def test_every_command_and_option_named_exists() -> None:
    named: set[str] = set()
    for page in PAGES:
        consoles = "\n".join(CONSOLE.findall(text_of(page)))
        named |= set(re.findall(r"`penstock ([^`]+)`", text_of(page)))
        named |= set(re.findall(r"^\$ penstock (.+)$", consoles, re.MULTILINE))
    assert len(named) > 10
    for line in named:
        words = line.partition("|")[0].split()
        is_group = "COMMAND [ARGS]" in help_of(words[0])
        told = help_of(*words[: 2 if is_group else 1])
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"\s{option}\s", told), line


def test_every_variable_named_is_a_setting_and_its_default_is_told_right() -> None:
    known = {settings.variable(name) for name in settings.Settings.model_fields}
    for page in PAGES:
        assert set(re.findall(r"PENSTOCK_[A-Z_]*[A-Z]", text_of(page))) <= known
    table = text_of(ROOT / "docs" / "reference" / "settings.md")
    defaults = dict(re.findall(r"^\| `(PENSTOCK_\w+)` \| `(.+?)` \|", table, re.MULTILINE))
    rows = re.findall(r"^\| (`PENSTOCK_.*?) \| (.*?) \|", text_of(README), re.MULTILINE)
    assert rows
    for names, told in rows:
        for name, value in zip(names.split(", "), told.split(", "), strict=True):
            default = defaults.get(name.strip("`"))
            assert default is None or value.strip("`") == default, name


def test_every_topic_type_and_metric_is_named_as_it_is_called() -> None:
    text = text_of(README)
    for name in (*TYPES, *TOPICS):
        assert f"`{name}`" in text or name == "order.routes", name
    declared = text_of(ROOT / "docs" / "reference" / "metrics.md")
    for page in PAGES:
        for metric in re.findall(r"`(penstock_[a-z_]+)`", text_of(page)):
            assert f"`{metric}`" in declared, metric


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_file_and_test_named_exists(page: Path) -> None:
    text = text_of(page)
    places = r"(?:flows|connectors|state|monitoring|tests|docs)/[\w./*-]*"
    for path in re.findall(rf"`({places})`", text):
        assert list(ROOT.glob(path.rstrip("/"))), path
    for path, name in re.findall(rf"`({places})::(\w+)`", text):
        tree = ast.parse(text_of(ROOT / path))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path}::{name}"


def test_every_guarantee_names_a_test_that_shows_it() -> None:
    chapter = text_of(README).partition("## What is guaranteed")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \*\*(.+?)\.\*\* .+? \| (.+) \|$", chapter, re.MULTILINE)
    sections = dict(
        re.findall(r"^## (.+)\n\n((?:(?!## ).*\n?)*)", text_of(GUARANTEES), re.MULTILINE)
    )
    promises = {head: text for head, text in sections.items() if "**Promised.**" in text}
    assert len(rows) == chapter.count("\n| **") == 8
    assert {promise for promise, _ in rows} <= promises.keys()
    for shown in [*(tests for _, tests in rows), *promises.values()]:
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", shown), shown
    for text in promises.values():
        assert "**Not promised.**" in text
        assert "**Carried by**" in text


def test_every_rule_that_can_be_taken_out_is_explained() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| ", text_of(GUARANTEES), re.MULTILINE))
    assert rows == set(by_id(InWorker))


@pytest.mark.parametrize(("page", "most"), [(README, 250), (ARCHITECTURE, 150)])
def test_a_page_stays_short(page: Path, most: int) -> None:
    assert len(text_of(page).splitlines()) <= most
