"""The self-check: the answers worked out a second time, from the contract alone.

Nothing here imports the engine. A run reads the dumped stream, works out every position, level and
ad state from the rules of the design, and compares them with what the engine stored and emitted:

    stream -> positions, orders -> levels -> ads -> verdict

Run it as ``python -m tests.oracle --help``.
"""
