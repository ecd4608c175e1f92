"""Imported by a worker before anything else: its clock is off by `FAULTS_CLOCK_MS`."""

import os
import time

_system_ns = time.time_ns
_OFF_NS = int(os.environ["FAULTS_CLOCK_MS"]) * 1_000_000


def _skewed_ns() -> int:
    return _system_ns() + _OFF_NS


time.time_ns = _skewed_ns
