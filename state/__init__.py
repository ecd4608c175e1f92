"""The stock state: its words, its rules, and the one place where it is kept.

`store`               the typed wrappers over Redis; nothing else of `state` talks to it
`memory`              the same shards in plain Python: the reference that the Lua functions are held to
`rules`               what is decided from figures: levels, ad states, holds, exclusions
`protocol`            what a shard is asked, and what it answers
`events`              what comes in, and the operations on the pool that it becomes
`policy`, `demand`    what a retailer configures; what was sold, and when locations usually send events
`functions`           the shard in Lua, one atomic call per shard and batch

Imports go down this list. Nothing here reads a clock: `now` is always an argument.
"""
