"""Recording rules and alerts for Prometheus, as code: the YAML files beside this one.

`python -m monitoring.rules --factor 60 --out FOLDER` writes them with every span of time shortened, for trials.
"""

import re
from pathlib import Path
from typing import Final

FILES: Final = tuple(sorted(Path(__file__).parent.glob("*.yaml")))
"""The rules as they are meant to run."""

WINDOW_MIN_MS: Final = 5_000
"""No window gets shorter: it must hold several scrapes, which come once a second in a trial."""

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN: Final = r"(\d+)(ms|[smhd])"
_FOR: Final = re.compile(rf"(?m)^(?P<head> +for: ){_SPAN}(?P<tail>)$")
_OFFSET: Final = re.compile(rf"(?P<head>\boffset ){_SPAN}(?P<tail>\b)")
_WINDOW: Final = re.compile(rf"(?P<head>\[){_SPAN}(?P<tail>\])")
# The language has no spans of time as numbers: an age is compared with a number of seconds.
_AGE: Final = re.compile(r"(\btime\(\) - [^<>\n]+ [<>] )(\d+)\b")


def shortened(text: str, factor: int) -> str:
    """Divide every `for:`, window, `offset` and limit of a `time() - ...` in the text of a rule file.

    What is compared with the age of something in the store stays: an age is a symptom, not a pace of the rules.

    Raises:
        ValueError: the factor is below 1.
    """
    if factor < 1:
        raise ValueError(f"factor: expected integer >= 1, got {factor}")

    def divide(found: re.Match[str], least_ms: int) -> str:
        span_ms = int(found[2]) * _UNIT_MS[found[3]]
        # A window that is short already is left as it is.
        divided_ms = max(span_ms // factor, min(span_ms, least_ms), 1)
        return f"{found['head']}{divided_ms}ms{found['tail']}"

    text = _FOR.sub(lambda found: divide(found, 0), text)
    text = _OFFSET.sub(lambda found: divide(found, WINDOW_MIN_MS), text)
    text = _WINDOW.sub(lambda found: divide(found, WINDOW_MIN_MS), text)
    return _AGE.sub(lambda found: f"{found[1]}{int(found[2]) / factor:g}", text)


def write_shortened(folder: Path, factor: int) -> list[Path]:
    """Write all rule files, shortened, into a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in FILES:
        target = folder / source.name
        target.write_text(shortened(source.read_text(encoding="utf-8"), factor), encoding="utf-8")
        written.append(target)
    return written
