"""The page of log lines."""

from pathlib import Path

from monitoring.logs import LINES, LogLine
from tools.pages.markdown import code, filled, table

_TEMPLATE = Path(__file__).with_name("logs.md")


def page() -> str:
    """Return the page in Markdown."""
    rows = [(code(line.event), line.level, _fields(line), line.action) for line in LINES]
    return filled(_TEMPLATE, lines=table(("event", "level", "fields", "what to do"), rows))


def _fields(line: LogLine) -> str:
    return "; ".join(f"{code(name)}: {meaning}" for name, meaning in line.fields.items())
