"""The bounds of holds."""

from typing import Final

LINES_MAX: Final = 100
ID_MAX: Final = 128
TTL_S: Final = 600
TTL_MAX_S: Final = 4 * 3600
