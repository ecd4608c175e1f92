"""What a result was measured on and with: figures of another machine compare by their ratios alone."""

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.servers.kafka import POM, ROOT
from tests.servers.redis_servers import server_program

PACKAGES = (
    "bytewax", "confluent-kafka", "faust-streaming", "hiredis", "msgspec", "orjson", "quixstreams", "redis",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return what this machine is, and the versions of all parts."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "load_before": [round(each, 2) for each in os.getloadavg()],
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            "python_build": sys.version.partition("[")[2].rstrip("]"),
            "java": _said("java", "-version"),
            "redis_server": _said(server_program(), "--version"),
            "kafka": _kafka(),
            **{name: version for name in PACKAGES if (version := _version(name))},
        },
    }


def commit() -> str:
    """Return the commit, with a plus when files of the project differ from it; "" without git."""
    head = _said("git", "rev-parse", "--short=12", "HEAD")
    return f"{head}+" if head and _said("git", "status", "--porcelain") else head


def _cpu() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.processor()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _kafka() -> str:
    found = re.search(r"<kafka\.version>(.+?)<", POM.read_text())
    return found[1] if found else ""


def _said(*command: str) -> str:
    """Return the first line of what a program says, "" when it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else ""
