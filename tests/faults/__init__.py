"""Real processes, real servers, real faults: after each one everything is counted again.

    python -m tests.faults [--scenario NAME ...] [--break RULE] [--short] [--seed N] [--report FILE]

A scenario (`scenario_*.py`) builds its servers and workers with a `Maker` (`stage.py`), lets trading flow in
(`load.py`), does its harm, and proves that the harm was real. Then the same check is made for all (`check.py`).
With `--break` the workers go without one rule of the engine (`tests/rules/`): a check that still passes would be worth
nothing.
"""
