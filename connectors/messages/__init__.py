"""CloudEvents as the log holds them: read, written, and kept when they cannot be read."""
