"""Holds under hostile claims: many processes, kills, expiries; then counted to the unit from the log."""
