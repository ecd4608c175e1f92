"""Bytewax, and nothing of Penstock: sources that are asked, a sink, a run that ends with words."""
