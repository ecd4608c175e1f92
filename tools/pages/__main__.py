"""Write the reference pages: settings, metrics, logs, messages."""

import os
import sys
from argparse import ArgumentParser

from tools.pages import outdated


def main(arguments: list[str] | None = None) -> int:
    """0: every page is as it should be; 1: with `--check`, a page is not."""
    parser = ArgumentParser(prog="python -m tools.pages", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; name the pages that are out of date"
    )
    given = parser.parse_args(arguments)
    old = outdated()
    for path, text in old.items():
        name = os.path.relpath(path)
        if given.check:
            sys.stdout.write(f"{name}: out of date, run `make pages`\n")
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}: written\n")
    return int(given.check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
