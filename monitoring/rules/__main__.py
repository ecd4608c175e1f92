"""`python -m monitoring.rules --factor 60 --out FOLDER`: the rules with every span of time shortened.

For trials: what takes an hour by the rules takes a minute then, with a Prometheus that scrapes and evaluates
each second.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from monitoring.rules import write_shortened


def main() -> None:
    """Write the files, and say which."""
    parser = ArgumentParser(prog="python -m monitoring.rules")
    parser.add_argument("--factor", type=int, required=True, help="what spans are divided by")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    given = parser.parse_args()
    if given.factor < 1:
        parser.error(f"--factor: expected integer >= 1, got {given.factor}")
    for path in write_shortened(given.out, given.factor):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
