"""Ingest: sales, receipts and orders become stock.

    read -> decode -> normalise -> guard -> dead letters -> apply

`flow`                the table of contents of the dataflow; `steps` are its steps
`reader`              which partitions a worker reads, and when it starts again; `read_session`, `resume` are its parts
`throttle`            backpressure: ingest pauses while publishing lags
`shrink_guard`        supplier figures that take too much away at once are quarantined
`upkeep`              the side jobs of a reader: `silence_watchdog`, `silence_report`, `consumer_lag`, `log_retention`
`arrivals`            which location sent an event when
"""

from importlib import import_module


def flow() -> object:
    """Return the dataflow for `python -m bytewax.run flows.ingest:flow`, with the settings of the environment."""
    return import_module("flows.ingest.flow").from_environment()
