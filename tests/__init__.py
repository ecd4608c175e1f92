"""Tests: each folder mirrors a part of the engine; ``tests.oracle`` is also a program."""
