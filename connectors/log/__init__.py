"""The log of events: what it promises, and its two back ends."""
