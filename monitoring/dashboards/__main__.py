"""Write the JSON of every dashboard: `python -m monitoring.dashboards`."""

import sys
from pathlib import Path

from monitoring.dashboards import BOARDS


def main() -> None:
    """Write each file beside this one, and name it."""
    for name, board in BOARDS.items():
        path = Path(__file__).with_name(name)
        path.write_text(board.json(), encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
