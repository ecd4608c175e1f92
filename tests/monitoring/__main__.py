"""`python -m tests.monitoring`: whether what operators see is whole; `make monitoring-check`.

Rules, promtool cases, runbook and metrics fit together, promtool takes all of it, and a demo fills every panel of the
dashboards. Exit codes: 0 whole, 1 something is missing, 2 a program cannot be had.
"""

import sys

import monitoring.rules
from tests.monitoring import alerting
from tests.monitoring.panels import check_panels
from tests.servers.kafka import ServerMissing

FINDING, USAGE = 1, 2


def main() -> int:
    """Check, and tell in one line."""
    found = alerting.missing()
    try:
        for words in (
            ("check", "rules", "--lint=all", "--lint-fatal", *map(str, monitoring.rules.FILES)),
            ("test", "rules", *map(str, alerting.CASES)),
        ):
            done = alerting.promtool(*words)
            if done.returncode != 0:
                found.append(f"promtool {' '.join(words[:2])}:\n{done.stdout}{done.stderr}")
        panels, empty = check_panels()
    except ServerMissing as error:
        sys.stderr.write(f"monitoring-check: expected {error} on the PATH\n")
        return USAGE
    found += [f"no data: {each}" for each in empty]
    for each in found:
        sys.stderr.write(f"{each}\n")
    counts = {
        "metrics": len(alerting.declared()),
        "rules": len(alerting.records()),
        "alerts": len({alert.name for alert in alerting.alerts()}),
        "alert_tests": len(alerting.cases()),
        "panels": panels,
        "empty_panels": len(empty),
    }
    sys.stdout.write(f"monitoring: {' '.join(f'{name}={n}' for name, n in counts.items())}\n")
    return FINDING if found else 0


if __name__ == "__main__":
    sys.exit(main())
