"""``python -m tests.oracle``: print the verdict as one JSON object; exit 1 on a finding."""

import argparse
import sys
from pathlib import Path

import orjson

from tests.oracle.columns import InputError
from tests.oracle.judge import Files, judge
from tests.oracle.verdict import is_clean

_FILES = {
    "stream": "the dump that the run was played from",
    "config": "the penstock.yaml of the run",
    "snapshot": "every SKU as `penstock stock` prints it",
    "updates": "the topic stock.updates as `penstock tail` prints it",
    "signals": "the topic ads.signals",
    "dead": "the topic dead.letters",
    "counters": "{appended, applied, duplicates}",
}


def main(arguments: list[str] | None = None) -> int:
    """0: all is right; 1: a finding; 2: a file that cannot be judged."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    for name, text in _FILES.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=text)
    parser.add_argument(
        "--source-units",
        default="synthetic",
        help="CSV of product_id,quantity; data[:MONTHS] for the package; synthetic for none",
    )
    parser.add_argument(
        "--folded",
        action="store_true",
        help="updates has the last message of a SKU only, with count and versions_rise",
    )
    given = parser.parse_args(arguments)
    try:
        outcome = judge(Files(**vars(given)))
    except (InputError, OSError) as error:
        print(f"oracle: {error}", file=sys.stderr)
        return 2
    print(orjson.dumps(outcome).decode())
    return 0 if is_clean(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
