"""Publish: changed stock becomes levels, ad signals and alerts; claim, derive, emit, settle."""

from importlib import import_module


def flow() -> object:
    """Return the dataflow for `python -m bytewax.run flows.publish:flow`, with the settings of the environment."""
    return import_module("flows.publish.flow").from_environment()
