"""The policy in force: activated, compared, reloaded, overlaid."""
