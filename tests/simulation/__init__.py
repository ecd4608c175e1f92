"""Deterministic simulation: the real steps of the flows on a modelled log, store, clock and network.

    python -m tests.simulation --seeds 1000          every run must end exact, every broken rule be found
    python -m tests.simulation --seed 42 --trace     one run, told call by call
    python -m tests.simulation --seed 42 --break max the same without a rule, shrunk to its core

A seed draws a scenario (`draw.py`): what is sold, which calls go wrong and how, what happens to workers and shards.
Nothing else is left to chance, so that a seed and a commit replay a run exactly. `world.py` lets one greenlet run at
a time, on a time of its own; `wire.py` says what becomes of each call; `judge.py` what must hold in the end.
"""
