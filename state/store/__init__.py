"""The state in Redis: the only package that talks to it."""
