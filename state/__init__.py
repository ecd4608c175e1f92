"""The stock state: its words, its rules and the one place where it is kept.

`messages`, `validation`, `normalise`   what comes in, and the movements it becomes (`ops`)
`policy`, `levels`, `ads`, `velocity`   what each channel may show and each ad should do
`memory_pool`                           the rules of the functions in plain Python: the reference
`functions/`                            the same rules as Redis functions, one atomic call per shard and batch
`calls`, `wire`                         what is sent to a shard and what it answers; how both are packed
`store`                                 the typed wrapper that sends it

Only `store` talks to Redis. Nothing here reads a clock: `now` is always an argument.
"""
