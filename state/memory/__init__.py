"""The shards in memory: the reference that the Lua functions are held to."""
