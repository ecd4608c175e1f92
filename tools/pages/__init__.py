"""The reference pages, written from the declarations that stand in the code.

`settings`   the environment and `penstock.yaml`: `tools.pages.settings`
`metrics`    every metric with its labels: `monitoring.metrics`, `monitoring.labels`
`logs`       every log line: `monitoring.logs`
`messages`   every message, in and out: `state.events.messages`, `connectors.messages.written`; `members` and
             `examples` are its parts
`markdown`   tables, code marks and links

What is prose stands in a Markdown file beside each module. Paths in its links begin at the project's root
(`/docs/reference/runbook.md`); the page gets them relative to its own folder.

`python -m tools.pages` writes the pages, `--check` only compares them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.pages.logs import page as logs
from tools.pages.markdown import linked
from tools.pages.messages import page as messages
from tools.pages.metrics import page as metrics
from tools.pages.settings import page as settings

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "reference"
"""Where the pages are."""

_PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings,
    "metrics.md": metrics,
    "logs.md": logs,
    "messages.md": messages,
}


def pages() -> dict[Path, str]:
    """Return each page: its path, and its text as it should be."""
    return {FOLDER / name: linked(page(), ROOT, FOLDER) for name, page in _PAGES.items()}


def outdated() -> dict[Path, str]:
    """Return those of the pages that are not on disk as they should be."""
    return {path: text for path, text in pages().items() if not _holds(path, text)}


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
