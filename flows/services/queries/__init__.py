"""Questions about the pool; nothing here changes it."""
