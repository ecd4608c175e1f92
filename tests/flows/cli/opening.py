"""A shop before it goes live: its channels, and a file of its positions."""

from tests.flows.shop import Shop

CONFIG = """
version: 1
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}]
channels:
  - {id: shop}
  - {id: market, opening: counted}
  - {id: new, mode: shadow, buffer: {units: 1}}
"""
POSITIONS = "location,sku,on_hand,unavailable\nwh,A,5,1\nwh,B,3,\ns1,A,2,0\n"


def opening(shop: Shop) -> Shop:
    shop.config.write_text(CONFIG)
    (shop.folder / "positions.csv").write_text(POSITIONS)
    return shop
