"""The dashboards of Grafana, written in Python and kept as JSON beside it.

`truth`   is stock true and fresh?
`flows`   flows and machines
`ads`     ads
`shape`   what a panel says, and its JSON

`python -m monitoring.dashboards` writes the JSON again; a test holds the two together.
"""

from typing import Final

from monitoring.dashboards import ads, flows, truth
from monitoring.dashboards.shape import Board

BOARDS: Final[dict[str, Board]] = {
    "truth.json": truth.BOARD,
    "flows.json": flows.BOARD,
    "ads.json": ads.BOARD,
}
"""File name -> dashboard."""
