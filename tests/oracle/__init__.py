"""The one judge: the answers worked out a second time, from the contract alone.

Nothing here imports the engine. A run reads the input stream, works out every position, order, level and
ad state from the rules of the design, and compares them with what the engine stored and emitted:

    stream -> positions, orders -> levels -> ads -> case -> checks -> verdict

The demo runs it as a program, ``python -m tests.oracle --help``. The suites call it: `tests.evidence` hands over what
they left in log and store, each picks the checks that must hold of it (`compare`, `compare_ads`, `lost`, and `course`
for what was true on the way), and says in its own words what they find.
"""
