"""Ingest: read, decode, normalise, dead letters, apply."""
