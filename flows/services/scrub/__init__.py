"""The scrubber: a background scan that proves the figures of the pool."""
