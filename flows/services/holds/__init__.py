"""Holds: units reserved before there is an order."""
