"""Ingest: sales, receipts and orders become stock; read, decode, normalise, dead letters, apply."""

from importlib import import_module


def flow() -> object:
    """Return the dataflow for `python -m bytewax.run flows.ingest:flow`, with the settings of the environment."""
    return import_module("flows.ingest.flow").from_environment()
