"""The second environment, for those peers in Python whose pins collide with ours: `make .venv-bench/.ready`."""

import subprocess
from functools import cache
from pathlib import Path

from tests.servers.kafka import ROOT

PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@cache
def without(package: str, python: Path = PYTHON) -> str:
    """Return why a package cannot be imported there, "" when it can."""
    if not python.exists():
        return f"{package}: no environment .venv-bench (`make .venv-bench/.ready`)"
    done = subprocess.run(
        [python, "-c", f"import {package}"], capture_output=True, text=True, check=False
    )
    return f"{package}: {done.stderr[-300:]}" if done.returncode else ""
